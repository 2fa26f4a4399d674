"""The records of what the tape finds."""

from __future__ import annotations

from pathlib import Path

from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.tape_findings import MOST_LONGER, tape_findings
from gradcheck.report.evidence import EquivalentEdit
from tests.gradcheck._repair.spoiled import SIZES, cell, line_of


def test_an_edit_is_told_with_its_place(tmp_path: Path) -> None:
    """A fix would be shown at another line, or for other gradients, than it is for."""
    found = find_by_tape(cell(tmp_path, ("self.h[t - 1])", "self.h[t - 1 + 1])")), 0, SIZES, {"W"})
    assert found is not None
    (finding,) = tape_findings(found, verified=True)
    assert (finding.line, finding.blocks) == (line_of("dW += np.outer"), ("W",))
    assert finding.fix is not None
    assert finding.fix.verified
    assert finding.fix.after == "dW += np.outer(da, self.h[t - 1])"


def test_what_says_the_same_in_more_words_is_not_told(tmp_path: Path) -> None:
    """A reader would have to tell `t - 1 + 1 - 1` from `t - 1`."""
    found = find_by_tape(cell(tmp_path, ("self.h[t - 1])", "self.h[t - 1 + 1])")), 0, SIZES, {"W"})
    assert found is not None
    (fault,) = found.faults
    lengths = [len(edit.text) for one in fault.others for edit in one.edits]
    (finding,) = tape_findings(found, verified=True)
    told = [one.after for one in finding.evidence if isinstance(one, EquivalentEdit)]
    assert lengths  # the search knows others
    assert finding.fix is not None
    assert all(len(text) <= len(finding.fix.after) + 2 * MOST_LONGER for text in told)
    assert not any("+ 1 - 1" in text for text in told)


def test_a_sign_on_a_sign_is_no_other_edit(tmp_path: Path) -> None:
    """A reader would be offered `1 + -o` beside `1 - o`."""
    found = find_by_tape(cell(tmp_path, ("(1 - self.h[t]**2)", "(1 + self.h[t]**2)")), 0, SIZES, {"W", "U"})
    assert found is not None
    (finding,) = tape_findings(found, verified=True)
    assert finding.fix is not None
    assert "(1 - self.h[t]**2)" in finding.fix.after
    assert not [one.after for one in finding.evidence if isinstance(one, EquivalentEdit) and "+ -" in one.after]
