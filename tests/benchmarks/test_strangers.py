"""The benchmark of other people's cells: its own truth, its own score."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import strangers
from strangers import Cell, cells, is_right, scored

CELLS = {cell.name: cell for cell in cells()}
SMALL = "narx_greek"


@pytest.mark.parametrize("name", CELLS)
def test_each_cell_is_right_as_it_is_and_its_bugs_are_in_one_line(name: str) -> None:
    """A cell that is wrong itself would make every mend of it look like a failure."""
    cell = CELLS[name]
    assert is_right(cell.text, cell.sizes)
    assert len(cell.bugs) == 8
    for bug, (old, _) in cell.bugs.items():
        text, (line,) = cell.planted(bug)
        assert "\n" not in old
        assert text.splitlines()[line - 1] != cell.text.splitlines()[line - 1]
    assert all({*pair} <= {*cell.bugs} for pair in cell.pairs)


@pytest.mark.parametrize("bug", CELLS[SMALL].bugs)
def test_each_bug_is_wrong(bug: str) -> None:
    """What mends nothing would count as mended."""
    cell = CELLS[SMALL]
    assert not is_right(cell.planted(bug)[0], cell.sizes)


def spoiling(path: Path) -> tuple[dict[str, Any], float]:
    """A tool that names the first line, and writes into the file what is no mend."""
    path.write_text("def loss(): pass\n" + path.read_text())
    return {"findings": [{"line": None}, {"line": 1}]}, 0.5


def test_the_word_of_the_tool_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the tool has destroyed would count as mended."""
    cell = CELLS[SMALL]
    bug = next(iter(cell.bugs))
    monkeypatch.setattr(strangers, "asked", spoiling)
    score = scored(cell, (bug,))
    assert (score.is_first, score.is_right, score.is_written, score.named) == (False, False, True, [1])
    monkeypatch.setattr(strangers, "asked", lambda path: (_mended(path, cell, bug), 0.5))
    score = scored(cell, (bug,))
    assert (score.is_first, score.is_right, score.is_written) == (True, True, True)
    assert "| all | 1 | 1 | 1 | 0 | 0.5 | 0.5 |" in strangers.table([score])


def _mended(path: Path, cell: Cell, bug: str) -> dict[str, Any]:
    path.write_text(cell.text + cell.target())
    return {"findings": [{"line": cell.planted(bug)[1][0]}]}


@pytest.mark.lines
def test_a_bug_is_named_and_mended() -> None:
    """The command would not run, or its report not be read."""
    score = scored(CELLS["scrn_homework"], ("char-seen-twice-overwritten",))
    assert score.is_first
    assert score.is_right
    assert score.seconds > 0
