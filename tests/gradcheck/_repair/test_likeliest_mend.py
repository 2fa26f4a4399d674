"""Of those who could be to blame, the one whose edit mends most and changes least."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gradcheck._localising import localise
from gradcheck._repair.each_gradient import without_forward
from gradcheck._repair.found import Mended
from gradcheck._repair.likeliest_mend import LikeliestMend, Sooner
from gradcheck._repair.wrong_values import wrong_gradients
from tests.gradcheck._repair.spoiled import HEAD, cell, line_of, taped


def fault_of(
    folder: Path, *bugs: tuple[str, str], source: str = HEAD, sooner: Sooner | None = None, is_brief: bool = False
) -> Mended | None:
    """The fault that is chosen."""
    run, others = taped(cell(folder, *bugs, source=source))
    wrong = sorted(wrong_gradients(run))
    found = without_forward(run, localise(run, wrong, second=others[-1].run()))
    again = [one.taped for one in others]
    return next(iter(LikeliestMend(run, found, again, set(), sooner=sooner, is_brief=is_brief).faults()), None)


@pytest.mark.parametrize(
    ("old", "new", "edit"),
    [
        ("carry = self.W.T @ da", "carry = self.W @ da", "da @ self.W"),
        ("da = dh * (1 - self.h[t]**2)", "da = dh * (1 - self.h[t])**2", "(1 - self.h[t]**2)"),
        ("dU += np.outer(da, self.x[t - 1])", "dU = np.outer(da, self.x[t - 1])", "+="),
    ],
)
def test_the_statement_with_the_smallest_edit_is_chosen(tmp_path: Path, old: str, new: str, edit: str) -> None:
    """Statements beside the fault could make up for it, in more words."""
    fault = fault_of(tmp_path, (old, new))
    assert fault is not None
    assert fault.statement.line == line_of(old)
    assert fault.mend is not None
    assert fault.mend.remaining == ()
    assert [one.text.strip() for one in fault.mend.edits] == [edit]


def test_what_stands_around_is_tried_where_no_suspect_is_mended(tmp_path: Path) -> None:
    """A loop that leaves a step out would be told at a line inside it."""
    old, new = "for t in range(len(self.x), 0, -1):", "for t in range(len(self.x), 1, -1):"
    fault = fault_of(tmp_path, (old, new))
    assert fault is not None
    assert fault.statement.line == line_of(old)


def test_an_innocent_suspect_is_not_chosen(tmp_path: Path) -> None:
    """What only could be at fault would be edited, whether an edit makes anything right or not."""
    run, others = taped(cell(tmp_path, ("carry = self.W.T @ da", "carry = self.W @ da")))
    found = localise(run, ["U", "W"], second=others[-1].run())
    innocent = [one for one in found.alone if one.line == line_of('return {"W"')]
    assert innocent
    search = LikeliestMend(run, replace(found, alone=innocent), [one.taped for one in others], set())
    assert not search.faults()


def test_what_is_found_sooner_elsewhere_is_asked_where_no_small_edit_mends_all(tmp_path: Path) -> None:
    """Edits of a dozen suspects would be tried, though with one step of time the fault is found at once."""
    asked: list[Mended] = []
    loop = ("for t in range(len(self.x), 0, -1):", "for t in range(len(self.x), 1, -1):")
    known = fault_of(tmp_path, loop)
    assert known is not None

    def sooner() -> list[Mended]:
        asked.append(known)
        return [known]

    assert fault_of(tmp_path, loop, sooner=sooner) is known
    assert len(asked) == 1
    beside = tmp_path / "beside"
    beside.mkdir()
    small = fault_of(beside, ("carry = self.W.T @ da", "carry = self.W @ da"), sooner=sooner)
    assert small is not known
    assert len(asked) == 1
