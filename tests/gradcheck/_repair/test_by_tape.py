"""Lines and edits by the tape: solvable statements, the smallest edit, one fault after the other."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck._common.clock import TimeUpError
from gradcheck._localising import Localisation, localise
from gradcheck._localising.blame import Role
from gradcheck._repair import by_tape
from gradcheck._repair import next_fault as next_fault_module
from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.likeliest_mend import LikeliestMend
from gradcheck._repair.points import points_of
from gradcheck._repair.tape_findings import tape_findings
from gradcheck._symptoms.common_factor import CommonFactor
from gradcheck.report.codes import FindingCode
from tests.gradcheck._repair.spoiled import SIZES, VJP, cell, line_of


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("da = dh * (1 - self.h[t]**2)", "da = dh * (1 - self.h[t])"),
        ("dW += np.outer(da, self.h[t - 1])", "dW += np.outer(da, self.h[t])"),
        ("carry = self.W.T @ da", "carry = self.W @ da"),
        ("dh = self.h[t] + carry", "dh = self.h[t] - carry"),
    ],
)
def test_one_fault_is_named_and_mended(tmp_path: Path, old: str, new: str) -> None:
    """A single wrong line would be named wrongly, or mended in another style or place than it was right."""
    found = find_by_tape(cell(tmp_path, (old, new)), 0, SIZES, {"W", "U"})
    assert found is not None
    assert found.still_wrong == ()
    (fault,) = found.faults
    line = line_of(old)
    assert fault.suspect.line == line
    (finding,) = tape_findings(found, verified=True)
    assert (finding.line, finding.fix.verified) == (line, True)
    assert set(finding.blocks) <= {"W", "U"}
    source = found.sources[str(tmp_path / "cell.py")]
    mended = source.edited(found.edits[source.file]).split("\n")[line - 1].strip()
    assert abs(len(mended) - len(old)) < 3  # if it is not the same, then one as short


def test_two_faults_one_after_the_other(tmp_path: Path) -> None:
    """What the first edit uncovers would not be looked at, or its edit be placed as if the first were not there."""
    factory = cell(tmp_path, ("self.h[t - 1])", "self.h[t])"), ("np.outer(da, self.x", "np.outer(dh, self.x"))
    found = find_by_tape(factory, 0, SIZES, {"W", "U"})
    assert found is not None
    assert found.still_wrong == ()
    assert sorted(fault.statement.line for fault in found.faults) == [line_of("dW +="), line_of("dU +=")]
    assert {finding.blocks for finding in tape_findings(found, verified=False)} == {("W",), ("U",)}


@pytest.mark.parametrize(("freedom", "is_told"), [(4, True), (2, False)])
def test_of_a_search_that_was_cut_the_line_that_is_ahead_is_told(tmp_path, monkeypatch, freedom, is_told) -> None:
    """A line that is found before the time is up would be kept back, or one of several like it be accused."""

    def localised(*arguments: Any, **options: Any) -> Localisation:
        found = localise(*arguments, **options)
        ones = [replace(one, role=Role.CONSUMES, changes=1 if k == 0 else freedom) for k, one in enumerate(found.alone)]
        return replace(found, alone=[*ones, replace(ones[0], changes=freedom)])

    def cut(_: LikeliestMend) -> None:
        raise TimeUpError

    monkeypatch.setattr(next_fault_module, "localise", localised)
    monkeypatch.setattr(LikeliestMend, "faults", cut)
    old = "dW += np.outer(da, self.h[t - 1])"
    found = find_by_tape(cell(tmp_path, (old, "dW += np.outer(da, self.h[t])")), 0, SIZES, {"W", "U"})
    assert found is not None
    assert found.is_cut
    assert [one.line for one in found.faults] == ([line_of(old)] if is_told else [])


def test_right_code_has_no_fault(tmp_path: Path) -> None:
    """Right code would be accused."""
    assert find_by_tape(cell(tmp_path), 0, SIZES, {"W", "U"}) is None


def test_other_gradients_than_the_check_found_wrong_are_not_looked_at(tmp_path: Path) -> None:
    """Where the tape and the check do not agree, lines would be named for gradients that are right."""
    factory = cell(tmp_path, ("self.h[t - 1])", "self.h[t])"))
    assert find_by_tape(factory, 0, SIZES, {"U"}) is None


def test_source_lines_are_looked_up_as_before_afterwards(tmp_path: Path) -> None:
    """Tracebacks would show the lines of an edit that was only tried."""
    factory = cell(tmp_path, ("self.h[t - 1])", "self.h[t])"), ("np.outer(da, self.x", "np.outer(dh, self.x"))
    file = str(tmp_path / "cell.py")
    before = linecache.getlines(file)
    find_by_tape(factory, 0, SIZES, {"W", "U"})
    assert linecache.getlines(file) == before


def test_a_fault_without_an_edit_is_told(tmp_path: Path) -> None:
    """A fault that nothing mends would not be told at all."""
    factory = cell(tmp_path, ("da = dh * (1 - self.h[t]**2)", "da = np.sort(dh) * np.cos(self.h[t] * 17.3)"))
    found = find_by_tape(factory, 0, SIZES, {"W", "U"})
    assert found is not None
    if found.still_wrong:
        finding = tape_findings(found, verified=False)[-1]
        assert (finding.code, finding.fix) == (FindingCode.WRONG_LINE, None)
        assert finding.line == line_of("da = dh")
    else:
        assert found.faults[0].suspect.line == line_of("da = dh")


def test_a_target_without_sizes_is_confirmed_at_other_parameters() -> None:
    """A single Target would get edits that fit its one point by chance."""
    w = np.array([0.3, -0.7])

    def grads() -> dict[str, Any]:
        return {"w": -np.cos(w)}

    target = gradcheck.Target({"w": w}, lambda: float(np.sum(np.sin(w))), grads)
    found = find_by_tape(target, 0, {}, {"w"})
    assert found is not None
    (fault,) = found.faults
    assert fault.mend is not None
    assert "-" not in fault.mend.edits[0].text


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [("da, self.x", "dh, self.x", 0.25), ("carry = self.W.T @ da", "carry = self.W @ da", 0.25)],
)
def test_a_factor_in_common_beside_a_fault(tmp_path: Path, old: str, new: str, value: float) -> None:
    """Where everything is divided by the number of steps as well, the mistake beside it would not be found."""
    scaled = ("dh = self.h[t] + carry", "dh = self.h[t] / len(self.x) + carry")
    common = CommonFactor(value, "1/T", ("W",))
    found = find_by_tape(cell(tmp_path, scaled, (old, new)), 0, SIZES, {"W", "U"}, common)
    assert found is not None
    assert found.still_wrong == ()
    assert [(one.statement.line, one.is_common) for one in found.faults] == [
        (line_of(old), False),
        (line_of(scaled[0]), True),
    ]
    findings = tape_findings(found, verified=True)
    assert [one.symptom for one in findings] == [None, FindingCode.COMMON_FACTOR]


def test_a_factor_that_a_penalty_has_not_is_one_fault(tmp_path: Path) -> None:
    """With the factor divided out of all gradients, the line of the penalty would be accused as well."""
    penalised = [
        ("for h in self.h))\n", "for h in self.h)) / len(x) + float(np.sum(self.W**2))\n"),
        ("dW, dU, carry = np.zeros_like(self.W),", "dW, dU, carry = 2 * self.W,"),
    ]
    divided = "dh = self.h[t] / len(self.x) + carry"
    found = find_by_tape(
        cell(tmp_path, *penalised, ("dh = self.h[t] + carry", divided.replace("len(self.x)", "1"))),
        0,
        SIZES,
        {"W", "U"},
        CommonFactor(4.0, "T", ("U",)),
    )
    assert found is not None
    assert found.still_wrong == ()
    (finding,) = tape_findings(found, verified=True)
    assert (finding.line, finding.fix.after) == (line_of("dh = self.h[t]"), divided)


MATRICES = """\
import numpy as np
import gradcheck


