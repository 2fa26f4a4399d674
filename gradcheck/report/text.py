"""A report for the terminal: what is wrong first, the worst first; the same without colour for logs and assertions."""

from __future__ import annotations

import io

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradcheck._report import Block, Report
from gradcheck._verdict import Verdict
from gradcheck.report._words import SIGNS, entry, footer, headline, small, worst_first

STYLES: dict[Verdict, str] = {"right": "green", "wrong": "bold red", "inconclusive": "yellow", "vacuous": "yellow"}
#: of a report as a string, where there is no terminal to ask
WIDTH = 118


def to_text(report: Report) -> str:
    """The report as plain text."""
    out = io.StringIO()
    Console(file=out, width=WIDTH, force_terminal=False, highlight=False, legacy_windows=False).print(to_rich(report))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def to_rich(report: Report) -> RenderableType:
    """The report for `rich.print`."""
    title = Text.assemble(
        (f"{SIGNS[report.verdict]} {report.name}: {report.verdict}", STYLES[report.verdict]), f" · {headline(report)}"
    )
    parts: list[RenderableType] = [title]
    if report.doc:
        parts.append(_indented(Text(report.doc, style="dim")))
    parts += [_indented(_finding(number, finding.message), 2) for number, finding in enumerate(report.findings, 1)]
    parts += [_indented(Text(f"? {note}", style="yellow")) for note in _reasons(report)]
    parts.append(_indented(_table(report)))
    holding = ", ".join(law.name for law in report.laws.values() if law.holds)
    if holding:
        parts.append(_indented(Text(f"laws that hold: {holding}", style="dim")))
    parts.append(_indented(Text(footer(report), style="dim")))
    return Group(*parts)


def _finding(number: int, message: str) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text(f"{number}.", style="bold red"), Text(message))
    return grid


def _reasons(report: Report) -> list[str]:
    """Why blocks are not judged, each reason once."""
    reasons: dict[str, list[str]] = {}
    for block in worst_first(report):
        if block.message and block.verdict in ("inconclusive", "vacuous"):
            reasons.setdefault(block.message, []).append(block.name)
    return [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("gradient", "shape", "verdict"):
        table.add_column(column, no_wrap=True)
    for column in ("error", "± bar", "would see", "worst entry", "analytic", "numerical"):
        table.add_column(column, justify="right", no_wrap=True)
    for block in worst_first(report):
        table.add_row(*_row(block))
    return table


def _row(block: Block) -> list[RenderableType]:
    shape = "×".join(map(str, block.shape)) or "scalar"
    verdict = f"{SIGNS[block.verdict]} {block.verdict}" + (f" (÷ {block.factor:g})" if block.factor != 1.0 else "")
    numbers = [small(block.error), small(block.error_bar), small(block.sensitivity)]
    return [block.name, shape, Text(verdict, style=STYLES[block.verdict]), *numbers, *entry(block)]


def _indented(part: RenderableType, by: int = 2) -> Padding:
    return Padding(part, (0, 0, 0, by))
