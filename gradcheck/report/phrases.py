"""Words that every form of a report shares."""

from __future__ import annotations

from gradcheck._common.cells import format_place
from gradcheck._common.verdict import Verdict
from gradcheck._common.wording import format_apart, format_sizes
from gradcheck.report.evidence import FindingRecord
from gradcheck.report.progress_phrases import describe_cuts
from gradcheck.report.records import Block, Law, ReportRecord
from gradcheck.report.signs import VERDICT_SIGNS as VERDICT_SIGNS

#: the order in which a reader wants them
SORT_ORDER: dict[Verdict, int] = {"wrong": 0, "inconclusive": 1, "vacuous": 2, "right": 3}


def worst_first(report: ReportRecord) -> list[Block]:
    """The gradients in the order in which a reader wants them."""
    return sorted(report.blocks.values(), key=lambda gradient: (SORT_ORDER[gradient.verdict], -(gradient.error or 0.0)))


def format_location(finding: FindingRecord) -> str:
    """``file:line``, the file as it is named from here, or ``cell [1], line 2``; empty where no line is known."""
    if finding.file is None or finding.line is None:
        return ""
    return format_place(finding.file, finding.line)


def headline(report: ReportRecord) -> str:
    """The outcome in one line, without the name."""
    total = len(report.blocks)
    broken = [law.name for law in report.laws.values() if not law.holds]
    counts = {
        verdict: sum(gradient.verdict == verdict for gradient in report.blocks.values()) for verdict in SORT_ORDER
    }
    parts = [f"{count} of {total} gradients {verdict}" for verdict, count in counts.items() if count]
    laws = f"{'law' if len(broken) == 1 else 'laws'} broken: {', '.join(broken)}" if broken else ""
    # Where no gradient is wrong, the broken laws are what is.
    ordered = [*parts, laws] if counts["wrong"] else [laws, *parts]
    return "; ".join(part for part in ordered if part)


def reasons(report: ReportRecord) -> dict[str, list[Block]]:
    """Why gradients are not judged: each reason once, with its gradients."""
    found: dict[str, list[Block]] = {}
    for gradient in worst_first(report):
        if gradient.message and gradient.verdict in ("inconclusive", "vacuous"):
            found.setdefault(gradient.message, []).append(gradient)
    return found


def law_outcome(law: Law) -> Verdict:
    """What is known of a law, as a verdict: of one that was not tested, nothing."""
    if not law.holds:
        return law.breach
    return "right" if law.tested else "vacuous"


def laws_not_tested(report: ReportRecord) -> list[str]:
    """The laws that could not be asked, each with the reason."""
    return [f"law {law.name} was not tested: {law.message}" for law in report.laws.values() if not law.tested]


def laws_without_finding(report: ReportRecord) -> list[str]:
    """The broken laws that no finding tells, as where nothing is explained, each with what was found."""
    told = {finding.code.law for finding in report.findings if finding.code.is_law}
    broken = [law for law in report.laws.values() if not law.holds and law.name not in told]
    return [f"{VERDICT_SIGNS[law_outcome(law)]} law {law.name}: {law.message}" for law in broken]


def footer(report: ReportRecord) -> str:
    """How it was found out, and what it cost."""
    parts = [f"sizes {format_sizes(report.sizes)}"] if report.sizes else []
    if len(report.trials) > 1:
        parts.append(f"and {len(report.trials) - 1} others")
    cost = f"{report.evaluations} evaluations of the loss in {report.seconds:.2f} s"
    return " · ".join(
        [*([" ".join(parts)] if parts else []), report.scheme or "no differences", cost, f"seed {report.seed}"]
    )


def format_small(value: float | None) -> str:
    """A number where its size is what matters: 3.1e-13."""
    return "" if value is None else f"{value:.1e}"


def format_worst_entry(gradient: Block) -> tuple[str, str, str]:
    """The worst entry's index and its two values, or blanks."""
    if gradient.worst is None:
        return "", "", ""
    index, analytic, numerical = gradient.worst
    if gradient.verdict == "right":
        return str(list(index)), f"{analytic:.6g}", f"{numerical:.6g}"
    return str(list(index)), *format_apart(analytic, numerical)


def notes(report: ReportRecord) -> list[str]:
    """What else is to be said, what was left undone last."""
    left_out = [f"not asked, as was wanted: {', '.join(report.laws_not_asked)}"] if report.laws_not_asked else []
    return [*report.notes, *left_out, *describe_cuts(report)]
