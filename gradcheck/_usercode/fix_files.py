"""Writes verified fixes to the user's files, or to a patch; nothing is written that is not asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gradcheck._common.errors import TargetError
from gradcheck._usercode.source import Edit, Source
from gradcheck.report.report import Report


@dataclass
class FileFixes:
    """The verified edits of one file, and the lines that they were verified on."""

    file: str
    edits: list[Edit] = field(default_factory=list)
    #: by the number of the first of them, the lines before the edit
    checked: dict[int, str] = field(default_factory=dict)

    def source(self) -> Source:
        """The file as it is now.

        Raises:
            TargetError: If it cannot be read, or if what is to be edited is no longer what was checked.
        """
        source = Source.read(self.file)
        for line, before in self.checked.items():
            if source.lines_between(line, line + before.count("\n")) != before:
                raise TargetError(f"{self.file}, line {line}, has changed since it was checked: run the check again")
        return source


def collect_fixes(reports: Iterable[Report]) -> list[FileFixes]:
    """The edits of all reports by file; of two that overlap the first."""
    found: dict[str, FileFixes] = {}
    for report in reports:
        fixes = {(one.file, one.fix.line): one.fix for one in report.findings if one.fix is not None}
        for file, edits in report.patch.items():
            of_file = found.setdefault(file, FileFixes(file))
            for first, begin, last, end, text in edits:
                edit = Edit((first, begin), (last, end), text)
                if all(edit.end <= other.start or edit.start >= other.end for other in of_file.edits):
                    of_file.edits.append(edit)
                    if (file, first) in fixes:
                        of_file.checked.setdefault(first, fixes[file, first].before)
    return [one for one in found.values() if one.edits]


def write_fixes(fixes: Iterable[FileFixes]) -> Iterator[str]:
    """Write the fixed files; each as it was is kept beside it. What was done, one line a file.

    Raises:
        TargetError: If a file has changed since, or cannot be written back as it is.
        OSError: If it must not be written.
    """
    for one in fixes:
        backup = one.source().write(one.edits)
        count = "1 place" if len(one.edits) == 1 else f"{len(one.edits)} places"
        yield f"fixed {count} in {one.file} (original kept as {backup})"


def write_patch(path: Path, fixes: Iterable[FileFixes]) -> None:
    """Write one unified diff of all files, each in its own encoding, as ``patch -p1`` and ``git apply`` read it."""
    sources = [(one.source(), one.edits) for one in fixes]
    path.write_bytes(b"".join(source.diff(edits).encode(source.codec) for source, edits in sources))
