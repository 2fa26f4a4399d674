"""The source around a finding: as it was checked, or not at all."""

from __future__ import annotations

import linecache
from dataclasses import replace
from pathlib import Path

import pytest

from gradcheck.report.evidence import Fix
from gradcheck.report.source_lines import diff_lines, source_lines, split_lines
from tests.gradcheck.report.findings_of import finding_at

SOURCE = "a = 1\nb = 2\nc = a - b\nd = 4\n"


def test_lines_come_out_of_the_diff() -> None:
    """A report that is read on another machine, where there is no such file, would show no source."""
    assert source_lines(finding_at(SOURCE, "-", "+")) == {1: "a = 1", 2: "b = 2", 3: "c = a - b", 4: "d = 4"}


def test_lines_come_out_of_the_file_without_a_diff(tmp_path: Path) -> None:
    """A line that no edit mends would be shown with nothing around it."""
    (tmp_path / "m.py").write_bytes("# coding: latin-1\nx = 'é'\r\ny = x\x0c + 1\n".encode("latin-1"))
    found = finding_at("\n\ny = x\x0c + 1", "x", file=str(tmp_path / "m.py"), statement="y = x\x0c + 1")
    assert source_lines(replace(found, line=3)) == {1: "# coding: latin-1", 2: "x = 'é'", 3: "y = x\x0c + 1", 4: ""}


@pytest.mark.parametrize("now", ["c = a + b\n", "", None])
def test_a_file_that_says_something_else_is_not_shown(tmp_path: Path, now: str | None) -> None:
    """The line after an edit would be shown as the one that is wrong."""
    if now is not None:
        (tmp_path / "m.py").write_text(now)
    assert source_lines(finding_at("c = a - b", "-", file=str(tmp_path / "m.py"))) == {}


def test_what_cannot_be_read_is_not_shown(tmp_path: Path) -> None:
    """A report would end in a UnicodeDecodeError, or in one about a folder."""
    (tmp_path / "m.py").write_bytes(b"x = '\xff'\n")
    for file in ("m.py", ".", "none.py", "nul\x00.py"):
        assert source_lines(finding_at("c = a - b", "-", file=str(tmp_path / file))) == {}


def test_a_cell_is_read_where_python_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell of a notebook has no file, and would be shown without its lines."""
    cell = "x.ipynb, cell [3]"
    monkeypatch.setitem(linecache.cache, cell, (1, None, ["a = 1\n", "c = a - b\n"], cell))
    assert source_lines(finding_at("a = 1\nc = a - b", "-", file=cell)) == {1: "a = 1", 2: "c = a - b"}


def test_lines_of_a_diff_have_the_numbers_of_their_files() -> None:
    """An added line would take the number of an old one, and what follows would be shown as another line."""
    first = "@@ -1,2 +1,3 @@\n+new\n one\r\n-two\n+2\n\\ No newline at end of file\n"
    diff = f"--- a/m.py\n+++ b/m.py\n{first}@@ -9 +10 @@\n-nine"
    assert [tuple(one) for one in diff_lines(diff)] == [
        ("+", 1, "new"), (" ", 1, "one"), ("-", 2, "two"), ("+", 3, "2"), ("-", 9, "nine"),
    ]  # fmt: skip


def test_a_diff_without_numbers_has_no_lines() -> None:
    """A line would be shown under a number that it does not have."""
    assert list(diff_lines("-a\n+b")) == []
    found = finding_at("a = b", "b", "c")
    assert source_lines(replace(found, fix=Fix(1, "a = b", "a = c", "-a = b\n+a = c", True))) == {}


def test_only_what_ends_a_line_of_python_ends_a_line() -> None:
    """A form feed would shift all numbers behind it."""
    assert split_lines("a\x0cb\r\nc\rd\u2028e\n") == ["a\x0cb", "c", "d\u2028e", ""]