@gradcheck.target
def cell(rng, *, T=4, D=2, H=3):
    W, U = np.asmatrix(rng.standard_normal((H, H)) / 2), np.asmatrix(rng.standard_normal((H, D)))
    x = [np.asmatrix(rng.standard_normal((D, 1))) for _ in range(T)]

    def states():
        h = [np.asmatrix(np.zeros((H, 1)))]
        for xt in x:
            h.append(np.tanh(W * h[-1] + U * xt))
        return h

    def grads():
        h, dW, dU, carry = states(), np.zeros_like(W), np.zeros_like(U), np.asmatrix(np.zeros((H, 1)))
        for t in range(T, 0, -1):
            dh = h[t] + carry
            da = np.multiply(dh, 1 - np.square(h[t]))
            dW += da * h[t - 1].T
            dU += da * x[t - 1].T
            carry = W.T * da
        return {"W": dW, "U": dU}

    return gradcheck.Target({"W": W, "U": U}, lambda: 0.5 * float(sum(np.sum(np.square(h)) for h in states())), grads)
"""


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")  # as old code has it
@pytest.mark.parametrize(
    ("old", "new"),
    [("da * h[t - 1].T", "da * h[t].T"), ("W.T * da", "W * da"), ("(dh, 1 - np.square", "(dh, np.square")],
)
def test_matrices_are_mended_as_matrices(tmp_path: Path, old: str, new: str) -> None:
    """Where a star is the product of matrices no line would be found, or an edit be written for arrays."""
    found = find_by_tape(cell(tmp_path, (old, new), source=MATRICES), 0, SIZES, {"W", "U"})
    assert found is not None
    assert found.still_wrong == ()
    (fault,) = found.faults
    assert fault.statement.line == line_of(old, MATRICES)


def test_faults_that_are_told_apart_in_one_step_of_time(tmp_path: Path) -> None:
    """Faults that spoil each other in the recurrence would all go without a fix."""
    bugs = [("(1 - self.h[t]**2)", "(1 - self.h[t])"), ("carry = self.W.T @ da", "carry = self.W @ dh")]
    found = find_by_tape(cell(tmp_path, *bugs), 0, SIZES, {"W", "U"})
    assert found is not None
    assert found.still_wrong == ()
    assert [one.statement.line for one in found.faults] == [line_of(old) for old, _ in bugs]
    assert all(one.edits for one in found.faults)


def test_a_loop_in_the_wrong_order_is_turned_round(tmp_path: Path) -> None:
    """The lines of a loop that runs from the first step to the last would be accused."""
    old, new = "range(len(self.x), 0, -1)", "range(1, len(self.x) + 1)"
    found = find_by_tape(cell(tmp_path, (old, new)), 0, SIZES, {"W", "U"})
    assert found is not None
    assert found.still_wrong == ()
    (finding,) = tape_findings(found, verified=True)
    assert finding.line == line_of(old)
    assert finding.fix is not None
    assert finding.fix.after == f"for t in reversed({new}):"


@pytest.mark.parametrize("is_impure", [True, False])
def test_what_is_written_into_is_copied_where_the_check_found_it_changed(tmp_path: Path, *, is_impure: bool) -> None:
    """A backward that spoils its cotangents would get no fix, or one that nobody asked for."""
    factory = cell(tmp_path, ("dc = dc + douts[t]", "dc += douts[t]"), source=VJP)
    found = find_by_tape(factory, 0, dict(factory.sizes), {"x", "W", "c"}, is_impure=is_impure)
    if not is_impure:
        assert found is None
        return
    assert found is not None
    (finding,) = tape_findings(found, verified=True)
    assert (finding.code, finding.blocks) == (FindingCode.WRITES_INTO_CALLERS, ())
    assert finding.line == line_of("dc = dc + douts[t]", VJP)
    assert finding.fix is not None
    assert "dc = dc.copy()" in finding.fix.after
    assert [stage.faults for stage in found.stages] == [1]  # without a stage there is nothing to verify


def test_the_cotangent_of_the_last_state_is_put_back(tmp_path: Path) -> None:
    """That a backward begins with zeros in place of what it is handed would not be mended where it begins."""
    factory = cell(tmp_path, ("dc = dlast\n", "dc = np.zeros_like(dlast)\n"), source=VJP)
    found = find_by_tape(factory, 0, dict(factory.sizes), {"x", "W", "c"})
    assert found is not None
    assert found.still_wrong == ()
    (finding,) = tape_findings(found, verified=True)
    assert finding.line == line_of("dc = dlast", VJP)
    assert finding.fix is not None
    assert finding.fix.after == "dc = dlast"


IN_LAMBDAS = """\
import numpy as np
import gradcheck


