"""Lines and edits by the tape: who could be at fault alone, and edits judged by their values, then by running.

A statement can be at fault alone only if other values of it could make every wrong gradient right; the tape says for
each whether they could. The edit that makes them right, and changes the text least, decides between those that are
left. After an edit that mends a part the backward is taped again, edited, until nothing is wrong or nothing mends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np

from gradcheck._common.arrays import Sizes, as_complex
from gradcheck._common.clock import Clock, current_clock, limited
from gradcheck._common.errors import TargetError
from gradcheck._repair.final_clips import mend_of_final_clip
from gradcheck._repair.found import Found, Mended, add_mend, edited
from gradcheck._repair.next_fault import faults_of_several, next_fault, unmended, unmended_faults, write_into_callers
from gradcheck._repair.points import Point, points_of, points_of_one_step
from gradcheck._repair.wrong_values import mend_by_values, wrong_gradients
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
    if isinstance(subject, TargetFactory):
        search.one_step = lambda: points_of_one_step(subject, seed, failing, common)
    for points in points_of(subject, seed, failing, common):
        found = Found()
        with limited(clock):
            if search.finds(points, found):
                return found
            continue
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
        #: points with one time step, if there are such
        self.one_step: Callable[[], Sequence[Point] | None] = lambda: None

    def finds(self, points: Sequence[Point], found: Found) -> bool:
        """Go on from what is found, at these points; whether the tape can be believed there and something is wrong."""
        try:
            return self._goes_on(points, found)
        except (TargetError, RebindError, SyntaxError):
            return False

    def _goes_on(self, points: Sequence[Point], found: Found) -> bool:
        # what is still to be tried where no fault of the code as it is now is mended alone
        left = [self._mends_values, self._mends_at_one_step]
        is_none_alone = False
        for _ in range(MOST_ROUNDS):
            with self._taped(points[0], found) as run:
                wrong = wrong_gradients(run)
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
                faults = [] if is_none_alone else self._fault(found, run, wrong, points[1:])
                if not faults and wrong and not left:
                    faults = faults_of_several(found, run, wrong, points[1:])
                    if not faults:
                        found.faults += unmended_faults(found, run, wrong, points[1:])
            if not faults and wrong and left:
                is_none_alone = not left.pop(0)(points, found)
                continue
            if not faults:
                return bool(found.faults)
            left, is_none_alone = [self._mends_values, *(one for one in left if one == self._mends_at_one_step)], False
            if not self._adds(found, faults):
                return True
        return True

    def _mends_values(self, points: Sequence[Point], found: Found) -> bool:
        """Mend several on one way by what they give; whether any gradient became right."""
        return mend_by_values(found, lambda trial: self._taped(points[0], trial), points[1:])

    def _mends_at_one_step(self, _: Sequence[Point], found: Found) -> bool:
        """Mend what can be where there is one time step: there what is wrong in one place spoils little else.

        Whether there was any.
        """
        points, before = self.one_step(), len(found.faults)
        try:
            for _round in range(MOST_ROUNDS if points else 0):
                assert points is not None
                with self._taped(points[0], found) as run:
                    # gradients that have to be zero tell nothing here
                    wrong = {name for name in wrong_gradients(run) - self.undecided if np.any(run.true_gradients[name])}
                    faults = self._fault(found, run, wrong, points[1:]) if wrong else []
                    if wrong and not faults:
                        faults = faults_of_several(found, run, wrong, points[1:])
                if not faults or not self._adds(found, faults):
                    break
        except (TargetError, RebindError, SyntaxError):
            pass  # one step is a special case that not all code is made for
        return len(found.faults) > before

    @contextmanager
    def _taped(self, point: Point, found: Found) -> Iterator[TapedRun]:
        """The loss and the gradients on the tape, with the edits so far; these stay in place."""
        with ExitStack() as stack:
            if found.edits:
                stack.enter_context(edited(found, is_factory=self.is_factory))
            target, values = stack.enter_context(point.opened())
            yield tape_target(target, values, multiple=point.factor)

    def _adds(self, found: Found, faults: Sequence[Mended]) -> bool:
        """Add the mends of faults; whether any can be told as an edit of the text as it is."""
        before = {file: list(edits) for file, edits in found.edits.items()}
        added = [add_mend(found, replace(one, is_common=found.is_common), before) for one in faults]
        return any(added)

    def _fault(self, found: Found, run: TapedRun, wrong: set[str], others: Sequence[Point]) -> list[Mended]:
        """The next fault that an edit mends, if there is one."""
        if wrong:
            fault = mend_of_final_clip(run, others) or next_fault(found, run, wrong, others)
        else:
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
