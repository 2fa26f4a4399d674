"""The lines of a finding: the right ones, the wrong part of them, in the width of a terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from gradcheck.report.evidence import Label, RightLine
from gradcheck.report.excerpt import CUT, LINES_ABOVE, MOST_LINES, ShownLine, excerpt
from tests.gradcheck.report.findings_of import finding_at


def test_the_statement_with_lines_above() -> None:
    """The line would stand alone, or be lost in lines that say nothing."""
    found = finding_at("    a = 1\n    b = 2\n    if b:\n        c = a - b\n    d = 4\n", "-", "+")
    assert excerpt(found, 80) == [
        ShownLine(2, "b = 2"),
        ShownLine(3, "if b:"),
        ShownLine(4, "    c = a ", "-", " b", "expected +"),
    ]
    assert len(excerpt(found, 80)) == LINES_ABOVE + 1


def test_empty_lines_do_not_come_first() -> None:
    """A number with nothing behind it would be the first that is read."""
    assert [one.number for one in excerpt(finding_at("a = 1\n\nc = a - b\n", "-", "+"), 80)] == [1, 2, 3]
    assert [one.number for one in excerpt(finding_at("\n\nc = a - b\n", "-", "+"), 80)] == [3]


def test_a_long_statement_is_shown_in_part(tmp_path: Path) -> None:
    """A statement of forty lines would push the rest of the report off the screen."""
    lines = ["f(", *(f"    a{at}," for at in range(20)), ")"]
    (tmp_path / "m.py").write_text("\n".join(lines))
    found = finding_at("f(", "f(", file=str(tmp_path / "m.py"), statement="\n".join(lines), end_column=None)
    assert [one.number for one in excerpt(found, 80)] == list(range(1, 1 + MOST_LINES))


def test_a_statement_without_its_file_is_shown_as_it_is_known() -> None:
    """Nothing at all would be shown, or a part be underlined by columns that are those of another line."""
    found = finding_at("        c = a - b", "-", file="/nowhere/m.py")
    assert excerpt(found, 80) == [ShownLine(1, "c = a - b")]
    assert excerpt(replace(found, statement=None), 80) == []
    assert excerpt(replace(found, line=None), 80) == []


@pytest.mark.parametrize(
    ("line", "cells_before"),
    [("\tc = a - b", 6), ("λ̄ = α - β", 4), ("重み = 入力 - b", 12), ("x = '\x1b[2J' - b", 14), ("e\u0301 = a - b", 6)],
)
def test_the_underline_stands_below_the_wrong_part(line: str, cells_before: int) -> None:
    """After a tab, an East Asian letter, an accent or an escape the underline would stand somewhere else."""
    (shown,) = excerpt(finding_at(line, "-", "+"), 80)
    assert (shown.wrong, cell_len(shown.before)) == ("-", cells_before + (2 if line.startswith("λ") else 0))
    assert "\x1b" not in shown.text
    assert "\t" not in shown.text


@pytest.mark.parametrize("width", [20, 30, 60])
def test_a_long_line_is_cut_around_the_wrong_part(width: int) -> None:
    """The wrong part of a line of a thousand characters would be off the screen, or the line be wrapped."""
    long = " + ".join(f"a{at}" for at in range(200))
    (shown,) = excerpt(finding_at(f"y = {long} - b * ({long})", "- b", "+ b"), width)
    assert cell_len(shown.text) <= width
    assert shown.wrong == "-"
    assert shown.text.startswith(CUT)
    assert shown.text.endswith(CUT)
    (first,) = excerpt(finding_at(f"y = b - ({long})", "b", "c"), width)
    assert first.text.startswith("y = b - ")
    assert first.text.endswith(CUT)


def test_a_wrong_part_that_is_too_long_is_cut_itself() -> None:
    """What is left of it would not be underlined."""
    (shown,) = excerpt(finding_at(f"y = {'a' * 300}", "a" * 300, "b"), 40)
    assert set(shown.wrong) == {"a"}
    assert cell_len(shown.text) <= 40


def test_no_width_is_too_small() -> None:
    """A terminal of a few columns would end the report in an error."""
    for width in range(1, 12):
        assert excerpt(finding_at("重み = 入力 - b", "-", "+"), width)


def test_tabs_and_spaces_are_not_mixed_up() -> None:
    """A line that is indented by a tab would lose a letter to one that is indented by eight spaces."""
    shown = excerpt(finding_at("if a:\n\tb = 1\n        c = a - b", "-", "+"), 80)
    assert [one.text for one in shown] == ["if a:", "    b = 1", "        c = a - b"]


def test_nothing_is_shown_where_all_lines_are_empty() -> None:
    """The report would end in a traceback where a statement is missing between empty lines."""
    found = replace(finding_at("\n\n\n\nc = a - b\n", "-"), line=3, statement="")
    assert excerpt(found, 80) == []


def test_lines_above_are_shown_with_what_they_hold() -> None:
    """A reader would not see where right derivatives end; or a note would break a line of the terminal."""
    held = RightLine(1, (Label("a"),)), RightLine(2, (Label("b"), Label("c")))
    found = finding_at("da = g\ndb, dc = g, h\ne = a - b\n", "-", "+", *held)
    above = [(one.text, one.holds) for one in excerpt(found, 80) if one.holds]
    assert above == [("da = g", " " * 11 + "dL/d(a), right"), ("db, dc = g, h", " " * 4 + "dL/d(b), dL/d(c), right")]
    assert [one.number for one in excerpt(found, 35) if one.holds] == [1]
