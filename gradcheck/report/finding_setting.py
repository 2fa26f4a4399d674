"""What a report adds to each of its findings."""

from __future__ import annotations

import math
from collections import Counter

from gradcheck.report.finding_notes import Setting
from gradcheck.report.records import ReportRecord

#: how a note begins that says why lines are not looked for
NO_LINES = "no line is looked for"


def setting_of(report: ReportRecord) -> Setting:
    """The setting of all findings of a report."""
    lines = [finding for finding in report.findings if finding.code.is_line]
    counts = Counter(name for finding in lines for name in finding.blocks)
    errors = {name: block.error for name, block in report.blocks.items() if block.verdict == "wrong"}
    return Setting(
        breaches={law.name: law.breach for law in report.laws.values() if not law.holds},
        errors={name: error for name, error in errors.items() if error is not None and 0.0 < error < math.inf},
        shared=frozenset(name for name, count in counts.items() if count > 1),
        has_no_lines=any(note.startswith(NO_LINES) for note in report.notes),
    )
