"""A finding on a terminal, laid out as compilers do: headline, place, source, what follows, help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from gradcheck._common.printable import made_printable
from gradcheck.report.excerpt import ShownLine, excerpt
from gradcheck.report.finding_notes import (
    Setting,
    advice,
    edited_line,
    equivalent,
    help_title,
    notes_on,
    place,
    plain_headline,
    severity,
)
from gradcheck.report.fix_lines import fix_lines
from gradcheck.report.hanging import Hanging
from gradcheck.report.records import Finding
from gradcheck.report.source_lines import DiffLine

SEVERITY_STYLES = {"error": "bold red", "warning": "bold yellow"}
_FRAME = "blue"


@dataclass(frozen=True)
class FindingText:
    """One finding of a report, for rich."""

    finding: Finding
    setting: Setting

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As wide as there is room."""
        finding, setting = made_printable(self.finding), made_printable(self.setting)
        kind = severity(finding, setting)
        title = Text.assemble(
            (f"{kind}[{finding.code.value}]", SEVERITY_STYLES[kind]), (f": {plain_headline(finding)}", "bold")
        )
        yield Hanging(title, 2)
        gutter = len(str(max((one.number for one in excerpt(self.finding, 1)), default=10)))
        lines = excerpt(self.finding, max(1, options.max_width - gutter - 3))
        yield from _place(finding, gutter, options.max_width)
        for line in lines:
            yield from _source(line, gutter, SEVERITY_STYLES[kind])
        told = next((line.said for line in lines if line.said), "")
        for note in notes_on(finding, setting, told):
            yield Hanging(Text.assemble((f"{' ' * gutter} = ", _FRAME), note), gutter + 3)
        yield from _help(finding, setting)


def _place(finding: Finding, gutter: int, width: int) -> Iterator[RenderableType]:
    """The place in one piece as long as there is room, since editors open it; the function below if need be."""
    at, function = place(finding)
    if not at:
        return
    arrow = (f"{' ' * gutter}--> ", _FRAME)
    together = Text.assemble(arrow, ", ".join(filter(None, [at, function])))
    if together.cell_len <= width:
        yield together
        return
    yield Hanging(Text.assemble(arrow, at), gutter + 4, is_word=True)
    if function:
        yield Hanging(Text(f"{' ' * (gutter + 4)}{function}"), gutter + 4)


def _source(line: ShownLine, gutter: int, style: str) -> Iterator[RenderableType]:
    """A line, and what is under it."""
    yield _code((f"{line.number:>{gutter}} | ", _FRAME), line.text, (line.holds, "dim"))
    if line.wrong:
        lead, marks = " " * cell_len(line.before), "^" * max(1, cell_len(line.wrong))
        yield Underline(f"{' ' * gutter} | ", lead, marks, line.said, style)


@dataclass(frozen=True)
class Underline:
    """The wrong part underlined, and what is said of it beside that, or below where there is no room."""

    frame: str
    lead: str
    marks: str
    said: str
    style: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """On one line if that has room."""
        marked = _code((self.frame, _FRAME), self.lead, (self.marks, self.style))
        beside = len(self.frame + self.lead + self.marks) + 1 + cell_len(self.said)
        if self.said and beside <= options.max_width:
            yield Text.assemble(marked, (f" {self.said}", self.style), no_wrap=True, overflow="ignore")
            return
        yield marked
        if self.said:
            room = options.max_width - len(self.frame) - cell_len(self.said)
            lead = self.lead[: max(0, room)]
            yield Hanging(Text.assemble((self.frame, _FRAME), (lead + self.said, self.style)), len(self.frame))


def _help(finding: Finding, setting: Setting) -> Iterator[RenderableType]:
    """What to do: the edit, and another one; else advice."""
    if finding.fix is None:
        if words := advice(finding, setting):
            yield Hanging(Text.assemble(("help", "bold green"), f": {words}"), 2)
        return
    title = (help_title(finding), "bold green")
    changed = fix_lines(finding.fix)
    if sorted(one.sign for one in changed) == ["+", "-"] and changed[0].number == finding.line:
        yield Edit(title, edited_line(changed[1].text), "green")
    else:
        yield Hanging(Text.assemble(title, ":"), 2)
        yield from _diff(changed)
    said, code = equivalent(finding)
    if code:
        yield Edit((f"  {said}", "dim"), code, "")


@dataclass(frozen=True)
class Edit:
    """A line of code behind a title; below it where there is no room."""

    title: tuple[str, str]
    code: str
    style: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """On one line if that has room."""
        one_line = Text.assemble(self.title, ": ", (self.code, self.style))
        if one_line.cell_len <= options.max_width:
            yield one_line
        else:
            yield Hanging(Text.assemble(self.title, ":"), 2)
            yield Hanging(Text(f"    {self.code}", style=self.style), 8)


def _diff(lines: list[DiffLine]) -> Iterator[RenderableType]:
    """The lines with their numbers, what changes in colour."""
    wide = len(str(max(one.number for one in lines)))
    before = lines[0].number
    for one in lines:
        if one.number > before + 1:
            yield Text("  ...", style="dim")
        before = one.number
        number = "" if one.sign == " " else one.number
        head = f"  {number:>{wide}} {one.sign} "
        style = {"-": "red", "+": "green"}.get(one.sign, "dim")
        yield Hanging(Text.assemble((head, _FRAME), (one.text, style)), len(head) + 4)


def _code(*parts: str | tuple[str, str]) -> Text:
    """Code is neither wrapped nor cut here."""
    return Text.assemble(*parts, no_wrap=True, overflow="ignore")
