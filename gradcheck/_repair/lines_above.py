"""What the lines above a fault hold, so that a reader sees where right derivatives end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from gradcheck._common.arrays import Sizes
from gradcheck._common.errors import TargetError
from gradcheck._localising.ground import Ground
from gradcheck._localising.holding import Words, given_by_statement
from gradcheck._localising.labels import Known, Labels
from gradcheck._repair.edits_in_turn import line_before
from gradcheck._repair.found import EditedCode, Found
from gradcheck._repair.points import points_of
from gradcheck._tape import TapedRun
from gradcheck._targets.factory import TargetFactory
from gradcheck._targets.target import Target
from gradcheck.report.evidence import Label, RightLine
from gradcheck.report.records import Finding

#: lines above the statement that are shown
LINES_ABOVE = 2
#: a statement that gives more derivatives than these is not told
MOST_LABELS = 3


def with_lines_above(
    findings: Sequence[Finding], found: Found, subject: Target | TargetFactory, seed: int, failing: Sizes
) -> list[Finding]:
    """The findings with what the lines above each give, in the code with all edits, where all that follows is right.

    Without the edits a line may hold a derivative at the last time step alone: what comes back to it is wrong.
    """
    try:
        point = next(points_of(subject, seed, failing))[0]
        code = EditedCode(found, is_factory=isinstance(subject, TargetFactory))
        with code.in_place(), point.taped() as run:
            held = _held(run, found)
    except TargetError:  # the lines above are only shown to be looked at
        return list(findings)
    edited = {(one.file, line) for one in findings for line in _lines(one)}
    return [replace(one, evidence=(*one.evidence, *_above(one, held, edited))) for one in findings]


def _held(run: TapedRun, found: Found) -> dict[tuple[str, int], tuple[Label, ...]]:
    """By file and line as they are: the derivatives that the statement that ends there gives at all its executions."""
    standings = run.once(Ground).standings
    words = Words(run, Labels(run, standings), standings)
    held: dict[tuple[str, int], tuple[Label, ...]] = {}
    several: dict[tuple[str, int], int] = defaultdict(int)
    for statement, places in given_by_statement(run).items():
        known = [words.everywhere(given) for given in places]
        at = statement.file, line_before(statement.end_line, found.edits.get(statement.file, []))
        several[at] += 1
        told = tuple(dict.fromkeys(_label(one) for one in known if one is not None))
        if None not in known and len(told) <= MOST_LABELS:
            held[at] = told
    return {at: labels for at, labels in held.items() if several[at] == 1 and labels}


def _label(known: Known) -> Label:
    part = "one step" if known.is_step else "a part" if known.is_part else ""
    return Label(known.label, detail=part).with_detail(f"as {known.form}" if known.form else "")


def _lines(finding: Finding) -> range:
    """The lines that an edit touches."""
    if finding.fix is None:
        return range(0)
    return range(finding.fix.line, finding.fix.line + finding.fix.before.count("\n") + 1)


def _above(
    finding: Finding, held: dict[tuple[str, int], tuple[Label, ...]], edited: set[tuple[str | None, int]]
) -> list[RightLine]:
    if finding.file is None or finding.line is None:
        return []
    numbers = range(finding.line - LINES_ABOVE, finding.line)
    at = [(finding.file, number) for number in numbers]
    return [RightLine(one[1], held[one]) for one in at if one in held and one not in edited]