@gradcheck.target
def cell(rng, *, N=3):
    w = rng.standard_normal(N)
    return gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": 3 * w})
"""


def test_what_a_lambda_does_is_edited(tmp_path: Path) -> None:
    """Where loss and gradients stand in one statement, it would be named without an edit."""
    found = find_by_tape(cell(tmp_path, source=IN_LAMBDAS), 0, {"N": 3}, {"w"})
    assert found is not None
    assert found.still_wrong == ()
    assert [edit.text for fault in found.faults for edit in fault.edits] == ["2"]


#: values that are bound within expressions
WALRUS = """\
import numpy as np
import gradcheck


@gradcheck.target
def cell(rng, *, T=4, H=3):
    U, x = rng.standard_normal((H, H)), rng.standard_normal((T, H))

    def states():
        return [h := np.zeros(H), *((h := np.tanh(x[t] + h @ U)) for t in range(T))]

    def grads():
        hs, d, dU = states(), np.ones(H), np.zeros((H, H))
        for t in reversed(range(T)):
            dU += np.outer(hs[t], (da := d * (1 - (s := hs[t + 1]) * s)))
            d = da @ U
        return {"U": dU}

    return gradcheck.Target({"U": U}, lambda: float(states()[-1].sum()), grads)
"""


def test_a_line_beside_names_that_expressions_bind(tmp_path: Path) -> None:
    """Code with `:=` would end the search, or get no edit."""
    found = find_by_tape(cell(tmp_path, source=WALRUS), 0, {"T": 4, "H": 3}, {"U"})
    assert found is not None
    assert found.still_wrong == ()
    assert [edit.text for fault in found.faults for edit in fault.edits] in (["U.T"], ["U @ da"])


#: all parameters in one vector, so that there is one gradient
FLAT = """\
import numpy as np
import gradcheck


