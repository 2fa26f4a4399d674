"""Lines and edits by the tape: who could be at fault alone, and edits judged by their values, then by running.

A statement can be at fault alone only if other values of it could make every wrong gradient right; the tape says for
each whether they could. The edit that makes them right, and changes the text least, decides between those that are
left. After an edit that mends a part the backward is taped again, edited, until nothing is wrong or nothing mends.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from gradcheck._common.arrays import Sizes, as_complex
from gradcheck._common.clock import Clock, current_clock, limited
from gradcheck._common.errors import TargetError
from gradcheck._mending.residual import agree
from gradcheck._repair.final_clips import mend_of_final_clip
from gradcheck._repair.found import Found, Mended, add_mend, edited
from gradcheck._repair.next_fault import next_faults, unmended, unmended_faults, write_into_callers
from gradcheck._repair.points import Point, points_of, points_of_one_step
from gradcheck._symptoms.common_factor import CommonFactor
from gradcheck._tape import TapedRun, tape_target
from gradcheck._targets.factory import TargetFactory
from gradcheck._targets.target import Target
from gradcheck._usercode.patching import RebindError
from gradcheck._usercode.profiling import functions_run
from gradcheck._usercode.source import Source

#: the part of the time that the search has here; the rest is for verifying, and for the trace
SHARE_OF_TIME = 0.6
#: faults that are mended one after the other
MOST_ROUNDS = 16
#: directions along which the tape has to agree with the measured slope
DIRECTIONS = 2
#: the step of those differences
STEP = 1e-6
#: how far tape and slope may be apart, relative to the gradient: differences of one step are no better
BELIEVED = 1e-5


def find_by_tape(
    subject: Target | TargetFactory,
    seed: int,
    failing: Sizes,
    expected: set[str],
    common: CommonFactor | None = None,
    *,
    undecided: Collection[str] = (),
    is_impure: bool = False,
) -> Found | None:
    """What the tape tells at the first point at which it can be believed and something is wrong; None if at none.

    Where the time is up, what was found by then.

    Args:
        subject: What is checked.
        seed: The seed of the check.
        failing: Sizes at which it is known to fail.
        expected: The gradients that are wrong at some sizes.
        common: A factor that gradients have in common: what else is wrong is looked for first, then what makes it.
        undecided: Gradients that could not be judged, as at a kink: whatever the tape says of them need not be true.
        is_impure: Whether the code changes arrays that are the caller's: where no gradient is wrong, that is mended.
    """
    outer = current_clock()
    clock = Clock(SHARE_OF_TIME * outer.left, outer)
    search = _Search(subject, expected, undecided, is_impure=is_impure)
    for points in points_of(subject, seed, failing, common):
        found = Found()
        with limited(clock):
            if not search.finds(points, found):
                continue
            if found.is_unmended and isinstance(subject, TargetFactory):
                found = search.better_by_one_step(points, points_of_one_step(subject, seed, failing, common), found)
            return found
        return _as_far_as_it_went(found)
    return None


def _as_far_as_it_went(found: Found) -> Found:
    """What is told of a search whose time was up: a statement is accused only if it is the only one to suspect."""
    found.is_cut = True
    if not found.faults and found.last is not None and len(found.last.alone) == 1:
        found.faults.append(unmended(found.last.alone[0], set(found.still_wrong)))
    return found


class _Search:
    """Looks for the faults of one subject, each in the code with the edits so far."""

    def __init__(
        self, subject: Target | TargetFactory, expected: set[str], undecided: Collection[str], *, is_impure: bool
    ) -> None:
        self.expected, self.undecided, self.is_impure = expected, set(undecided), is_impure
        self.is_factory = isinstance(subject, TargetFactory)

    def finds(self, points: Sequence[Point], found: Found, *, is_short: bool = False) -> bool:
        """Go on from what is found, at these points; whether the tape can be believed there and something is wrong.

        Where they are short, gradients that have to be zero there tell nothing.
        """
        try:
            return self._goes_on(points, found, is_short)
        except (TargetError, RebindError, SyntaxError):
            return False

    def better_by_one_step(self, points: Sequence[Point], short: Sequence[Point] | None, found: Found) -> Found:
        """What is found if one starts with one time step, if more is right then: there faults do not meet."""
        other = Found()
        if short is None or not self.finds(short, other, is_short=True) or not other.edits:
            return found
        other.faults = [fault for fault in other.faults if fault.edits]
        other.stages = []
        is_better = self.finds(points, other) and len(other.still_wrong) < len(found.still_wrong)
        return other if is_better else found

    def _goes_on(self, points: Sequence[Point], found: Found, is_short: bool) -> bool:
        for _ in range(MOST_ROUNDS):
            with ExitStack() as stack:
                if found.edits:
                    stack.enter_context(edited(found, is_factory=self.is_factory))
                target, values = stack.enter_context(points[0].opened())
                run = tape_target(target, values, multiple=points[0].factor)
                wrong = {name for name in _wrong(run) if not is_short or np.any(run.true_gradients[name])}
                if not found.codes:
                    found.evaluations += 2 * DIRECTIONS
                    if not wrong <= self.expected | self.undecided or not _is_believed(run, self.undecided):
                        return False
                    _add_sources(found, run, points[0] if self.is_factory else None)
                if wrong <= self.undecided:
                    wrong = set()
                found.reach(wrong, points[0].factor)
                if not wrong and points[0].factor != 1.0:
                    points = [replace(point, factor=1.0) for point in points]
                    found.is_common = True
                    continue
                faults = self._faults(found, run, wrong, points[1:])
            if not faults:
                return bool(found.faults)
            before = {file: list(edits) for file, edits in found.edits.items()}
            added = [add_mend(found, replace(one, is_common=found.is_common), before) for one in faults]
            if not any(added):
                return True
        return True

    def _faults(self, found: Found, run: TapedRun, wrong: set[str], others: Sequence[Point]) -> list[Mended]:
        """The next faults that edits mend; where none does, those that are told without are noted."""
        if wrong:
            clip = mend_of_final_clip(run, others)
            faults = [clip] if clip is not None else next_faults(found, run, wrong, others)
            if not faults:
                found.faults += unmended_faults(found, run, wrong, others)
            return faults
        is_left = self.is_impure and not any(not one.gradients for one in found.faults)
        fault = write_into_callers(run, others) if is_left else None
        return [] if fault is None else [fault]


def _add_sources(found: Found, run: TapedRun, built: Point | None) -> None:
    """Note what runs, also to make the target, and where it stands."""
    found.codes = list(run.program.codes)
    if built is not None:
        found.codes += functions_run(built.open)
    files = {code.co_filename for code in found.codes}
    found.sources = {file: one for file in files if (one := Source.of_running(file)) is not None}


def _wrong(run: TapedRun) -> set[str]:
    given = run.gradients
    return {name for name, true in run.true_gradients.items() if name not in given or not agree(given[name], true)}


def _is_believed(run: TapedRun, undecided: Collection[str] = ()) -> bool:
    """Whether the tape's gradients are the slope of the loss, along a few directions through all decided parameters."""
    rng = np.random.default_rng(5)
    with run.target.problem.preserved():
        for _ in range(DIRECTIONS):
            direction = {
                name: rng.standard_normal(array.shape) * (name not in undecided) for name, array in run.base.items()
            }
            ends = [
                as_complex(
                    run.target.loss_at(
                        {name: array + sign * STEP * direction[name] for name, array in run.base.items()}
                    )
                ).real
                for sign in (1, -1)
            ]
            slope = run.multiple * (ends[0] - ends[1]) / (2 * STEP)
            taped = sum(float(np.sum(run.true_gradients[name] * direction[name])) for name in run.base)
            size = float(np.sqrt(sum(np.sum(array**2) for array in run.true_gradients.values())))
            rounding = 1e-15 * abs(run.multiple * ends[0]) / STEP
            if not abs(slope - taped) <= BELIEVED * max(size, abs(taped)) + 10 * rounding:
                return False
    return True
