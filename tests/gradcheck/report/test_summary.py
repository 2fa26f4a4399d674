"""The summary of a job: a table that Markdown reads, the worst first, and the details of what is not right."""

from __future__ import annotations

from gradcheck.report.summary import MOST_BYTES, Part, part_of, to_summary
from tests.gradcheck.report.sample_reports import EVERY_VERDICT, RIGHT, WRONG, hostile


def rows(text: str) -> list[list[str]]:
    """The cells of the first table, without its head."""
    table = text.split("\n\n")[1].splitlines()
    assert table[:2] == ["| target | verdict | outcome |", "|---|---|---|"]
    return [[cell.strip() for cell in line.strip("|").replace("\\|", "/").split("|")] for line in table[2:]]


def test_the_worst_comes_first() -> None:
    """Of forty targets the wrong one would be the last line."""
    text = to_summary([part_of(report) for report in reversed(EVERY_VERDICT)])
    assert text.startswith("## gradcheck: 1 wrong, 1 inconclusive, 1 vacuous, 1 right\n")
    assert [row[0] for row in rows(text)] == ["`lstm`", "`relu`", "`nothing`", "`gru`"]
    assert rows(text)[0][1:] == ["✗ wrong", "model.py:7: the sign is wrong (and 2 others)"]


def test_details_are_of_what_is_not_right() -> None:
    """The page would be long where all is right, or say nothing of what is wrong."""
    text = to_summary([part_of(WRONG), part_of(RIGHT)])
    assert "### ✗ `lstm`: wrong" in text
    assert "### ✓" not in text


def test_what_could_not_be_run_is_told() -> None:
    """A file that cannot be imported would be missing without a word."""
    text = to_summary([], ["a.py: no such file"])
    assert text.startswith("## gradcheck: 1 could not be run\n\n- a.py: no such file")
    assert "nothing was checked" in to_summary([])


def test_names_do_not_break_the_table() -> None:
    """A name with a pipe would make a column of its own."""
    assert {len(row) for row in rows(to_summary([part_of(hostile("a|b\nc"))]))} == {3}


def test_a_summary_is_not_too_long() -> None:
    """GitHub shows nothing at all of a summary above its limit."""
    parts = [Part(f"t{number}", "wrong", "x", "y" * (MOST_BYTES // 3)) for number in range(5)]
    text = to_summary(parts)
    assert len(text.encode()) <= MOST_BYTES
    assert len(rows(text)) == 5
