"""The sizes that were tried: a grid of those that were changed one at a time, and what came out where."""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck._common.verdict import Verdict
from gradcheck._common.wording import format_sizes
from gradcheck.report.html.frame import folded
from gradcheck.report.markup import (
    NOTHING,
    Html,
    column_head,
    data_table,
    escape,
    paragraph,
    tag,
    verdict_mark,
    verdict_sign,
)
from gradcheck.report.phrases import SORT_ORDER
from gradcheck.report.records import ReportRecord, Trial


def sizes_tried(report: ReportRecord, level: int) -> Html:
    """A grid of the sizes that were changed one at a time; what is said of these and of all others below it."""
    if not report.trials:
        return NOTHING
    singly: dict[tuple[str, int], Verdict] = {}
    for trial in report.trials:
        changed = _changed(report, trial)
        for name in changed or report.sizes:
            if len(changed) <= 1:
                singly[name, trial.sizes[name]] = trial.verdict
    values = sorted({value for _, value in singly})
    rows = [_size(name, values, singly, report.sizes) for name in report.sizes]
    columns = [column_head("size"), *(column_head(str(value), "sign") for value in values)]
    grid = data_table("Sizes", columns, rows, "sizes")
    told = paragraph("Each row changes one size; outlined are the sizes as given.", "dim small")
    notes = tag("ul", *_trial_notes(report))
    varied = len(singly) > len(report.sizes)
    return folded("Sizes tried", level, *((grid, told) if varied else ()), notes)


def _size(name: str, values: Sequence[int], singly: dict[tuple[str, int], Verdict], sizes: dict[str, int]) -> Html:
    cells = []
    for value in values:
        verdict = singly.get((name, value))
        told = verdict_sign(verdict) if verdict else NOTHING
        own = " own" if sizes[name] == value else ""
        cells.append(tag("td", told, class_=f"sign {verdict or ''}{own}".rstrip()))
    return tag("tr", tag("th", escape(name), scope="row"), *cells)


def _trial_notes(report: ReportRecord) -> list[Html]:
    """What came out where: outcomes that are alike together, the worst first."""
    alike: dict[tuple[Verdict, tuple[str, ...], str], list[Trial]] = {}
    for trial in report.trials:
        alike.setdefault((trial.verdict, trial.wrong, trial.message), []).append(trial)
    notes = []
    for (verdict, wrong, message), trials in sorted(alike.items(), key=lambda item: SORT_ORDER[item[0][0]]):
        where = "at all of them" if len(alike) == 1 else _places(report, trials)
        said = [*([", ".join(wrong)] if wrong else []), where, *([message] if message else [])]
        notes.append(tag("li", verdict_mark(verdict), escape(f" {': '.join(said)}")))
    return notes


def _places(report: ReportRecord, trials: Sequence[Trial]) -> str:
    """Sizes in short: as given; T=1, 2, 3; B=1; all that differ in several written out."""
    singly: dict[str, list[str]] = {}
    others = []
    for trial in trials:
        changed = _changed(report, trial)
        if len(changed) == 1:
            name, value = next(iter(changed.items()))
            singly.setdefault(name, []).append(str(value))
        else:
            others.append(format_sizes(changed) or "as given")
    return " · ".join([*sorted(others, key=len), *(f"{name}={', '.join(values)}" for name, values in singly.items())])


def _changed(report: ReportRecord, trial: Trial) -> dict[str, int]:
    """The sizes of a trial that are not the report's."""
    return {name: value for name, value in trial.sizes.items() if report.sizes.get(name) != value}
