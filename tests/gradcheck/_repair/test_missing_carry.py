"""Carries that no variable holds: written with their zero, their term, and what each step hands on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.found import Found
from gradcheck._repair.missing_carry import missing_carry
from gradcheck._repair.tape_findings import tape_findings
from gradcheck.report.codes import FindingCode
from tests.gradcheck._repair.forecaster import NOT_FED_BACK
from tests.gradcheck._repair.forecaster import mended as forecasters_mended
from tests.gradcheck._repair.lists import LISTS, SIZES
from tests.gradcheck._repair.spoiled import cell, found_alone, line_of

#: the commonest mistake of all: each step's own part is all there is
NO_CARRY = (
    ("dh_next, dc_next = np.zeros((n, 1)), np.zeros((n, 1))", "dc_next = np.zeros((n, 1))"),
    ("        dh += dh_next\n", ""),
    ("        dh_next = dz[:n]\n", ""),
)


def mended(folder: Path, *bugs: tuple[str, str]) -> tuple[str, Found]:
    """The text with the edits that are found, and what was found."""
    found = find_by_tape(cell(folder, *bugs, source=LISTS), 0, SIZES, {"Wi", "Wo", "Wg", "bi", "bo"})
    assert found is not None
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    return source.edited(found.edits[source.file]), found


@pytest.mark.lines
def test_the_carry_is_written(tmp_path: Path) -> None:
    """Whoever never carries anything back would be told where, and not how."""
    text, found = mended(tmp_path, *NO_CARRY)
    assert found.still_wrong == ()
    assert "    dh_next = 0\n    for t" in text
    assert 'dh = p["V"].T @ dv + dh_next\n' in text
    assert "        dh_next = dz[:n]\n" in text
    (finding,) = tape_findings(found, verified=True)
    assert (finding.code, finding.line) == (FindingCode.LATER_STEPS_MISSING, line_of('dh = p["V"].T @ dv', LISTS))


@pytest.mark.lines
def test_it_is_written_beside_another_fault(tmp_path: Path) -> None:
    """No gradient is right with the carry alone."""
    text, found = mended(tmp_path, *NO_CARRY, ("do = o * (1 - o) * do", "do = o * do"))
    assert found.still_wrong == ()
    assert "dh_next = dz[:n]" in text
    assert len(found.faults) == 2


#: what the search alone says
asked = partial(found_alone, missing_carry, source=LISTS)


@pytest.mark.parametrize("bugs", [(), (("dh_next = dz[:n]", "dh_next = 0 * dz[:n]"),)])
def test_a_carry_that_there_is_is_left_alone(tmp_path: Path, bugs: tuple[tuple[str, str], ...]) -> None:
    """A second variable would stand beside the first, which hands on nothing, or beside one that is right."""
    assert asked(tmp_path, *bugs) is None


@pytest.mark.lines
def test_outputs_that_are_fed_back_are_carried_beside_another_fault(tmp_path: Path) -> None:
    """What is right for `out - y` would be taken for right for `out`, and innocent lines would be accused."""
    overwritten = ('g["R"] += np.outer(da, s)', 'g["R"] = np.outer(da, s)')
    text, found = forecasters_mended(tmp_path, *NOT_FED_BACK, overwritten)
    assert found.still_wrong == ()
    assert "dout = out - y[t] + dout_next\n" in text
    assert 'dout_next = p["F"].T @ da * shares[t]\n' in text
    assert overwritten[0] in text
