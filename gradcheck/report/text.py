"""A report for the terminal: what is wrong first, the worst first; the same without colour for logs and assertions."""

from __future__ import annotations

import io

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradcheck._common.printable import made_printable
from gradcheck._common.verdict import Verdict
from gradcheck._common.wording import format_sizes
from gradcheck.report.phrases import (
    VERDICT_SIGNS,
    footer,
    format_location,
    format_small,
    format_worst_entry,
    headline,
    notes,
    reasons,
    worst_first,
)
from gradcheck.report.places import short_line
from gradcheck.report.records import Block, Finding, ReportRecord

STYLES: dict[Verdict, str] = {"right": "green", "wrong": "bold red", "inconclusive": "yellow", "vacuous": "yellow"}
#: of a report as a string, where there is no terminal to ask
WIDTH = 118


def to_text(report: ReportRecord) -> str:
    """The report as plain text."""
    return as_text(to_rich(report))


def as_text(part: RenderableType) -> str:
    """A part of a report as plain text."""
    out = io.StringIO()
    # In a notebook rich would show it there, and write nothing.
    console = Console(
        file=out, width=WIDTH, force_terminal=False, force_jupyter=False, highlight=False, legacy_windows=False
    )
    console.print(part)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def to_rich(report: ReportRecord) -> RenderableType:
    """The report for `rich.print`."""
    report = made_printable(report)
    return Group(*_title(report), *_found(report), *_judged(report), _cost(report))


def verdict_to_rich(report: ReportRecord) -> RenderableType:
    """What is known before lines are looked for: the verdict and the table."""
    report = made_printable(report)
    return Group(*_title(report), *_judged(report))


def rest_to_rich(report: ReportRecord) -> RenderableType:
    """What `verdict_to_rich` left out of the same report."""
    report = made_printable(report)
    return Group(*_found(report), _cost(report))


def brief_to_rich(report: ReportRecord) -> RenderableType:
    """The report in one line: the verdict, and the place and headline of what is wrong."""
    said = short_line(report).removeprefix(f"{report.name}: {report.verdict} · ")
    return Text.assemble((_outcome(made_printable(report)), STYLES[report.verdict]), f" · {said}")


def details_to_rich(report: ReportRecord) -> RenderableType:
    """What the report leaves out: each law with what was found, each set of sizes that was tried."""
    report = made_printable(report)
    laws = [_judgement("right" if one.holds else one.breach, one.name, one.message) for one in report.laws.values()]
    sizes = [
        _judgement(one.verdict, format_sizes(one.sizes) or "no sizes", one.message or ", ".join(one.wrong))
        for one in report.trials
    ]
    parts = [part for title, found in (("laws", laws), ("sizes", sizes)) if found for part in (Text(title), *found)]
    return Group(*(_indented(part) for part in parts))


def _judgement(verdict: Verdict, name: str, said: str) -> Text:
    return Text.assemble((f"  {VERDICT_SIGNS[verdict]} {name}", STYLES[verdict]), f": {said}" if said else "")


def _outcome(report: ReportRecord) -> str:
    return f"{VERDICT_SIGNS[report.verdict]} {report.name}: {report.verdict}"


def _title(report: ReportRecord) -> list[RenderableType]:
    title = Text.assemble(
        (_outcome(report), STYLES[report.verdict]),
        f" · {headline(report)}",
    )
    return [title, _indented(Text(report.doc, style="dim"))] if report.doc else [title]


def _found(report: ReportRecord) -> list[RenderableType]:
    parts = [_indented(_finding(number, finding), 2) for number, finding in enumerate(report.findings, 1)]
    for reason, gradients in reasons(report).items():
        parts.append(
            _indented(Text(f"? {', '.join(gradient.name for gradient in gradients)}: {reason}", style="yellow"))
        )
    parts += [_indented(Text(note, style="yellow")) for note in notes(report)]
    return [*parts, *_more(report)]


def _more(report: ReportRecord) -> list[RenderableType]:
    """Where there is more to read of what was found."""
    codes = dict.fromkeys(finding.code.value for finding in report.findings)
    return [_indented(Text(f"more on these: gradcheck explain {' '.join(codes)}", style="dim"))] if codes else []


def _judged(report: ReportRecord) -> list[RenderableType]:
    holding = ", ".join(law.name for law in report.laws.values() if law.holds)
    laws = [_indented(Text(f"laws that hold: {holding}", style="dim"))] if holding else []
    return [_indented(_table(report)), *laws]


def _cost(report: ReportRecord) -> RenderableType:
    return _indented(Text(footer(report), style="dim"))


def _finding(number: int, finding: Finding) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text(f"{number}.", style="bold red"), Text(finding.message))
    if format_location(finding):
        grid.add_row("", Text(format_location(finding), style="cyan"))
    if finding.fix is not None:
        for sign, lines, style in (("-", finding.fix.before, "red"), ("+", finding.fix.after, "green")):
            for line in lines.splitlines():
                grid.add_row("", Text(f"{sign} {line}", style=style))
    elif finding.statement is not None:
        grid.add_row("", Text(finding.statement, style="dim"))
    return grid


def _table(report: ReportRecord) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("gradient", overflow="fold")
    table.add_column("shape", overflow="fold")
    table.add_column("verdict", overflow="fold")
    for column in ("error", "± bar", "would see", "worst entry", "analytic", "numerical"):
        # On a narrow terminal a number goes on in the next line: one that is cropped tells a lie.
        table.add_column(column, justify="right", overflow="fold")
    for gradient in worst_first(report):
        table.add_row(*(Text(cell, style=style) for cell, style in _row(gradient)))
    return table


def _row(gradient: Block) -> list[tuple[str, str]]:
    """The cells and their styles."""
    shape = "×".join(map(str, gradient.shape)) or "scalar"
    verdict = f"{VERDICT_SIGNS[gradient.verdict]} {gradient.verdict}" + (
        f" (÷ {gradient.factor:g})" if gradient.factor != 1.0 else ""
    )
    numbers = [
        format_small(gradient.error),
        format_small(gradient.error_bar),
        format_small(gradient.sensitivity),
        *format_worst_entry(gradient),
    ]
    return [
        (gradient.name, ""),
        (shape, ""),
        (verdict, STYLES[gradient.verdict]),
        *((number, "") for number in numbers),
    ]


def _indented(part: RenderableType, by: int = 2) -> Padding:
    return Padding(part, (0, 0, 0, by))
