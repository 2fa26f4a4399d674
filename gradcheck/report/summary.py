"""Several reports in short, as Markdown: the summary of a job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from gradcheck._common.verdict import Verdict
from gradcheck.report.markdown import code_span, escaped, to_markdown
from gradcheck.report.phrases import SORT_ORDER, VERDICT_SIGNS, headline
from gradcheck.report.places import short_line
from gradcheck.report.records import ReportRecord

#: GitHub shows no summary of more than 1 MiB
MOST_BYTES = 1_000_000


class Part(NamedTuple):
    """What a summary has of one report: builtins, which another process can send."""

    name: str
    verdict: Verdict
    outcome: str
    #: in Markdown, empty where all is right
    details: str


def part_of(report: ReportRecord) -> Part:
    """The row of a report, and the whole of it where it is not right."""
    outcome = headline(report) if report.ok else short_line(report)
    return Part(report.name, report.verdict, outcome, "" if report.ok else to_markdown(report))


def to_summary(parts: Sequence[Part], failures: Sequence[str] = ()) -> str:
    """A table of the targets, the worst first; what could not be run; and what is to be said of what is not right."""
    ordered = sorted(parts, key=lambda part: SORT_ORDER[part.verdict])
    counts = Counter(part.verdict for part in ordered)
    told = [f"{count} {verdict}" for verdict, count in counts.items()]
    told += [f"{len(failures)} could not be run"] if failures else []
    lines = [f"## gradcheck: {', '.join(told) or 'nothing was checked'}", ""]
    lines += [*(f"- {escaped(failure)}" for failure in failures), ""] if failures else []
    if ordered:
        lines += ["| target | verdict | outcome |", "|---|---|---|", *map(_row, ordered), ""]
    text = "\n".join(lines)
    for part in ordered:
        text = _with(text, part.details) if part.details else text
    return text


def _row(part: Part) -> str:
    sign = f"{VERDICT_SIGNS[part.verdict]} {part.verdict}"
    return f"| {code_span(part.name)} | {sign} | {escaped(part.outcome)} |"


def _with(text: str, more: str) -> str:
    """Both, unless together they are too much for a summary."""
    together = f"{text}\n{more}"
    return together if len(together.encode("utf-8", "replace")) <= MOST_BYTES else text
