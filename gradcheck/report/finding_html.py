"""A finding as HTML: what is wrong, where, and the edit that mends it."""

from __future__ import annotations

from gradcheck._common.cells import format_place
from gradcheck.report.evidence import FindingRecord, Fix
from gradcheck.report.finding_phrases import describe
from gradcheck.report.markup import NOTHING, Html, escape, inline, join_html, paragraph, tag


def finding_to_html(finding: FindingRecord) -> Html:
    """The message, its beginning marked; the place; the edit."""
    first, rest = describe(finding)
    message = tag("p", inline("strong", escape(first)), escape(rest), class_="message")
    return join_html(message, _where(finding), _fix(finding.fix) if finding.fix else NOTHING)


def diff_to_html(lines: list[str]) -> Html:
    """The lines of a diff."""
    return tag("pre", inline("code", Html("\n".join(map(_diff_line, lines)))))


def _where(finding: FindingRecord) -> Html:
    """The line at fault; the statement on it, unless the fix shows it anyway."""
    parts = []
    if finding.file is not None and finding.line is not None:
        parts.append(tag("p", escape("in "), inline("code", escape(format_place(finding.file, finding.line)))))
    if finding.statement is not None and finding.fix is None:
        parts.append(tag("pre", inline("code", escape(finding.statement))))
    return join_html(*parts)


def _fix(fix: Fix) -> Html:
    said = "This edit makes it right (verified):" if fix.verified else "This edit may make it right (not verified):"
    return join_html(paragraph(said), diff_to_html(fix.diff.splitlines() or [f"-{fix.before}", f"+{fix.after}"]))


def _diff_line(line: str) -> Html:
    header = line.startswith(("---", "+++", "@@"))
    kind = "dim" if header else {"-": "removed", "+": "added"}.get(line[:1])
    return inline("span", escape(line), class_=kind)
