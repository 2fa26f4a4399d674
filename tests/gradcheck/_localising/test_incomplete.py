"""States whose derivatives lack what comes back from later steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._localising.incomplete import incomplete
from tests.gradcheck._repair.lists import LISTS
from tests.gradcheck._repair.spoiled import HEAD, cell, line_of, taped


def lines(folder: Path, *bugs: tuple[str, str], source: str) -> list[int]:
    """Where something is lacking."""
    run, _ = taped(cell(folder, *bugs, source=source))
    return [one.line for one in incomplete(run)]


@pytest.mark.parametrize("wrong", ["pass", "dh += 0 * dh_next"])
def test_a_state_without_what_comes_back_is_told(tmp_path: Path, wrong: str) -> None:
    """The commonest mistake of all, a carry left out, would have no line beside other faults."""
    bug = ("dh += dh_next", wrong)
    assert lines(tmp_path, bug, source=LISTS) == [line_of('dh = p["V"].T @ dv', LISTS)]


def test_it_is_told_beside_other_faults(tmp_path: Path) -> None:
    """With a second mistake in the same backward the line would be lost."""
    bugs = [("dh += dh_next", "pass"), ("do = o * (1 - o) * do", "do = o * do")]
    assert line_of('dh = p["V"].T @ dv', LISTS) in lines(tmp_path, *bugs, source=LISTS)


@pytest.mark.parametrize("source", [LISTS, HEAD])
def test_right_code_lacks_nothing(tmp_path: Path, source: str) -> None:
    """Terms that are added up later would be accused."""
    assert lines(tmp_path, source=source) == []


def test_another_fault_is_not_taken_for_a_lack(tmp_path: Path) -> None:
    """A line that is right would be accused of what a wrong one spoils."""
    bug = ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])")
    assert lines(tmp_path, bug, source=LISTS) == []
