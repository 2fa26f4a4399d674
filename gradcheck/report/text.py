"""A report for the terminal: what is wrong first, the worst first; the same without colour for logs and assertions.

`finding_text.py` lays out a finding, and `gradient_table.py` the table.
"""

from __future__ import annotations

import io

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from gradcheck._common.printable import made_printable
from gradcheck._common.verdict import Verdict
from gradcheck._common.wording import format_sizes
from gradcheck.report.finding_setting import setting_of
from gradcheck.report.finding_text import FindingText
from gradcheck.report.gradient_table import STYLES, GradientTable
from gradcheck.report.hanging import Hanging
from gradcheck.report.phrases import (
    VERDICT_SIGNS,
    footer,
    headline,
    law_outcome,
    laws_not_tested,
    laws_without_finding,
    notes,
    reasons,
)
from gradcheck.report.places import short_line
from gradcheck.report.records import ReportRecord

#: of a report as a string, where there is no terminal to ask
WIDTH = 100


def to_text(report: ReportRecord) -> str:
    """The report as plain text."""
    return as_text(to_rich(report))


def as_text(part: RenderableType, width: int = WIDTH) -> str:
    """A part of a report as plain text."""
    out = io.StringIO()
    # In a notebook rich would show it there, and write nothing.
    console = Console(
        file=out, width=width, force_terminal=False, force_jupyter=False, highlight=False, legacy_windows=False
    )
    console.print(part)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def to_rich(report: ReportRecord) -> RenderableType:
    """The report for `rich.print`."""
    shown = made_printable(report)
    return Group(*_title(shown), *_found(report), *_judged(shown), _cost(shown))


def verdict_to_rich(report: ReportRecord) -> RenderableType:
    """What is known before lines are looked for: the verdict and the table."""
    report = made_printable(report)
    return Group(*_title(report), *_judged(report))


def rest_to_rich(report: ReportRecord) -> RenderableType:
    """What `verdict_to_rich` left out of the same report."""
    return Group(*_found(report), _cost(made_printable(report)))


def brief_to_rich(report: ReportRecord) -> RenderableType:
    """The report in one line: the verdict, and the place and headline of what is wrong."""
    said = short_line(report).removeprefix(f"{report.name}: {report.verdict} · ")
    return Text.assemble((_outcome(made_printable(report)), STYLES[report.verdict]), f" · {said}")


def details_to_rich(report: ReportRecord) -> RenderableType:
    """What the report leaves out: each law with what was found, each set of sizes that was tried."""
    report = made_printable(report)
    laws = [_judgement(law_outcome(one), one.name, one.message) for one in report.laws.values()]
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
    return [Hanging(title, 2), _indented(Text(report.doc, style="dim"))] if report.doc else [Hanging(title, 2)]


def _found(report: ReportRecord) -> list[RenderableType]:
    # A finding tells columns of its source as it is, so that it makes itself printable.
    parts: list[RenderableType] = []
    setting = setting_of(report)
    for finding in report.findings:
        parts += [Text(""), FindingText(finding, setting)]
    parts += [Text("")] if parts else []
    report = made_printable(report)
    parts += [_indented(Hanging(Text(one, style=STYLES["wrong"]), 2)) for one in laws_without_finding(report)]
    for reason, gradients in reasons(report).items():
        parts.append(
            _indented(Text(f"? {', '.join(gradient.name for gradient in gradients)}: {reason}", style="yellow"))
        )
    parts += [_indented(Text(note, style="yellow")) for note in notes(report)]
    return [*parts, *_more(report), *([Text("")] if report.findings else [])]


def _more(report: ReportRecord) -> list[RenderableType]:
    """Where there is more to read of what was found."""
    codes = dict.fromkeys(finding.code.value for finding in report.findings)
    return [_indented(Text(f"more on these: gradcheck explain {' '.join(codes)}", style="dim"))] if codes else []


def _judged(report: ReportRecord) -> list[RenderableType]:
    holding = ", ".join(law.name for law in report.laws.values() if law.is_shown)
    laws = [f"laws that hold: {holding}"] if holding else []
    laws += laws_not_tested(report)
    return [_indented(GradientTable(report)), *(_indented(Hanging(Text(law, style="dim"), 2)) for law in laws)]


def _cost(report: ReportRecord) -> RenderableType:
    return _indented(Text(footer(report), style="dim"))


def _indented(part: RenderableType, by: int = 2) -> Padding:
    return Padding(part, (0, 0, 0, by))
