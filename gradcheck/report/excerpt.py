"""The lines of a finding as they are shown: numbered, without what all are indented by, the wrong part underlined."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rich.cells import cell_len

from gradcheck._common.printable import printable
from gradcheck.report.evidence import FindingRecord, RightLine
from gradcheck.report.source_lines import TAB, source_lines, split_lines
from gradcheck.report.wrong_span import Span, wrong_span

#: lines above the statement
LINES_ABOVE = 2
#: lines of a statement, from the wrong one
MOST_LINES = 6
CUT = "..."
#: cells from a line to what it holds
GAP = 4


@dataclass(frozen=True)
class ShownLine:
    """A line in three parts, the second of which is wrong; what is said of that. Empty parts where no part is known.

    `holds` is what a line above the wrong one gives, after as many spaces as bring all of them below each other.
    """

    number: int
    before: str
    wrong: str = ""
    after: str = ""
    said: str = ""
    holds: str = ""

    @property
    def text(self) -> str:
        """The whole line."""
        return f"{self.before}{self.wrong}{self.after}"


def excerpt(finding: FindingRecord, width: int) -> list[ShownLine]:
    """The lines to show, none of more cells than `width`; none where no statement is known."""
    if finding.line is None or finding.statement is None:
        return []
    lines, statement = source_lines(finding), split_lines(finding.statement)
    span = wrong_span(finding, lines[finding.line]) if lines else None
    if not lines:
        lines = dict(enumerate(statement, finding.line))
    end = finding.line + min(len(statement), MOST_LINES)
    chosen = {number: lines[number] for number in range(finding.line - LINES_ABOVE, end) if number in lines}
    while chosen and not chosen[first := min(chosen)].strip():
        del chosen[first]
    indent = _shared_indentation(text for text in chosen.values() if text.strip())
    shown = [
        _drawn(number, text, indent, span if number == finding.line else None, width) for number, text in chosen.items()
    ]
    return _with_derivatives(shown, finding, width)


def _with_derivatives(lines: list[ShownLine], finding: FindingRecord, width: int) -> list[ShownLine]:
    """The lines above with what they hold beside them, below each other; those without room for it as they are."""
    held = {
        one.line: f"{', '.join(map(str, one.labels))}, right" for one in finding.evidence if isinstance(one, RightLine)
    }
    above = [line for line in lines if line.number in held]
    column = max((cell_len(line.text) for line in above), default=0) + GAP
    holds = {line.number: " " * (column - cell_len(line.text)) + printable(held[line.number]) for line in above}
    fits = {number for number, words in holds.items() if column + cell_len(words.strip()) <= width}
    return [replace(line, holds=holds[line.number]) if line.number in fits else line for line in lines]


def _shared_indentation(lines: Iterable[str]) -> int:
    """How many spaces and tabs all lines begin with."""
    spaces = [text[: len(text) - len(text.lstrip())] for text in lines]
    shortest = min(spaces, key=len, default="")
    return next((at for at, sign in enumerate(shortest) if any(one[at] != sign for one in spaces)), len(shortest))


def _drawn(number: int, text: str, indent: int, span: Span | None, width: int) -> ShownLine:
    """A line without indentation and tabs, cut around the span where it is too long."""
    cells = _cells(text[indent:].rstrip())
    start, end = (max(0, span.start - indent), max(0, span.end - indent)) if span else (0, 0)
    first, last = _window(cells, start, end, width)
    lead, trail = CUT if first else "", CUT if last < len(cells) else ""
    if span is None:
        return ShownLine(number, lead + "".join(cells[first:last]) + trail)
    before, wrong, after = cells[first:start], cells[start : min(end, last)], cells[end:last]
    return ShownLine(number, lead + "".join(before), "".join(wrong), "".join(after) + trail, printable(span.said))


def _window(cells: list[str], start: int, end: int, width: int) -> tuple[int, int]:
    """Which characters there is room for, the wrong ones and a little of what stands before them among them."""
    if cell_len("".join(cells)) <= width:
        return 0, len(cells)
    room = max(1, width - 2 * len(CUT))
    first = start if cell_len("".join(cells[: end or 1])) > room else 0
    while first and cell_len("".join(cells[first - 1 : end])) <= room and start - first < room // 4:
        first -= 1
    last = first
    while last < len(cells) and cell_len("".join(cells[first : last + 1])) <= room:
        last += 1
    return first, last


def _cells(text: str) -> list[str]:
    """What a terminal shows of each character: spaces for a tab, and nothing that it would obey."""
    shown: list[str] = []
    column = 0
    for sign in text:
        shown.append(" " * (TAB - column % TAB) if sign == "\t" else printable(sign))
        column += cell_len(shown[-1])
    return shown
