"""Edits of a notebook's cells as edits of its file: only the lines that change are written anew."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from gradcheck._common.cells import name_of_cell
from gradcheck._common.errors import TargetError
from gradcheck._usercode.source import Edit, Place, Source, split_lines

#: the keys and indices that lead to a value
_Way: TypeAlias = tuple[str | int, ...]
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class _Piece(NamedTuple):
    """A string as it stands in the file, and what it says."""

    start: int
    end: int
    text: str


def cell_source(notebook: Source, number: int) -> Source:
    """The text of a code cell, counted as a run from the beginning counts them.

    Raises:
        TargetError: If the file is no notebook, or has no such cell.
    """
    text = "".join(piece.text for piece in _pieces(notebook, number))
    return Source(name_of_cell(notebook.file, number), text)


def notebook_edits(notebook: Source, cells: Mapping[int, Sequence[Edit]]) -> list[Edit]:
    """The edits of the file that make these edits of its cells, by number.

    Raises:
        TargetError: If the file is no notebook, or has no such cell.
    """
    return [
        Edit(_place(notebook, start), _place(notebook, end), text)
        for number, edits in cells.items()
        for start, end, text in _changes(notebook.text, _pieces(notebook, number), edits)
    ]


def _changes(text: str, pieces: list[_Piece], edits: Sequence[Edit]) -> Iterator[tuple[int, int, str]]:
    """What to replace in the file: the strings from the first that an edit touches to the last.

    Between lines stands what stood between the first two of the cell.
    """
    between = text[pieces[0].end : pieces[1].start] if len(pieces) > 1 else ", "
    as_ascii = text[pieces[0].start : pieces[-1].end].isascii() and "\\u" in text
    starts = [0]
    for piece in pieces:
        starts.append(starts[-1] + len(split_lines(piece.text)))
    for group in _touching(edits, starts):
        first, last = (_piece_at(starts, line) for line in (group[0].start[0], max(one.end[0] for one in group)))
        inside = [_moved(edit, -starts[first]) for edit in group]
        after = Source("<lines>", "".join(one.text for one in pieces[first : last + 1])).edited(inside)
        lines = (split_lines(after) or [""]) if len(pieces) > 1 else [after]
        written = between.join(json.dumps(line, ensure_ascii=as_ascii) for line in lines)
        yield pieces[first].start, pieces[last].end, written


def _touching(edits: Sequence[Edit], starts: list[int]) -> Iterator[list[Edit]]:
    """The edits in order, those that share a string together."""
    group: list[Edit] = []
    for edit in sorted(edits, key=lambda one: one[:2]):
        last = max((one.end[0] for one in group), default=0)
        if group and _piece_at(starts, edit.start[0]) > _piece_at(starts, last):
            yield group
            group = []
        group.append(edit)
    yield from [group] if group else []


def _piece_at(starts: list[int], line: int) -> int:
    """Which string holds a line, counted from 1."""
    return max(at for at, start in enumerate(starts[:-1]) if start < line)


def _moved(edit: Edit, lines: int) -> Edit:
    (first, begin), (last, end) = edit.start, edit.end
    return Edit((first + lines, begin), (last + lines, end), edit.text)


def _place(source: Source, offset: int) -> Place:
    before = source.text[:offset]
    line = len(split_lines(before + "x"))
    return line, len((split_lines(before + "x")[-1][:-1]).encode())


def _pieces(notebook: Source, number: int) -> list[_Piece]:
    """The strings of a cell's source: one for all of it, or one for each line."""
    try:
        ways = list(_ways_of_code(json.loads(notebook.text)))
        way = ways[number - 1]
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise TargetError(f"{notebook.file} has no cell [{number}] any more: run the check again") from error
    start = _find(notebook.text, way)
    value, end = _DECODER.raw_decode(notebook.text, start)
    if isinstance(value, str):
        return [_Piece(start, end, value)]
    if not all(one.endswith("\n") for one in value[:-1]):
        return [_Piece(start, end, "".join(value))]  # strings that are no lines: one for all
    return [
        _Piece(at, _DECODER.raw_decode(notebook.text, at)[1], one)
        for at, one in zip(_items(notebook.text, start), value, strict=True)
    ]


def _ways_of_code(data: Any) -> Iterator[_Way]:
    """The ways to the sources of the code cells that hold something."""
    sheets: list[tuple[_Way, Any]] = [((), data)]
    if "worksheets" in data:
        sheets = [(("worksheets", at), sheet) for at, sheet in enumerate(data["worksheets"])]
    for way, sheet in sheets:
        for at, cell in enumerate(sheet["cells"]):
            key = "source" if "source" in cell else "input"
            if cell.get("cell_type") == "code" and "".join(cell.get(key, "")).strip():
                yield (*way, "cells", at, key)


def _find(text: str, way: _Way) -> int:
    """Where the value begins that a way leads to."""
    at = _skip(text, 0)
    for step in way:
        if isinstance(step, int):
            at = list(_items(text, at))[step]
        else:
            # of a key that stands twice the last counts, as it does for json.loads
            at = [value for key, value in _fields(text, at) if key == step][-1]
    return at


def _items(text: str, at: int) -> Iterator[int]:
    """Where the values of an array begin."""
    at = _skip(text, at + 1)
    while text[at] != "]":
        yield at
        at = _skip(text, _DECODER.raw_decode(text, at)[1])
        at = _skip(text, at + 1) if text[at] == "," else at


def _fields(text: str, at: int) -> Iterator[tuple[str, int]]:
    """The keys of an object, and where their values begin."""
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        yield key, at
        at = _skip(text, _DECODER.raw_decode(text, at)[1])
        at = _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    """The next character that is no space."""
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
