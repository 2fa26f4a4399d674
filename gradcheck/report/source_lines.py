"""The source around a finding as it was checked: out of its diff, or out of the file if that still says the same."""

from __future__ import annotations

import linecache
import re
import tokenize
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gradcheck._common.cells import cell_of
from gradcheck.report.evidence import FindingRecord

#: columns from one stop of a tab to the next
TAB = 4
#: only these end a line of Python
_LINE_END = re.compile(r"\r\n|\r|\n")
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


class DiffLine(NamedTuple):
    """A line of a diff: " ", "-" or "+", its number (of an added one in the new file), and its text."""

    sign: str
    number: int
    text: str


def source_lines(finding: FindingRecord) -> Mapping[int, str]:
    """Lines by their numbers, that of the finding among them; none where the source is not at hand or has changed."""
    from_diff = {one.number: one.text for one in diff_lines(finding.fix.diff if finding.fix else "") if one.sign != "+"}
    for lines in (from_diff, _file_lines(finding)):
        if _says_the_same(lines, finding):
            return lines
    return {}


def diff_lines(diff: str) -> Iterator[DiffLine]:
    """The lines of all hunks."""
    old = new = 0
    for line in diff.split("\n"):
        if header := _HUNK.match(line):
            old, new = int(header[1]), int(header[2])
        elif old and line[:1] in (" ", "-", "+"):
            yield DiffLine(line[0], new if line[0] == "+" else old, line[1:].removesuffix("\r"))
            old, new = old + (line[0] != "+"), new + (line[0] != "-")


def split_lines(text: str) -> list[str]:
    """The lines of a piece of code."""
    return _LINE_END.split(text)


def _says_the_same(lines: Mapping[int, str], finding: FindingRecord) -> bool:
    if finding.line is None or finding.statement is None:
        return False
    return lines.get(finding.line, "").strip() == split_lines(finding.statement)[0].strip() != ""


def _file_lines(finding: FindingRecord) -> dict[int, str]:
    """The lines of the file as it is now; cells of a notebook are no files, but Python knows what they say."""
    if finding.file is None or finding.statement is None:
        return {}
    if cell_of(finding.file) is not None:
        found = [line.rstrip("\r\n") for line in linecache.getlines(finding.file)]
    else:
        try:
            with tokenize.open(finding.file) as opened:
                found = split_lines(opened.read())
        except (OSError, SyntaxError, ValueError):
            return {}
    return dict(enumerate(found, 1))