@gradcheck.target
def cell(rng, *, T=3, B=2, D=2, H=3):
    flat, x = rng.standard_normal(H * D + 2 * H), rng.standard_normal((T, B, D))

    def unpacked(v):
        return v[: H * D].reshape(H, D), v[H * D : H * D + H], v[H * D + H :]

    def forward():
        W, leak, shift = unpacked(flat)
        h, kept = np.zeros((B, H)), []
        a = 1 / (1 + np.exp(-leak))
        for xt in x:
            u = np.tanh(xt @ W.T + shift)
            kept.append((h, u))
            h = (1 - a) * h + a * u
        return 0.5 * float(np.sum(h**2)), h, kept, a

    def grads():
        _, dh, kept, a = forward()
        out = np.zeros_like(flat)
        dW, dleak, dshift = unpacked(out)
        da = np.zeros(H)
        for t in reversed(range(T)):
            h, u = kept[t]
            da += np.sum(dh * (u - h), axis=0)
            dz = dh * a * (1 - u**2)
            dW += dz.T @ x[t]
            dshift += dz.sum(axis=0)
            dh = dh * (1 - a)
        dleak += da * a * (1 - a)
        return {"flat": out}

    return gradcheck.Target({"flat": flat}, lambda: forward()[0], grads)
"""


def test_two_faults_in_one_flat_gradient(tmp_path: Path) -> None:
    """One gradient holds all parameters: it is right once both faults are mended, so that neither edit would count."""
    bugs = [("da += np.sum(dh * (u - h), axis=0)", "da += np.sum(dh * (u - dh), axis=0)"),
            ("dshift += dz.sum(axis=0)", "dshift += dh.sum(axis=0)")]  # fmt: skip
    found = find_by_tape(cell(tmp_path, *bugs, source=FLAT), 0, {"T": 3, "B": 2, "D": 2, "H": 3}, {"flat"})
    assert found is not None
    assert found.still_wrong == ()
    assert {one.line for one in found.faults} == {line_of(old, FLAT) for old, _ in bugs}
    assert {one.gradients for one in found.faults} == {("flat",)}


#: a gradient that is the array of its last step, which NumPy is handed afterwards
STEPS = """\
import numpy as np
import gradcheck


