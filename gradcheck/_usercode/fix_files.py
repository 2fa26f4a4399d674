"""Writes verified fixes to the user's files, or to a patch; nothing is written that is not asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gradcheck._common.cells import cell_of, shown_file
from gradcheck._common.errors import TargetError
from gradcheck._common.writing import write_output
from gradcheck._usercode.source import Edit, Source
from gradcheck.report.report import Report


@dataclass
class FileFixes:
    """The verified edits of one file, and the lines that they were verified on, by their numbers."""

    file: str
    edits: list[Edit] = field(default_factory=list)
    checked: dict[int, str] = field(default_factory=dict)

    def source(self) -> Source:
        """The file as it is now.

        Raises:
            TargetError: If it cannot be read, or if what is to be edited is no longer what was checked.
        """
        if cell_of(self.file) is not None:
            raise TargetError(f"{shown_file(self.file)}: fixes are not written to notebooks; change the cell itself")
        source = Source.read(self.file)
        for line, text in self.checked.items():
            if source.lines[line - 1 : line] != [text]:
                raise TargetError(f"{self.file}, line {line}, has changed since it was checked: run the check again")
        return source


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
    sources = [(one, one.source()) for one in fixes]
    for one, source in sources:
        source.require_writable(one.edits)
    for one, source in sources:
        backup = source.write(one.edits)
        count = "1 place" if len(one.edits) == 1 else f"{len(one.edits)} places"
        yield f"fixed {count} in {one.file} (original kept as {backup})"


def write_patch(path: Path, fixes: Iterable[FileFixes]) -> None:
    """Write one unified diff of all files, each in its own encoding, as ``patch -p1`` and ``git apply`` read it.

    Raises:
        TargetError: If a file has changed since.
        OSError: If the patch must not be written.
    """
    sources = [(one.source(), one.edits) for one in fixes]
    write_output(path, b"".join(source.encoded_diff(edits) for source, edits in sources))
