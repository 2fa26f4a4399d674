"""What is asked of the tape, and what a whole check has to be content with."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradcheck import Target
from gradcheck._common.files import load
from gradcheck._repair import explain as _explain
from gradcheck._repair.explain import Explanation, Question, explain
from gradcheck._symptoms.common_factor import CommonFactor
from gradcheck._usercode.patching import Patch
from gradcheck.report.codes import FindingCode
from tests.gradcheck._repair.spoiled import VJP, cell, line_of


def squares() -> Target:
    """loss = sum of w^2, with a factor in the gradient."""
    params = {"w": np.arange(1.0, 4.0)}

    def grads() -> Any:
        dw = 3.0 * params["w"]
        return {"w": dw}

    return Target(params, lambda: (params["w"] ** 2).sum(), grads)


def explained(subject: Any, known: set[str] | None, accepts: bool = True) -> Explanation:
    """The explanation where a whole check is content with everything, or with nothing."""
    return explain(Question(subject, 0, None, {}, known, lambda *_: accepts))


def test_a_line_is_found_and_mended() -> None:
    """The line would not be named, or without the edit that the check is content with."""
    found = explained(squares(), {"w"})
    assert found.whole
    (finding,) = found.findings
    assert finding.code is FindingCode.WRONG_VARIABLE
    assert finding.fix is not None
    assert finding.statement == 'dw = 3.0 * params["w"]'


def test_an_edit_that_the_check_refuses_is_not_called_verified() -> None:
    """A user would trust an edit after which something is still wrong."""
    found = explained(squares(), {"w"}, accepts=False)
    assert found.patch is None
    assert not found.whole
    assert [finding.fix is not None and finding.fix.verified for finding in found.findings] == [False]


CLIPPED = ("dc = dc + douts[t]", "dc = np.clip(dc + douts[t], -50, 50)")


def test_a_clip_that_shows_only_where_cotangents_are_large_is_named(tmp_path: Path) -> None:
    """A clip inside the backward would be known by its law alone, and no line."""
    found = explained(cell(tmp_path, CLIPPED, source=VJP), None)
    assert found.whole
    (finding,) = found.findings
    assert (finding.line, finding.code) == (line_of(CLIPPED[0], VJP), FindingCode.EXTRA_CLIP)


def test_without_such_a_clip_no_line_is_named(tmp_path: Path) -> None:
    """Where a law is broken by something else, right lines would be accused."""
    assert explained(cell(tmp_path, source=VJP), None).findings == []


#: the carry of the last call is added at the next
CARRIED = (
    ("np.zeros_like(self.U), np.zeros(len(self.W))", "np.zeros_like(self.U), getattr(self, 'c', 0)"),
    ('        return {"W": dW', '        self.c = carry\n        return {"W": dW'),
)


@pytest.mark.parametrize("accepts", [True, False])
def test_what_is_carried_from_call_to_call_is_told_with_its_edit_alone(tmp_path: Path, accepts: bool) -> None:
    """Lines would be accused for what follows from the call before, with nothing to tell them from the one at fault."""
    factory = cell(tmp_path, *CARRIED)
    question = Question(factory, 0, None, dict(factory.sizes), set(), lambda *_: accepts, keeps_state=True)
    found = explain(question)
    assert (bool(found.findings), found.patch is not None) == (accepts, accepts)
    assert all("self.c" in str(one.statement) or "getattr" in str(one.statement) for one in found.findings)


def test_an_error_in_the_search_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that fails would pass for one that finds nothing."""

    def fails(*_: Any, **__: Any) -> Any:
        raise ValueError("of the search")

    monkeypatch.setattr(_explain, "find_by_tape", fails)
    with pytest.raises(ValueError, match="of the search"):
        explained(squares(), {"w"})


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

    monkeypatch.setattr(_explain, "find_by_tape", lambda *_, **__: pytest.fail("it was edited"))
    found = explained(Target(params, lambda: float(np.sum(params["w"] ** 2)), grads), {"w"})
    assert (found.findings, found.patch) == ([], None)
    assert found.note.startswith("no line is looked for: the code calls ctypes.memmove (")


def test_an_edit_by_which_nothing_is_right_is_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that has nothing to confirm would confirm it, and --fix write an edit that mends nothing."""
    found = _explain.find_by_tape(squares(), 0, {}, {"w"})
    assert found is not None
    found.stages = [replace(one, still_wrong=found.wrong) for one in found.stages]
    monkeypatch.setattr(_explain, "find_by_tape", lambda *_, **__: found)
    assert found.wrong == ("w",)
    assert explained(squares(), {"w"}).patch is None


def means() -> Target:
    """loss = mean of w^2 over two sizes that are equal, one of which is left out of the gradient."""
    params, rows, columns = {"w": np.arange(1.0, 10.0).reshape(3, 3)}, 3, 3

    def grads() -> Any:
        assert rows == columns
        dw = 2.0 * params["w"] / rows
        return {"w": dw}

    return Target(params, lambda: (params["w"] ** 2).sum() / rows / columns, grads)


def test_an_equivalent_edit_is_asked_about_where_the_first_is_refused() -> None:
    """A size that is another's at the sizes of the search would be written, or no edit, though the check knows."""
    asked: list[str] = []

    def content(patch: Patch, *_: Any) -> bool:
        asked.extend(edit.text for edits in patch.edits().values() for edit in edits)
        return len(asked) > 1

    found = explain(Question(means(), 0, None, {}, {"w"}, content))
    assert len(asked) == 2
    assert asked[0] != asked[1]
    (finding,) = found.findings
    assert finding.fix is not None
    assert finding.fix.verified
    assert found.patch is not None
    assert [edit.text for edits in found.patch.edits().values() for edit in edits] == asked[1:]
