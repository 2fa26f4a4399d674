"""Writes verified fixes to the user's files, or to a patch; nothing is written that is not asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gradcheck._common.cells import cell_of, format_place, on_disk, shown_file
from gradcheck._common.errors import TargetError
from gradcheck._common.writing import write_output
from gradcheck._usercode.notebook_edits import cell_source, notebook_edits
from gradcheck._usercode.source import Edit, Source
from gradcheck.report.report import Report


@dataclass
class FileFixes:
    """The verified edits of one file, or cell, and the lines that they were verified on, by their numbers."""

    file: str
    edits: list[Edit] = field(default_factory=list)
    checked: dict[int, str] = field(default_factory=dict)

    def require_unchanged(self, source: Source) -> None:
        """Refuse to edit what is no longer what was checked.

        Raises:
            TargetError: If a line that is to be edited is another one now.
        """
        for line, text in self.checked.items():
            if source.lines[line - 1 : line] != [text]:
                place = format_place(self.file, line) if cell_of(self.file) else f"{self.file}, line {line},"
                raise TargetError(f"{place} has changed since it was checked: run the check again")


class _Written(NamedTuple):
    """A file as it is now, and what is to be done to it."""

    source: Source
    edits: list[Edit]
    places: int


def collect_fixes(reports: Iterable[Report]) -> list[FileFixes]:
    """The edits of all reports by file; of two that overlap the first."""
    found: dict[str, FileFixes] = {}
    for report in reports:
        lines = {(file, line): before for file, line, before in report.patch_lines}
        for file, edits in report.patch.items():
            of_file = found.setdefault(file, FileFixes(file))
            for first, begin, last, end, text in edits:
                edit = Edit((first, begin), (last, end), text)
                if all(edit.end <= other.start or edit.start >= other.end for other in of_file.edits):
                    of_file.edits.append(edit)
                    of_file.checked |= {line: lines[file, line] for line in range(first, last + 1)}
    return [one for one in found.values() if one.edits]


def write_fixes(fixes: Iterable[FileFixes]) -> Iterator[str]:
    """Write the fixed files; each as it was is kept beside it. What was done, one line a file.

    No file is written where one of them cannot be.

    Raises:
        TargetError: If a file has changed since, or cannot be written back as it is.
        OSError: If it must not be written.
    """
    files = _files(fixes)
    for one in files:
        one.source.require_writable(one.edits)
    for one in files:
        backup = one.source.write(one.edits)
        places = "1 place" if one.places == 1 else f"{one.places} places"
        yield f"fixed {places} in {one.source.file} (original kept as {backup})"


def write_patch(path: Path, fixes: Iterable[FileFixes]) -> None:
    """Write one unified diff of all files, each in its own encoding, as ``patch -p1`` and ``git apply`` read it.

    Raises:
        TargetError: If a file has changed since.
        OSError: If the patch must not be written.
    """
    write_output(path, b"".join(one.source.encoded_diff(one.edits) for one in _files(fixes)))


def _files(fixes: Iterable[FileFixes]) -> list[_Written]:
    """The files on the disk, with the edits of all cells of a notebook together.

    Raises:
        TargetError: If one cannot be read, has changed since it was checked, or is the cell of a running session.
    """
    by_file: dict[str, list[FileFixes]] = {}
    for one in fixes:
        by_file.setdefault(on_disk(one.file), []).append(one)
    return [_notebook(file, parts) if cell_of(parts[0].file) else _file(parts[0]) for file, parts in by_file.items()]


def _file(fixes: FileFixes) -> _Written:
    source = Source.read(fixes.file)
    fixes.require_unchanged(source)
    return _Written(source, fixes.edits, len(fixes.edits))


def _notebook(file: str, parts: Sequence[FileFixes]) -> _Written:
    cells: dict[int, list[Edit]] = {}
    for one in parts:
        cell = cell_of(one.file)
        if cell is None or not cell.notebook or cell.number is None:
            raise TargetError(f"{shown_file(one.file)}: fixes are not written to a session; change the cell itself")
        cells[cell.number] = one.edits
    source = Source.read(file)
    for number, one in zip(cells, parts, strict=True):
        one.require_unchanged(cell_source(source, number))
    return _Written(source, notebook_edits(source, cells), sum(map(len, cells.values())))
