"""What is said while a check runs, and of what it left undone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

from gradcheck._common.wording import format_apart, format_sizes
from gradcheck.report.records import Cut, ReportRecord

#: how many times as long the next attempt is proposed to have
NEXT_BUDGET = 4
_LEFT_UNDONE = {
    "entries": "the single entries of wrong gradients",
    "smallest": "the smallest sizes that fail",
    "lines": "the search for lines and edits",
    "verifying": "the verification of the edits",
}


class Stage(str):
    """What a check is at, in words.

    Attributes:
        news: Not empty if it tells of an outcome, and is worth a line of its own; the same for all that tell of it.
        left: Seconds until the check is through, or at most so many; None if nothing can be told.
    """

    __slots__ = ("at_most", "left", "news")
    news: str
    left: float | None
    at_most: bool

    def __new__(cls, text: str, *, news: str = "", left: float | None = None, at_most: bool = False) -> Self:
        """The words, and what goes with them."""
        made = super().__new__(cls, text)
        made.news, made.left, made.at_most = news, left, at_most
        return made

    def with_time_left(self, seconds: float | None, *, at_most: bool = False) -> Self:
        """The same with what is left of it."""
        return type(self)(self, news=self.news, left=seconds, at_most=at_most)


def describe_stage(stage: str, since: float = 0.0) -> str:
    """A stage with the time that is left, so many seconds after it was told."""
    left: float | None = getattr(stage, "left", None)
    if left is None or not math.isfinite(left):
        return str(stage)
    about = "at most" if getattr(stage, "at_most", False) else "about"
    return f"{stage}, {about} {format_seconds(max(0.0, left - since))} left"


def format_seconds(seconds: float) -> str:
    """A time as people say it: 40 s, 3 min, 2 h."""
    if seconds < 99.5:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def first_look(claimed: float, measured: float) -> Stage:
    """That the gradients do not fit the loss, before it is known which of them do not."""
    pair = " and the loss has ".join(format_apart(claimed, measured))
    excuse = "unless a kink or noise explains it"
    return Stage(f"wrong, {excuse}: along a first direction the gradients claim a slope of {pair}", news="first look")


def judged_so_far(wrong: Sequence[str], count: int, total: int) -> Stage:
    """How many gradients are judged, and which of them are wrong."""
    found = f"wrong: {', '.join(wrong)}" if wrong else "none wrong so far"
    news = ("all judged" if count == total else "wrong") if wrong else ""
    return Stage(f"{found}; {count} of {total} gradients judged", news=news)


def describe_cuts(report: ReportRecord) -> list[str]:
    """What was left undone, why, and how to go on; nothing if nothing was."""
    if not report.cuts:
        return []
    last = report.cuts[-1]
    left = "; ".join(_left_undone(cut, len(report.trials)) for cut in report.cuts)
    why = "interrupted" if report.is_interrupted else f"as its time of {last.seconds:g} s was up"
    return [f"not finished, {why}: {left}. The verdicts stand. {_how_to_go_on(report, last)}"]


def _left_undone(cut: Cut, tried: int) -> str:
    if cut.stage == "sizes":
        return f"trials at {cut.left} of {cut.left + tried - 1} other sizes"
    return _LEFT_UNDONE[cut.stage]


def _how_to_go_on(report: ReportRecord, cut: Cut) -> str:
    largest = max(report.sizes, key=lambda name: report.sizes[name], default="")
    smaller = {largest: 2} if largest and report.sizes[largest] > 2 else {}
    at = f", or at smaller sizes: --size {format_sizes(smaller)}" if smaller else ""
    if report.is_interrupted or not cut.seconds:
        return f"To go on, check again{at}"
    seconds = f"{NEXT_BUDGET * cut.seconds:g}"
    return f"Go on with --budget {seconds} (budget={seconds} in Python){at}"
