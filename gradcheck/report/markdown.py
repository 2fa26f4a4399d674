"""A report as Markdown, for a pull request's comment or a CI job's summary."""

from __future__ import annotations

import re

from gradcheck._common.printable import made_printable
from gradcheck.report.fix_lines import verified
from gradcheck.report.phrases import (
    VERDICT_SIGNS,
    footer,
    format_location,
    format_small,
    format_worst_entry,
    headline,
    laws_not_tested,
    notes,
    reasons,
    worst_first,
)
from gradcheck.report.records import Finding, ReportRecord


def to_markdown(report: ReportRecord) -> str:
    """A heading, the findings as a numbered list, what is not decided, and the table of gradients."""
    report = made_printable(report)
    lines = [
        f"### {VERDICT_SIGNS[report.verdict]} {code_span(report.name)}: {report.verdict}",
        "",
        headline(report),
        "",
    ]
    for number, finding in enumerate(report.findings, 1):
        lines += [f"{number}. {escaped(finding.message)}", *_place(finding)]
    lines += [f"- {escaped(note)}" for note in (*notes(report), *laws_not_tested(report))]
    for reason, gradients in reasons(report).items():
        lines.append(f"- {', '.join(code_span(gradient.name) for gradient in gradients)}: {escaped(reason)}")
    lines += [
        "",
        "| gradient | verdict | error | ± bar | would see | worst entry | analytic | numerical |",
        "|---|---|---:|---:|---:|---|---:|---:|",
    ]
    for gradient in worst_first(report):
        numbers = [
            format_small(gradient.error),
            format_small(gradient.error_bar),
            format_small(gradient.sensitivity),
            *format_worst_entry(gradient),
        ]
        cells = [code_span(gradient.name), f"{VERDICT_SIGNS[gradient.verdict]} {gradient.verdict}", *numbers]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", footer(report), ""])


def _place(finding: Finding) -> list[str]:
    """The line, and the diff that mends it, inside the list's item."""
    lines = []
    if format_location(finding):
        lines += ["", f"   `{format_location(finding)}`"]
    if finding.fix is not None:
        said = verified(finding.fix) if finding.fix.verified else "not verified"
        lines += [
            "",
            f"   Edit, {said}:",
            "",
            "   ```diff",
            *(f"   {line}" for line in finding.fix.diff.splitlines()),
            "   ```",
            "",
        ]
    return lines


def escaped(text: str) -> str:
    """Text in which nothing is markup, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(text.split()))


def code_span(name: str) -> str:
    """A name as code; the signs that end a code span or a table's cell are replaced."""
    plain = " ".join(name.split()).replace("`", "'").replace("|", "/")
    return f"`{plain}`"
