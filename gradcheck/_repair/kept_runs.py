"""Runs on the tape with edits in place: kept for a while, and what they say of faults that are not mended yet."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from gradcheck._common.errors import TargetError
from gradcheck._repair.found import EditedCode, Found, Mended, add_mend
from gradcheck._repair.points import Point
from gradcheck._repair.wrong_values import progress_of, wrong_gradients
from gradcheck._tape import TapedRun
from gradcheck._usercode.patching import RebindError
from gradcheck._usercode.source import Edit

T = TypeVar("T")

#: runs on the tape that are kept, to be asked again: of the code as it is, of the last edits, of one time step
MOST_RUNS = 4
#: bytes that they may take together
MOST_BYTES = 200_000_000
#: what counts as less than any progress: that of code that does not run
NO_PROGRESS = -math.inf, 0, 0


@dataclass(frozen=True)
class _Taped:
    """A run on the tape: where, with which edits by file, and the code that ran."""

    point: Point
    edits: dict[str, tuple[Edit, ...]]
    code: EditedCode
    run: TapedRun


class KeptRuns:
    """The last runs, each at a point and with edits.

    Args:
        is_factory: Whether functions inside others are made again with edits.
        keeps_state: Whether another run gives something else: none is kept then.
    """

    def __init__(self, *, is_factory: bool, keeps_state: bool) -> None:
        self._is_factory, self._most_runs = is_factory, 0 if keeps_state else MOST_RUNS
        self._runs: list[_Taped] = []

    def wrong_with(self, found: Found, faults: Sequence[Mended], point: Point) -> set[str] | None:
        """What is wrong with the edits of faults; None if the code does not run."""
        return self.asked_with(found, faults, point, wrong_gradients)

    def asked_with(
        self, found: Found, faults: Sequence[Mended], point: Point, asked: Callable[[TapedRun], T]
    ) -> T | None:
        """What a run with the edits of faults besides those so far says; None if it does not run."""
        trial, before = found.copy(), dict(found.edits)
        for fault in faults:
            add_mend(trial, replace(fault, edits=[]), before)
        with suppress(TargetError, RebindError, SyntaxError), self.taped(point, trial) as run:
            return asked(run)
        return None

    def best_of(self, tried: Sequence[Mended], found: Found, point: Point) -> Mended:
        """The first of those with whose edits most is right."""
        if len(tried) < 2:
            return tried[0]
        progress = [self.asked_with(found, [one], point, progress_of) for one in tried]
        return max(zip(tried, progress, strict=True), key=lambda one: one[1] or NO_PROGRESS)[0]

    @contextmanager
    def taped(self, point: Point, found: Found) -> Iterator[TapedRun]:
        """The loss and the gradients on the tape, with the edits so far; these stay in place."""
        edits = edits_of(found)
        known = next((one for one in self._runs if one.point == point and one.edits == edits), None)
        code = known.code if known is not None else EditedCode(found, is_factory=self._is_factory)
        with code.in_place(), point.taped(None if known is None else known.run) as run:
            before = (one for one in self._runs if one is not known)
            runs = [known or _Taped(point, edits, code, run), *before][: self._most_runs]
            sizes = itertools.accumulate(one.run.bytes for one in runs)
            self._runs = [one for one, size in zip(runs, sizes, strict=True) if size <= MOST_BYTES]
            yield run


def edits_of(found: Found) -> dict[str, tuple[Edit, ...]]:
    """The edits so far, by file."""
    return {file: tuple(edits) for file, edits in found.edits.items()}
