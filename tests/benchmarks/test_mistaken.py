"""The benchmark of programs with several mistakes: its own truth, its own score."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import mistaken
from mistaken import is_right, programs, scored

PROGRAMS = {one.name: one for one in programs()}
SMALL = "charrnn"


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_is_right_once_all_is_mended_and_not_before(name: str) -> None:
    """A mistake that is none would count as missed, a program that is wrong otherwise as never mended."""
    program = PROGRAMS[name]
    assert len(program.faults) > 1
    assert is_right(program.mended())
    assert not any(is_right(program.mended(but=number)) for number in range(len(program.faults)))
    last = program.text.count("\n") + 1
    assert all(0 < line <= last for fault in program.faults for line in fault.lines)


def test_the_word_of_the_tool_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the tool has destroyed would count as mended, or an innocent line as found."""
    program = PROGRAMS[SMALL]

    def spoiling(path: Path) -> tuple[dict[str, Any], float]:
        path.write_text("import nothing_of_that_name\n")
        return {"findings": [{"line": 1, "fix": {"verified": True}}]}, 0.5

    monkeypatch.setattr(mistaken, "asked", spoiling)
    score = scored(program)
    assert (score.is_right, score.is_written, score.others, len(score.missed)) == (
        False,
        True,
        [1],
        len(program.faults),
    )

    def mending(path: Path) -> tuple[dict[str, Any], float]:
        path.write_text(program.mended())
        return {"findings": [{"line": fault.lines[0]} for fault in program.faults]}, 0.5

    monkeypatch.setattr(mistaken, "asked", mending)
    score = scored(program)
    assert (score.is_right, score.missed, score.others) == (True, [], [])
    assert f"| all | {len(program.faults)} | {len(program.faults)} | 0 | 0 | 1 | 0 |" in mistaken.table([score])
