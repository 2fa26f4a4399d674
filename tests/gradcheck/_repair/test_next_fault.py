"""The next of several faults: what speaks for itself first, then the smallest edit, then what cannot be mended."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from gradcheck._repair.found import Found, Mended
from gradcheck._repair.next_fault import (
    MOST_TOLD,
    fault_in_part,
    faults_of_several,
    next_fault,
    signs_of_several,
    unmended_faults,
    write_into_callers,
)
from gradcheck.report.codes import FindingCode
from tests.gradcheck._repair.eight import EIGHT, NAMES
from tests.gradcheck._repair.lists import LISTS
from tests.gradcheck._repair.spoiled import EMBEDDING, HEAD, VJP, cell, line_of, taped

next_fault_module = import_module("gradcheck._repair.next_fault")


def faults_of(folder: Path, *bugs: tuple[str, str], source: str = HEAD) -> tuple[Found, list[Mended], list[Mended]]:
    """What is found; the next faults; and what would be told if there were none."""
    run, others = taped(cell(folder, *bugs, source=source))
    wrong = {name for name, true in run.true_gradients.items() if abs(run.gradients[name] - true).max() > 1e-7}
    found = Found()
    stages = (next_fault, fault_in_part, faults_of_several)
    faults = next((one for stage in stages if (one := stage(found, run, wrong, others))), [])
    return found, faults, unmended_faults(found, run, wrong, others)


def told(faults: list[Mended]) -> list[tuple[FindingCode | None, int, list[str]]]:
    """The code of each, its line, and the texts of its edits."""
    return [
        (one.code, one.statement.line, [edit.text.strip() for edit in one.mend.edits] if one.mend else [])
        for one in faults
    ]


@pytest.mark.parametrize(("wrong", "names"), [("self.h[t - 1]**2", 1), ("self.h[t]**3", 1), ("self.x[t - 1][0]", 0)])
def test_where_several_would_explain_it_too_one_small_edit_that_mends_all_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, names: int
) -> None:
    """As many numbers are wrong in a small network as several statements could make wrong together."""
    run, others = taped(cell(tmp_path, ("self.h[t]**2", wrong)))
    gradients = {name for name, true in run.true_gradients.items() if abs(run.gradients[name] - true).max() > 1e-7}
    whole = next_fault_module.localise(run, sorted(gradients))
    assert any(one.statement.line == line_of("da = dh") for one in whole.alone)
    several = replace(whole, alone=[], find_together=lambda: whole.alone)
    monkeypatch.setattr(next_fault_module, "_of_backward", lambda *_: several)
    faults = next_fault(Found(), run, gradients, others)
    assert [one.statement.line for one in faults] == names * [line_of("da = dh")]


def test_a_loop_in_the_wrong_order_is_told_as_that(tmp_path: Path) -> None:
    """The statements in the loop would be edited until they make up for the order."""
    bugs = [("reversed(range(len(x)))", "range(len(x))"), ("dc = dc + douts[t]", "c, dc = cs[t], dc + douts[t]")]
    _, (fault,), _ = faults_of(tmp_path, *bugs, source=VJP)
    assert told([fault]) == [(FindingCode.WRONG_ORDER, line_of("for t in reversed", VJP), ["reversed(range(len(x)))"])]
    assert fault.mend is not None
    assert fault.mend.remaining == ()


def test_an_index_that_repeats_is_told_as_that(tmp_path: Path) -> None:
    """A sum through an index that names a row twice would be called a wrong line, without its reason."""
    add = 'np.add.at(dE, chosen, da * p["w"])'
    _, faults, _ = faults_of(tmp_path, (add, 'dE[chosen] += da * p["w"]'), source=EMBEDDING)
    assert told(faults) == [(FindingCode.INDEX_REPEATS, line_of(add, EMBEDDING), [add])]


@pytest.mark.parametrize(
    ("old", "new", "copied"),
    [("dc = dc + douts[t]", "dc += douts[t]", "dc"), ("dc = dc + douts[t]", "douts[t] += dc; dc = douts[t]", "douts")],
)
def test_a_cotangent_that_is_written_into_gets_a_copy(tmp_path: Path, old: str, new: str, copied: str) -> None:
    """A backward that spoils what it was handed would get no fix, since all its gradients are right."""
    run, others = taped(cell(tmp_path, (old, new), source=VJP))
    fault = write_into_callers(run, others)
    assert fault is not None
    assert told([fault]) == [
        (FindingCode.WRITES_INTO_CALLERS, line_of(old, VJP), [f"{copied} = {copied}.copy()"]),
    ]
    assert fault.gradients == ()


def test_writes_into_own_arrays_need_no_copy(tmp_path: Path) -> None:
    """Right code would get copies that it does not need."""
    run, others = taped(cell(tmp_path, source=VJP))
    assert write_into_callers(run, others) is None


def test_the_smallest_of_several_edits_is_taken(tmp_path: Path) -> None:
    """An edit elsewhere that makes up for the mistake would be shown in its place, because it was looked at first."""
    old, new = "da = dh * (1 - self.h[t]**2)", "da = dh * (1 - self.h[t])"
    found, (fault,), _ = faults_of(tmp_path, (old, new))
    assert told([fault]) == [(None, line_of(old), ["self.h[t]**2"])]
    assert found.last is not None
    assert len(found.last.alone) > 1


def test_a_cotangent_that_is_left_aside_is_told(tmp_path: Path) -> None:
    """That what was handed over does not matter would not be told where no edit mends the line."""
    _, _, unmended = faults_of(tmp_path, ("dc = dlast", "dc = 0.0"), source=VJP)
    first = unmended[0]
    assert (first.code, first.name) == (FindingCode.COTANGENT_UNUSED, "dlast")
    assert first.statement.line == line_of("douts, dlast =", VJP)
    assert set(first.gradients) == {"x", "W", "c"}
    assert all(one.mend is None for one in unmended)


def test_faults_without_an_edit_are_told_by_what_each_spoils(tmp_path: Path) -> None:
    """The line that gathers all gradients would be accused, since it alone could make all of them right."""
    bugs = [(f"d{name} += dy", f"d{name} = dy") for name in NAMES]
    found, _, unmended = faults_of(tmp_path, *bugs, source=EIGHT)
    assert found.last is not None
    assert [one.line for one in found.last.alone] == [line_of("return {", EIGHT)]
    lines = {(name,): line_of(f"d{name} += dy", EIGHT) for name in NAMES[1:]}
    told = {one.gradients: one.statement.line for one in unmended}
    assert len(told) == MOST_TOLD
    assert told.pop(("a",)) in (line_of("da += dy", EIGHT), line_of("dy = ", EIGHT))  # its factor is one: both could be
    assert told == {name: lines[name] for name in told}


def test_several_faults_without_edits_are_told_by_sure_signs(tmp_path: Path) -> None:
    """Where nothing mends anything, innocent lines that could explain a gradient would be accused."""
    bugs = [("dh += dh_next", "pass"), ("do = o * (1 - o) * do", "do = np.sort(o) * np.sin(do)")]
    run, _ = taped(cell(tmp_path, *bugs, source=LISTS))
    told = {one.statement.line: one.code for one in signs_of_several(run, {"Wi", "Wo", "Wg", "bi", "bo"})}
    assert told == {
        line_of(bugs[1][0], LISTS): None,
        line_of('dh = p["V"].T @ dv', LISTS): FindingCode.LATER_STEPS_MISSING,
    }


def test_right_code_has_no_signs(tmp_path: Path) -> None:
    """Beside one fault that an edit mends, right lines would be told."""
    run, _ = taped(cell(tmp_path, source=LISTS))
    assert signs_of_several(run, set(run.true_gradients)) == []
