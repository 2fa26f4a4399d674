"""A report as Markdown, for a pull request's comment or a CI job's summary."""

from __future__ import annotations

from gradcheck._report import Report
from gradcheck.report._words import SIGNS, entry, footer, headline, small, worst_first


def to_markdown(report: Report) -> str:
    """A heading, the findings as a numbered list, and the table of gradients."""
    lines = [f"### {SIGNS[report.verdict]} `{report.name}`: {report.verdict}", "", headline(report), ""]
    lines += [f"{number}. {_escaped(finding.message)}" for number, finding in enumerate(report.findings, 1)]
    lines += [""] if report.findings else []
    lines += [
        "| gradient | verdict | error | ± bar | would see | worst entry | analytic | numerical |",
        "|---|---|---:|---:|---:|---|---:|---:|",
    ]
    for block in worst_first(report):
        numbers = [small(block.error), small(block.error_bar), small(block.sensitivity), *entry(block)]
        lines.append(f"| `{block.name}` | {SIGNS[block.verdict]} {block.verdict} | {' | '.join(numbers)} |")
    return "\n".join([*lines, "", footer(report), ""])


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
