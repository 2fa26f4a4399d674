"""How a check gets on: what it has cost so far, what is told while it runs, and how long the rest of it will take."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from gradcheck._checking.audit import Audit, AuditOptions, Watcher, audit
from gradcheck._common import clock
from gradcheck._common.clock import Clock, limited
from gradcheck._common.errors import TargetError
from gradcheck._targets.target import Target
from gradcheck.report.progress_phrases import Stage, first_look, judged_so_far
from gradcheck.report.records import Cut, CutStage

#: losses for one entry of a gradient by real differences
LOSSES_AN_ENTRY = 8
#: progress(stage, evaluations so far)
Progress: TypeAlias = Callable[[str, int], None]
#: what a part of a check finds
Found = TypeVar("Found")


@dataclass
class Pace:
    """Seconds that are left, by the time that each evaluation has taken so far."""

    started: float = field(default_factory=lambda: clock.now())
    #: evaluations in all, as far as can be told; 0 if nothing can
    expected: float = 0.0
    #: how many of them come last and are cut short after so many seconds
    limited: float = 0.0
    limit: float = math.inf

    def left(self, evaluations: int) -> float | None:
        """Seconds for the rest, after so many evaluations; None if nothing can be told."""
        if not 0 < evaluations < self.expected:
            return None
        each = (clock.now() - self.started) / evaluations
        left = self.expected - evaluations
        last = min(left, self.limited)
        return each * (left - last) + min(each * last, self.limit)


@dataclass
class TimeTable:
    """How much time there is for what may be cut short, and what was.

    Args:
        budget: Seconds for the search for lines, and as many for what says more of gradients that are wrong; None: no
            limit.
    """

    budget: float | None
    cuts: list[Cut] = field(default_factory=list)
    _clocks: dict[bool, Clock] = field(default_factory=dict)

    @contextlib.contextmanager
    def limits(self, stage: CutStage, *, of_lines: bool = False) -> Iterator[None]:
        """Let the block end when its time is up; that it did is noted."""
        if of_lines not in self._clocks:
            self._clocks[of_lines] = Clock(self.budget)
        found = self._clocks[of_lines]
        if any(one.is_interrupted for one in self._clocks.values()):
            found.interrupt()  # Ctrl-C ends all that is left, not one part of it
        with limited(found):
            yield
            return
        self.note(stage, found)

    def note(self, stage: CutStage, found: Clock, left: int = 0) -> None:
        """Note that the time of a clock was up in this stage."""
        self.cuts.append(Cut(stage, self.budget, found.is_interrupted, left))

    def clock_of_lines(self) -> Clock:
        """The clock of the search for lines, once it has begun."""
        return self._clocks[True]


class MainWatcher(Watcher):
    """Tells how the audit at the default sizes gets on, and limits what only says more of what is wrong.

    Args:
        tell: Called with a stage whenever there is something to tell.
        evaluations: How many there were so far.
        pace: Is told what to expect.
        others: How many other sizes follow.
        limits: The time for details; None if they may take as long as they do.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        evaluations: Callable[[], int],
        pace: Pace,
        others: int,
        limits: TimeTable | None,
    ) -> None:
        self.tell, self.evaluations, self.pace = tell, evaluations, pace
        self.others, self.limits = others, limits

    def gradients_do_not_fit(self, claimed: float, measured: float) -> None:
        """Say so before it is known which of them are wrong."""
        self.tell(first_look(claimed, measured))

    def judged(self, result: Audit, count: int, total: int) -> None:
        """Say how many are judged, and how long the rest will take."""
        one = self.evaluations() / count
        entries = sum(
            LOSSES_AN_ENTRY * result.gradients[name].size for name in result.wrong if name in result.gradients
        )
        details = one * total * self.others + entries * total / count
        self.pace.expected = one * total + details
        if result.wrong and self.limits is not None:
            self.pace.limited, self.pace.limit = details, math.inf if self.limits.budget is None else self.limits.budget
        self.tell(judged_so_far(result.wrong, count, total))

    def details(self, result: Audit) -> contextlib.AbstractContextManager[None]:
        """As long as there is time, where something is wrong."""
        if self.limits is None or not result.wrong:
            return contextlib.nullcontext()
        return self.limits.limits("entries")


@dataclass
class Headway:
    """How far a check has come: what it is at, its evaluations so far, and the time for what may be cut short."""

    progress: Progress | None
    time: TimeTable
    #: whether details may be cut short; whoever asks for every entry, or for no explanation, gets all of them
    has_limits: bool
    pace: Pace = field(default_factory=Pace)
    evaluations: int = 0
    stage: str = "checking"

    def audit(
        self, target: Target, seed: int, depth: AuditOptions, stage: str, watcher: Watcher | None = None
    ) -> Audit:
        """One audit, told of and counted."""

        def audited(tick: Callable[[], None]) -> tuple[Audit, int]:
            found = audit(target, seed, depth, tick, watcher)
            return found, found.evaluations

        return self.counted(stage, audited)

    def counted(self, stage: str, find: Callable[[Callable[[], None]], tuple[Found, int]]) -> Found:
        """What a part of the check finds, which is handed what it calls at each evaluation, and tells how many it made.

        Where the target cannot be run, nothing is counted.
        """
        self.stage, before = stage, self.evaluations
        try:
            found, evaluations = find(self._tick)
        except TargetError:
            self.evaluations = before
            raise
        self.evaluations = before + evaluations
        return found

    def _tick(self) -> None:
        self.evaluations += 1
        self._tell(self.stage)

    def _tell(self, stage: str) -> None:
        self.stage = stage
        if self.progress is None:
            return
        told = stage if isinstance(stage, Stage) else Stage(stage)
        self.progress(told.with_time_left(self.pace.left(self.evaluations)), self.evaluations)

    def tell_of_lines(self, left: float | None) -> None:
        """Say that lines are looked for, in at most so many seconds."""
        if self.progress is not None:
            self.progress(Stage("looking for the lines").with_time_left(left, at_most=True), self.evaluations)

    def details(self, stage: CutStage) -> contextlib.AbstractContextManager[None]:
        """Around what only says more of what is wrong: as long as there is time, if there is a limit at all."""
        return self.time.limits(stage) if self.has_limits else contextlib.nullcontext()

    def watcher(self, others: int) -> Watcher:
        """What is told how the audit at the default sizes gets on, which so many other sizes follow."""
        limits = self.time if self.has_limits else None
        return MainWatcher(self._tell, lambda: self.evaluations, self.pace, others, limits)
