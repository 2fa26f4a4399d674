"""Edits of cells in the file of a notebook: what they say is there, and no other character has changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gradcheck._common.errors import TargetError
from gradcheck._usercode.fix_files import FileFixes, write_fixes, write_patch
from gradcheck._usercode.notebook_edits import cell_source, notebook_edits
from gradcheck._usercode.source import Edit, Source


def notebook(*sources: Any, **form: Any) -> Source:
    """A notebook of these code cells, after a cell of text and an empty one."""
    cells = [{"cell_type": "markdown", "source": ["no code"]}, {"cell_type": "code", "source": []}]
    cells += [{"cell_type": "code", "outputs": [], "source": one} for one in sources]
    return Source("x.ipynb", json.dumps({"cells": cells, "source": "no cell", "nbformat": 4}, **form))


def edited(source: Source, cells: dict[int, list[Edit]]) -> str:
    """The file with edits of its cells."""
    return source.edited(notebook_edits(source, cells))


@pytest.mark.parametrize("form", [{"indent": 1}, {"indent": 4}, {}, {"separators": (",", ":")}])
@pytest.mark.parametrize("wrap", [lambda text: text.splitlines(keepends=True), str], ids=["lines", "text"])
def test_a_cell_is_edited_and_nothing_else(form: dict[str, Any], wrap: Any) -> None:
    """A diff of the notebook would show what nobody changed, or a cell be spoiled."""
    first, second = "a = 1\nb = 'é\\n'\nc = 3", "d = 4\ne = 5\n"
    source = notebook(wrap(first), wrap(second), **form)
    after = edited(source, {1: [Edit((2, 0), (2, 1), "bb")], 2: [Edit((2, 4), (2, 5), "6\nf = 7")]})
    expected = notebook(wrap("a = 1\nbb = 'é\\n'\nc = 3"), wrap("d = 4\ne = 6\nf = 7\n"), **form)
    assert after == expected.text


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([Edit((1, 0), (3, 5), "x")], "x"),
        ([Edit((1, 0), (2, 0), "")], "b = 2\nc = 3"),
        ([Edit((3, 0), (3, 5), "")], "a = 1\nb = 2\n"),
        ([Edit((1, 0), (1, 1), "x"), Edit((3, 0), (3, 1), "z")], "x = 1\nb = 2\nz = 3"),
        ([Edit((2, 4), (2, 5), "4"), Edit((2, 0), (2, 1), "y")], "a = 1\ny = 4\nc = 3"),
        ([Edit((1, 4), (2, 4), ""), Edit((2, 5), (3, 4), "")], "a = 23"),
        ([Edit((3, 5), (3, 5), "\nd = 4")], "a = 1\nb = 2\nc = 3\nd = 4"),
    ],
)
def test_edits_of_any_lines(edits: list[Edit], expected: str) -> None:
    """Several edits of a cell, at its ends or over several lines, would leave other code, or no JSON."""
    source = notebook("a = 1\nb = 2\nc = 3".splitlines(keepends=True), indent=1)
    cells = json.loads(edited(source, {1: edits}))["cells"]
    assert "".join(cells[2]["source"]) == expected


@pytest.mark.parametrize("ascii_only", [True, False])
def test_characters_stay_as_they_were_written(ascii_only: bool) -> None:
    """A line that changes would be written in another way than those around it."""
    source = notebook(["ä = 1\n", "b = 2"], ensure_ascii=ascii_only)
    after = edited(source, {1: [Edit((1, 5), (1, 6), "3")]})
    assert after == notebook(["ä = 3\n", "b = 2"], ensure_ascii=ascii_only).text


def test_strings_that_are_no_lines() -> None:
    """A notebook that was put together by a program would be edited at other places."""
    source = notebook(["a = ", "1\nb", " = 2\n"], indent=1)
    cells = json.loads(edited(source, {1: [Edit((2, 4), (2, 5), "3")]}))["cells"]
    assert cells[2]["source"] == "a = 1\nb = 3\n"


def test_an_old_form() -> None:
    """A notebook of version 3 could be checked and not mended."""
    data = {"worksheets": [{"cells": [{"cell_type": "code", "input": ["a = 1"], "language": "python"}]}], "nbformat": 3}
    source = Source("x.ipynb", json.dumps(data))
    assert cell_source(source, 1).text == "a = 1"
    assert json.loads(edited(source, {1: [Edit((1, 4), (1, 5), "2")]}))["worksheets"][0]["cells"][0]["input"] == [
        "a = 2"
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": []}', '{"cells": [1]}'])
def test_what_has_no_such_cell_is_refused(text: str) -> None:
    """A notebook that was saved meanwhile would be spoiled, or a traceback be shown."""
    with pytest.raises(TargetError, match=r"has no cell \[1\] any more: run the check again"):
        notebook_edits(Source("x.ipynb", text), {1: [Edit((1, 0), (1, 0), "x")]})


def test_two_cells_are_written_at_once_and_in_a_patch(tmp_path: Path) -> None:
    """Of two cells one would be lost, two backups be kept, or a patch not fit."""
    path = tmp_path / "x.ipynb"
    before = notebook(["a = 1\n", "b = 2"], ["c = 3"], indent=1).text
    path.write_text(before, encoding="utf-8")
    fixes = [
        FileFixes(f"{path}, cell [1]", [Edit((2, 4), (2, 5), "5")], {2: "b = 2"}),
        FileFixes(f"{path}, cell [2]", [Edit((1, 4), (1, 5), "6")], {1: "c = 3"}),
    ]
    write_patch(tmp_path / "out.patch", fixes)
    added = [line for line in (tmp_path / "out.patch").read_text().splitlines() if line.startswith("+ ")]
    assert [line.strip("+ ,") for line in added] == ['"b = 5"', '"c = 6"']
    assert list(write_fixes(fixes)) == [f"fixed 2 places in {path} (original kept as {path}.orig)"]
    assert (tmp_path / "x.ipynb.orig").read_text(encoding="utf-8") == before
    assert path.read_text(encoding="utf-8") == before.replace("b = 2", "b = 5").replace("c = 3", "c = 6")


def test_a_cell_that_was_edited_since_is_refused(tmp_path: Path) -> None:
    """A fix would be written into another statement than the one that was checked."""
    path = tmp_path / "x.ipynb"
    path.write_text(notebook(["a = 1"]).text)
    fixes = [FileFixes(f"{path}, cell [1]", [Edit((1, 4), (1, 5), "5")], {1: "a = 2"})]
    with pytest.raises(TargetError, match=r"cell \[1\], line 1 has changed since it was checked"):
        list(write_fixes(fixes))
    assert not (tmp_path / "x.ipynb.orig").exists()


def test_a_session_is_left_alone() -> None:
    """A fix would be written into some file, or a traceback be shown."""
    fixes = [FileFixes("<ipython-input-3-abc>", [Edit((1, 0), (1, 1), "x")], {1: "a"})]
    with pytest.raises(TargetError, match=r"cell \[3\]: fixes are not written to a session"):
        list(write_fixes(fixes))
