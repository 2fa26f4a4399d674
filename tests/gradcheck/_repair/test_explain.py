"""What is traced at which sizes, and why no line is looked for where none is."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradcheck import Target, target
from gradcheck._common.files import load
from gradcheck._repair import explain as _explain
from gradcheck._repair.explain import IN_FLOAT32, OTHERS_ARE_WRONG, TOO_LARGE, Explanation, Question, explain
from gradcheck._symptoms.common_factor import CommonFactor
from gradcheck._tracing.adjoints import TooMuchError
from gradcheck._usercode.patching import Patch
from gradcheck.report.codes import FindingCode
from tests.gradcheck.networks import Rnn


def squares(dtype: Any = np.float64, factor: float = 3.0) -> Target:
    """loss = sum of w^2, with a factor in the gradient."""
    params = {"w": np.arange(1, 4).astype(dtype)}

    def grads() -> Any:
        dw = factor * params["w"]
        return {"w": dw}

    return Target(params if dtype is np.float64 else lambda: params, lambda: (params["w"] ** 2).sum(), grads)


def explained(subject: Any, known: set[str] | None, accepts: bool = True) -> Explanation:
    """The explanation where a whole check is content with everything, or with nothing."""
    return explain(Question(subject, 0, None, {}, known, lambda *_: accepts))


def test_a_line_is_found_and_mended() -> None:
    """The line would not be named, or without the edit that the check is content with."""
    found = explained(squares(), {"w"})
    assert found.whole
    (finding,) = found.findings
    assert finding.code is FindingCode.TERM_MISSING
    assert finding.fix is not None
    assert finding.statement == 'dw = factor * params["w"]'


def test_a_line_without_a_verified_edit_is_named_alone() -> None:
    """An edit would be shown that the whole check refused."""
    found = explained(squares(), {"w"}, accepts=False)
    assert found.patch is None
    assert not found.whole
    assert [finding.fix for finding in found.findings] == [None]


@pytest.mark.parametrize(
    ("subject", "known", "note"),
    [(squares(np.float32), {"w"}, IN_FLOAT32), (squares(), set(), OTHERS_ARE_WRONG)],
)
def test_why_no_line_is_looked_for(subject: Target, known: set[str], note: str) -> None:
    """A user would not know why no line is named."""
    found = explained(subject, known)
    assert (found.findings, found.note) == ([], note)


def test_a_backward_that_is_too_large_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check would run for hours, or end in an error of the trace."""

    def refuse(*_: Any) -> Any:
        raise TooMuchError

    monkeypatch.setattr(_explain, "find_by_tape", lambda *_: None)
    monkeypatch.setattr(_explain, "faults", refuse)
    assert explained(squares(), {"w"}).note == TOO_LARGE


def test_small_sizes_are_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace of the default sizes would take minutes where small ones show the same."""
    traced: list[Any] = []

    @target
    def made(rng: Any, *, T: int = 6, B: int = 7, D: int = 8, H: int = 9) -> Target:
        return Rnn(rng, T, B, D, H, bug="factor").target()

    monkeypatch.setattr(_explain, "find_by_tape", lambda *_: None)
    monkeypatch.setattr(
        _explain, "_explain_target", lambda _, subject, *__: traced.append(subject.values()["W"].shape) or Explanation()
    )
    explain(Question(made, 0, None, dict(made.sizes), {"W"}, lambda *_: True))
    assert traced == [(4, 5), (8, 9)]


def test_a_patch_that_leaves_gradients_wrong_is_not_whole() -> None:
    """What is mended in part would end the search for the rest."""
    assert not Explanation(patch=Patch([], {}), rest=("b",)).whole
    assert Explanation(patch=Patch([], {})).whole
    assert not Explanation().whole


FACTOR_LEFT = """
import numpy as np
import gradcheck


def backward(W, b, c, x):
    h = np.tanh(x @ W + b)
    da = c * (1 - h**2)
    return {"W": -x.T @ da, "b": da.sum(axis=0), "c": h.sum(axis=0)}


@gradcheck.target
def subject(rng, *, T=4, D=2, H=3):
    W, b, c = rng.standard_normal((D, H)), rng.standard_normal(H), rng.standard_normal(H)
    x = rng.standard_normal((T, D))

    def grads():
        return {name: T * value for name, value in backward(W, b, c, x).items()}

    return gradcheck.Target({"W": W, "b": b, "c": c}, lambda: float((c * np.tanh(x @ W + b)).sum()), grads)
"""


@pytest.mark.parametrize("factor_is_mended", [True, False])
def test_an_edit_beside_a_factor_that_stays_is_not_verified(tmp_path: Path, factor_is_mended: bool) -> None:
    """Gradients that are T times too large after an edit would be called right, T being divided out."""
    file = tmp_path / f"factor_{factor_is_mended}.py"
    file.write_text(FACTOR_LEFT)
    subject = load(file).subject

    def content(_: Any, __: Any, ___: Any, mended: frozenset[str]) -> bool:
        return factor_is_mended or "reduction" not in mended

    common = CommonFactor(4.0, "T", ("b", "c"))
    found = explain(Question(subject, 0, common, dict(subject.sizes), {"W", "b", "c"}, content))
    assert found.findings
    assert (found.patch is not None) is factor_is_mended
    assert all(one.fix.verified is factor_is_mended for one in found.findings if one.fix)


def test_code_that_calls_c_is_not_edited(monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit before a call into C would end the process."""
    params, out = {"w": np.arange(1.0, 4.0)}, np.zeros(3)

    def grads() -> Any:
        size = 8 * len(out)
        ctypes.memmove(out.ctypes.data, params["w"].ctypes.data, size)
        return {"w": 3 * out}

    for name in ("_explain_by_tape", "_explain_by_trace"):
        monkeypatch.setattr(_explain, name, lambda _: pytest.fail("it was edited"))
    found = explained(Target(params, lambda: float(np.sum(params["w"] ** 2)), grads), {"w"})
    assert (found.findings, found.patch) == ([], None)
    assert found.note.startswith("no line is looked for: ctypes.memmove (")
