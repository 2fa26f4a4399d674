"""Right derivatives in the gradients of other parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._localising.misdirected import misdirected
from gradcheck._repair.by_tape import find_by_tape
from tests.gradcheck._repair.lists import LISTS, SIZES
from tests.gradcheck._repair.spoiled import HEAD, cell, line_of, taped


def told(folder: Path, *bugs: tuple[str, str], source: str = LISTS) -> list[tuple[int, str]]:
    """The line and the gradient of each."""
    run, _ = taped(cell(folder, *bugs, source=source))
    return [(one.statement.line, one.of) for one in misdirected(run)]


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ('d["bi"] += di', 'd["bi"] += do', "bi"),
        ('d["Wi"] += di @ z.T', 'd["Wi"] += dg @ z.T', "Wi"),
    ],
)
def test_a_term_of_another_gradient_is_told(tmp_path: Path, old: str, new: str, name: str) -> None:
    """Two gates mixed up would have no line beside another fault: what is added is a derivative like any other."""
    assert (line_of(old, LISTS), name) in told(tmp_path, (old, new))


@pytest.mark.parametrize("source", [LISTS, HEAD])
def test_right_code_gives_each_gradient_its_own(tmp_path: Path, source: str) -> None:
    """Right lines would be accused."""
    assert told(tmp_path, source=source) == []


@pytest.mark.lines
def test_it_is_mended_beside_another_fault(tmp_path: Path) -> None:
    """Neither makes a gradient right alone where the other is on its way."""
    bugs = [
        ('d["Wi"] += di @ z.T', 'd["Wi"] += dg @ z.T'),
        ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"),
    ]
    found = find_by_tape(cell(tmp_path, *bugs, source=LISTS), 0, SIZES, {"Wi", "Wo", "Wg", "bi", "bo"})
    assert found is not None
    assert found.still_wrong == ()
    assert {one.line for one in found.faults} == {line_of(old, LISTS) for old, _ in bugs}