def forward(p, x):
    h, kept = np.zeros(len(p["b"])), []
    for xt in x:
        before, h = h, np.tanh(np.dot(xt, p["W"]) + np.dot(h, p["U"]) + p["b"])
        kept.append((xt, before, h))
    return kept


def grads(p, x):
    g, carry = {name: np.zeros_like(one) for name, one in p.items()}, 0.0
    for xt, before, h in reversed(forward(p, x)):
        d = (h + carry) * (1 - h ** 2)
        g["b"] += d
        g["W"] += np.outer(xt, d)
        g["U"] += np.outer(before, d)
        carry = np.dot(d, p["U"].T)
    return g


@gradcheck.target
def cell(rng, *, T=3, D=2, H=3):
    p = {"W": rng.standard_normal((D, H)), "U": rng.standard_normal((H, H)), "b": rng.standard_normal(H)}
    x = rng.standard_normal((T, D))
    return gradcheck.Target(p, lambda: 0.5 * sum(np.sum(h ** 2) for *_, h in forward(p, x)), lambda: grads(p, x))
"""


def test_a_gradient_that_is_bound_and_not_added_up_is_mended_where_it_is_bound(tmp_path: Path) -> None:
    """The line that hands the same array to NumPy afterwards would be told, and `=` for `+=` not be mended."""
    factory = cell(tmp_path, ('g["b"] += d', 'g["b"] = d'), source=STEPS)
    found = find_by_tape(factory, 0, dict(factory.sizes), {"b"})
    assert found is not None
    assert found.still_wrong == ()
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    assert source.edited(found.edits[source.file]) == STEPS


def test_where_one_is_to_blame_and_not_mended_a_missing_statement_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is clear who is to blame, a missing statement, and edits left out for time, would not be tried."""
    asked: list[str] = []

    def stage(name: str) -> Callable[..., bool]:
        return lambda *_: bool(asked.append(name))

    for name in ("_missing", "_values", "_thoroughly"):
        monkeypatch.setattr(by_tape._Search, name, stage(name))
    monkeypatch.setattr(by_tape, "_is_clear", lambda _: True)
    monkeypatch.setattr(LikeliestMend, "faults", lambda _: [])
    find_by_tape(cell(tmp_path, ("self.h[t - 1])", "self.h[t])")), 0, SIZES, {"W"})
    assert set(asked) == {"_thoroughly", "_missing"}


def test_nothing_is_told_by_values_once_all_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the edit that mends all, another would be added by which gradients are wrong again."""
    factory = cell(tmp_path)
    search = by_tape._Search(factory, set(), (), is_impure=False, keeps_state=False)
    points, found = next(iter(points_of(factory, 0, SIZES))), Found()
    with search._runs.taped(points[0], found) as run:
        by_tape._add_sources(found, run, points[0])
        found.faults.append(Mended(run.statements[0], ("W",), is_by_value=True))
    monkeypatch.setattr(by_tape._Search, "_values", lambda *_: True)
    assert not search._goes_by_values(points, found)
