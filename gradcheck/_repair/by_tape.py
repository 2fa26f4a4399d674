"""Lines and edits by the tape: who could be at fault alone, and edits judged by their values, then by running.

A statement can be at fault alone only if other values of it could make every wrong gradient right; the tape says for
each whether they could. The edit that makes them right, and changes the text least, decides between those that are
left. After an edit that mends a part the backward is taped again, edited, until nothing is wrong or nothing mends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from typing import TypeVar

import numpy as np

from gradcheck._common import errors
from gradcheck._common.arrays import Sizes
from gradcheck._common.clock import Clock, current_clock, limited
from gradcheck._common.errors import TargetError
from gradcheck._localising import Suspect
from gradcheck._localising.incomplete import incomplete
from gradcheck._localising.standing import Standing
from gradcheck._repair.before_loop import drops_carry, edits_before_loop
from gradcheck._repair.each_gradient import hands_on, is_credible
from gradcheck._repair.final_clips import mend_of_final_clip
from gradcheck._repair.found import Found, Mended, add_mend
from gradcheck._repair.input_added import add_inputs
from gradcheck._repair.kept_runs import NO_PROGRESS, KeptRuns, edits_of
from gradcheck._repair.lacking_part import LONGEST, lacking_part
from gradcheck._repair.likeliest_mend import Missing, Sooner
from gradcheck._repair.lost_derivative import lost_derivative
from gradcheck._repair.misnamed import misnamed
from gradcheck._repair.missing_carry import missing_carry
from gradcheck._repair.missing_statement import keeps_a_place, missing_statement
from gradcheck._repair.moved_statement import moved_statement
from gradcheck._repair.next_fault import (
    fault_in_part,
    faults_of_several,
    is_blamed_still,
    next_fault,
    signs_of_several,
    unmended,
    unmended_faults,
    write_into_callers,
)
from gradcheck._repair.overwritten_part import overwritten_part
from gradcheck._repair.penalties_left_out import mend_of_penalty
from gradcheck._repair.points import Point, larger_points_of, points_of, points_of_one_step
from gradcheck._repair.read_instead import read_instead
from gradcheck._repair.shorter_elsewhere import shorten_elsewhere
from gradcheck._repair.small_constants import doubt_about, is_settled, sizes_of, small_constants, vanishes
from gradcheck._repair.uncleared import uncleared
from gradcheck._repair.where_bound import mend_where_bound
from gradcheck._repair.where_called import mend_where_called
from gradcheck._repair.where_made import mend_where_made
from gradcheck._repair.wrong_values import (
    Progress,
    faults_by_values,
    growth_of,
    is_read_well_by_some,
    mend_by_values,
    progress_of,
    shorten,
    spoilers,
    wrong_gradients,
)
from gradcheck._symptoms.common_factor import CommonFactor
from gradcheck._tape import TapedRun
from gradcheck._tape.belief import DIRECTIONS, is_believed
from gradcheck._tape.parts import whole_name
from gradcheck._targets.factory import TargetFactory
from gradcheck._targets.target import Target
from gradcheck._usercode.patching import RebindError
from gradcheck._usercode.profiling import functions_run
from gradcheck._usercode.source import Source

T = TypeVar("T")

#: the part of the time that the search has here; the rest is for verifying
SHARE_OF_TIME = 0.75
#: faults that are mended one after the other
MOST_ROUNDS = 16
#: edits that are the same where there is one time step, and are told apart with all
MOST_EQUIVALENT = 4


def find_by_tape(
    subject: Target | TargetFactory,
    seed: int,
    failing: Sizes,
    expected: set[str] | None,
    common: CommonFactor | None = None,
    *,
    undecided: Collection[str] = (),
    is_impure: bool = False,
    keeps_state: bool = False,
) -> Found | None:
    """What the tape tells at the first point at which it can be believed and something is wrong; None if at none.

    Where the time is up, what was found by then.

    Args:
        subject: What is checked.
        seed: The seed of the check.
        failing: Sizes at which it is known to fail.
        expected: The gradients that are wrong at some sizes; None if they are only where weights or cotangents are
            large.
        common: A factor that gradients have in common: what else is wrong is looked for first, then what makes it.
        undecided: Gradients that could not be judged, as at a kink: whatever the tape says of them need not be true.
        is_impure: Whether the code changes arrays that are the caller's: where no gradient is wrong, that is mended.
        keeps_state: Whether another call gives something else, so that other gradients are wrong than were.
    """
    outer = current_clock()
    clock = Clock(SHARE_OF_TIME * outer.left, outer)
    search = _Search(subject, expected, undecided, is_impure=is_impure, keeps_state=keeps_state)
    if isinstance(subject, TargetFactory) and expected is not None:
        search.one_step = lambda: points_of_one_step(subject, seed, failing, common)
    places = points_of if expected is not None else larger_points_of
    failed = None
    for points in places(subject, seed, failing, common):
        found, is_through = Found(), False
        with limited(clock):
            try:
                if not search.finds(points, found):
                    continue
            except Exception as error:  # of ours, at these sizes: what was found before it stands
                if errors.SEARCH_ERRORS_RAISE:
                    raise
                failed = failed or error
                if not found.faults:
                    continue
            is_through = True
        if not is_through:
            _tell_as_far_as_it_went(found)
        found.tell_whole()
        found.leave_out_trusted()
        return found
    if failed is not None:
        raise failed
    return None


def _tell_as_far_as_it_went(found: Found) -> None:
    """What is told of a search whose time was up: who is accused has to be ahead of all others, or credible.

    Who only gathers several gradients could spoil all of them, and does not.
    """
    found.is_cut = True
    last = found.last
    first = last.alone[0] if last is not None and last.alone and (last.is_decided or _credible(found)) else None
    gathers = first is not None and len(found.still_wrong) > 1 and hands_on(first)
    if first is not None and not (found.faults or gathers):
        found.add_unmended([unmended(first, set(found.still_wrong))])
    else:
        found.add_unmended(found.signs_left)


#: finds faults that are mended: given what is found so far, a run, what is wrong in it, and where edits are confirmed
Stage = Callable[[Found, TapedRun, set[str], Sequence[Point]], Sequence[Mended]]
#: looks for faults at these points, adds them and their mends to what is found, and tells whether it did
Attempt = Callable[[Sequence[Point], Found], bool]


class _Search:
    """Looks for the faults of one subject, each in the code with the edits so far."""

    def __init__(
        self,
        subject: Target | TargetFactory,
        expected: set[str] | None,
        undecided: Collection[str],
        *,
        is_impure: bool,
        keeps_state: bool,
    ) -> None:
        self.keeps_state = keeps_state
        self.expected, self.undecided, self.is_impure = expected, set(undecided), is_impure
        self.is_factory = isinstance(subject, TargetFactory)
        #: points with one time step, if there are such
        self.one_step: Callable[[], Sequence[Point] | None] = lambda: None
        #: whether what takes long was left out where the likeliest fault was looked for in edited code
        self.is_brief = False
        #: faults by what they give, and the code that they were found in
        self._values_of: tuple[object, Sequence[Mended]] | None = None
        self._runs = KeptRuns(is_factory=self.is_factory, keeps_state=keeps_state)
        #: what was looked for in vain, and in which code
        self._in_vain: list[object] = []

    def finds(self, points: Sequence[Point], found: Found) -> bool:
        """Go on from what is found, at these points; whether the tape can be believed there and something is wrong."""
        try:
            return self._goes_on(points, found)
        except (TargetError, RebindError, SyntaxError):
            return bool(found.mended)  # code that runs no longer with the last edits: those before them stand

    def _goes_on(self, points: Sequence[Point], found: Found) -> bool:
        attempts = self._all_attempts()
        self._leave_constants(points, found)
        points = self._with_factor(points, found)
        for _ in range(MOST_ROUNDS):
            if self._goes_by_values(points, found):
                continue
            seen = self._looks(points, found)
            if seen is None:
                return False
            wrong, faults = seen
            further = self._mends(points, found, faults, attempts) if wrong else self._completes(points, found)
            if further is None:
                return bool(found.faults)
            points = further
        return True

    def _leave_constants(self, points: Sequence[Point], found: Found) -> None:
        """Take small constants out of the loss where more is right without: they are no fault of the backward's."""
        if self.keeps_state:
            return
        with self._runs.taped(points[0], found) as run:
            wrong = wrong_gradients(run)
            small = small_constants(run) if wrong else []
            if not (small and self._has_started(found, run, wrong, points[0])):
                return
            reached, sizes = progress_of(run), sizes_of(run)

        def told_of(run: TapedRun) -> tuple[Progress, set[str], bool]:
            return progress_of(run), wrong_gradients(run), vanishes(sizes, run)

        for one in small:
            told = self._runs.asked_with(found, [one], points[0], told_of)
            if told is not None and told[0] > reached and not told[2]:
                right = tuple(sorted(wrong - told[1]))
                if self._adds(points, found, [replace(one, gradients=right)]):
                    reached, wrong = told[:2]

    def _with_factor(self, points: Sequence[Point], found: Found) -> Sequence[Point]:
        """The points with the common factor in it, where one fault makes that and all else that is wrong.

        With the factor spared, a part of a gradient that has it not, as that of a penalty, is what seems to be wrong.
        """
        if points[0].factor == 1.0 or self.keeps_state:
            return points
        with self._runs.taped(points[0], found) as run:
            spared = wrong_gradients(run)
            if not (spared and self._has_started(found, run, spared, points[0])):
                return points
        whole = [replace(point, factor=1.0) for point in points]
        with self._runs.taped(whole[0], found) as run:
            faults = next_fault(found, run, wrong_gradients(run), whole[1:], is_brief=True)
        is_one = bool(faults) and self._runs.wrong_with(found, faults[:1], whole[0]) == set()
        return whole if is_one else points

    def _all_attempts(self) -> list[Attempt]:
        """What is tried where no fault could be to blame alone."""
        return [
            self._overwritten,
            self._values,
            self._carry,
            self._lacking,
            self._lost,
            self._thoroughly,
            self._missing,
            self._in_part,
            self._one_step,
            self._several,
            self._moved_in_part,
        ]

    def _looks(self, points: Sequence[Point], found: Found) -> tuple[set[str], Sequence[Mended]] | None:
        """What is wrong with the edits so far, and the likeliest faults; None where the tape says nothing to go by."""
        with self._runs.taped(points[0], found) as run:
            wrong = wrong_gradients(run)
            if not self._has_started(found, run, wrong, points[0]):
                return None
            if set(map(whole_name, wrong)) <= self.undecided:
                wrong = set()
            found.reach(set(map(whole_name, wrong)) | run.out_of_shape, points[0].factor)
            # what sums keep from call to call is in the way of all else
            fault = uncleared(run, points[1:]) if self.keeps_state and not found.faults else None
            faults = [fault] if fault else self._next(found, run, wrong, points) if wrong else []
            is_new = not (points[0].is_apart or any(one.is_by_value for one in found.faults))
            if not faults and wrong and is_new:
                found.note_signs(signs_of_several(run, wrong))
        return wrong, faults

    def _has_started(self, found: Found, run: TapedRun, wrong: set[str], point: Point) -> bool:
        """Whether the tape was believed in the code as it is, or is now that this is asked for the first time."""
        return bool(found.codes) or self._starts(found, run, wrong, point)

    def _starts(self, found: Found, run: TapedRun, wrong: set[str], point: Point) -> bool:
        """Whether the tape can be believed in the code as it is, and shows what the check did; notes what ran."""
        found.evaluations += 2 * DIRECTIONS
        if not self._is_expected(wrong) or not is_believed(run, self.undecided):
            return False
        _add_sources(found, run, point if self.is_factory else None)
        return True

    def _completes(self, points: Sequence[Point], found: Found) -> Sequence[Point] | None:
        """Where nothing is wrong any more: the points at which to go on; None once the edits are as they should be."""
        if points[0].factor != 1.0:  # the common factor was spared so far
            found.is_common = True
            return [replace(point, factor=1.0) for point in points]
        if self._spares_callers(points, found):
            return points
        self._mend_at_source(found, points)
        shorten(found, partial(self._runs.taped, points[0]), points[1:])
        shorten_elsewhere(found, partial(self._runs.taped, points[0]), points[1:])
        self._settle_doubt(points, found)
        return None

    def _settle_doubt(self, points: Sequence[Point], found: Found) -> None:
        """Take small constants out of the loss that what is right differs by: no check is content with it before."""
        with self._runs.taped(points[0], found) as run:
            small, doubt = small_constants(run), doubt_about(run)
        for one in small:
            left = self._runs.asked_with(found, [one], points[0], doubt_about)
            if left is not None and is_settled(doubt, left):
                self._adds(points, found, [replace(one, is_unsaid=True)])
                found.reach(set(found.still_wrong), points[0].factor)
                doubt = left

    def _mends(
        self, points: Sequence[Point], found: Found, faults: Sequence[Mended], attempts: list[Attempt]
    ) -> Sequence[Point] | None:
        """Where something is wrong: the points at which to go on, with more edits; None where nothing mends any more.

        One time step helps once, of `attempts`, and once more where parts of gradients are looked at.
        """
        if faults and self._adds(points, found, faults):
            return points
        left = [self._thoroughly, self._missing, self._overwritten] if _is_clear(found) else attempts
        done = next((attempt for attempt in left if attempt(points, found)), None)
        if done == self._one_step:
            attempts.remove(done)
        if done is not None:
            return points
        if not points[0].is_apart and self._can_be_told_apart(points[0], found):
            attempts[:] = self._all_attempts()
            return [replace(point, is_apart=True) for point in points]
        self._mend_at_source(found, points)
        self._tell_unmended(points, found)
        return None

    def _goes_by_values(self, points: Sequence[Point], found: Found) -> bool:
        """Whether another fault shows by its values as the last one did: these are soon told."""
        if not (found.faults and found.faults[-1].is_by_value):
            return False
        with self._runs.taped(points[0], found) as run:
            if not wrong_gradients(run):
                return False
        return any(stage(points, found) for stage in (self._values, self._carry, self._lacking, self._lost))

    def _next(self, found: Found, run: TapedRun, wrong: set[str], points: Sequence[Point]) -> Sequence[Mended]:
        """A clip of the finished gradients, or the likeliest fault that could be to blame for all that is wrong."""
        spoils = bool(spoilers(run, wrong))
        if found.edits:  # the code runs edited here, so that no other edits can be tried in it
            self.is_brief = spoils or bool(run.once(incomplete))
            return _clip_or_next(found, run, wrong, points[1:], is_brief=self.is_brief)
        missing = cache(partial(self._missing_or_moved, found, points))
        keeps_one = run.once(keeps_a_place)

        def sooner() -> Sequence[Mended] | None:
            return (
                self._moved_statement(found, points)
                or self._misnamed(found, points)
                or self._overwritten_part(found, points)
                or (missing() if keeps_one else ())
                or self._sooner(found, wrong, points, spoils)
            )

        return _clip_or_next(found, run, wrong, points[1:], sooner, missing)

    def _sooner(self, found: Found, wrong: set[str], points: Sequence[Point], spoils: bool) -> Sequence[Mended] | None:
        """Faults by what statements give, where some spoil derivatives, a carry, or faults that one time step shows.

        None where several statements give derivatives with edits of their own, and none of them mends all.
        """
        faults = self._some_by_values(found, wrong, points) if spoils else []
        if faults:
            return faults
        told = self._told_by_values(found, points) if spoils else []
        if len({one.statement.line for one in told}) > 1:
            return None
        return (
            self._missing_carry(found, points)
            or self._lacking_part(found, points)
            or self._lost_derivative(found, points)
            or self._in_one_step(found, points[0])
        )

    def _in_one_step(self, found: Found, point: Point) -> Sequence[Mended]:
        """The likeliest fault where there is one time step, if with its edit all is right with all steps as well."""
        points, last, right = self.one_step(), found.last, list[Mended]()
        try:
            with suppress(TargetError, RebindError, SyntaxError):  # a special case that not all code is made for
                if points is not None:
                    with self._runs.taped(points[0], found) as run:
                        wrong = self._wrong_in_one_step(run)
                        faults = next_fault(found, run, wrong, points[1:], is_brief=True) if wrong else []
                        faults = [other for one in faults for other in (one, *edits_before_loop(run, one))]
                    right = [one for one in faults if self._runs.wrong_with(found, [one], point) == set()]
        finally:  # also where the time is up
            found.last = last
        return right[:1]

    def _some_by_values(self, found: Found, wrong: set[str], points: Sequence[Point]) -> Sequence[Mended]:
        """Faults by what they give: all of them if all is right with their edits, or those with which more is."""
        faults = self._told_by_values(found, points)
        if len(faults) > 1 and self._runs.wrong_with(found, faults, points[0]) == set():
            return faults

        def is_better(fault: Mended, run: TapedRun) -> bool:
            return len(wrong_gradients(run)) < len(wrong) or is_read_well_by_some(run, fault)

        return [one for one in faults if self._runs.asked_with(found, [one], points[0], partial(is_better, one))]

    def _told_by_values(self, found: Found, points: Sequence[Point]) -> Sequence[Mended]:
        """The first faults by what they give in this code, looked for once."""
        code = _code(found, points)
        if self._values_of is None or self._values_of[0] != code:
            faults = faults_by_values(found, partial(self._runs.taped, points[0]), points[1:])
            self._values_of = code, [self._best_before_loop(found, one, points[0]) for one in faults]
        return [replace(one, edits=[]) for one in self._values_of[1]]

    def _best_before_loop(self, found: Found, fault: Mended, point: Point) -> Mended:
        """The fault, or what a loop begins with, if more is right with that: what is left by a round before is read."""
        with self._runs.taped(point, found) as run:
            earlier = list(edits_before_loop(run, fault))[:MOST_EQUIVALENT]
            before = progress_of(run) if earlier else NO_PROGRESS
        if earlier and drops_carry(fault):
            best = self._runs.best_of(earlier, found, point)
            if (self._runs.asked_with(found, [best], point, progress_of) or NO_PROGRESS) > before:
                return best
        return self._runs.best_of([fault, *earlier], found, point)

    def _mend_at_source(self, found: Found, points: Sequence[Point]) -> None:
        """Where several edits make up for one mistake, take one where that is."""
        taped = partial(self._runs.taped, points[0])
        mend_where_called(found, taped, points[1:])
        for mend in (mend_where_bound, mend_where_made, add_inputs, read_instead):
            mend(found, taped)

    def _wrong_in_one_step(self, run: TapedRun) -> set[str]:
        """What is wrong there; gradients that have to be zero tell nothing."""
        wrong = {name for name in wrong_gradients(run) if whole_name(name) not in self.undecided}
        return {name for name in wrong if np.any(run.true_gradients[name])}

    def _can_be_told_apart(self, point: Point, found: Found) -> bool:
        """Whether there are gradients of which parts are right, or wrong in their own ways."""
        with self._runs.taped(replace(point, is_apart=True), found) as run:
            return any(whole_name(name) != name for name in wrong_gradients(run))

    def _is_expected(self, wrong: set[str]) -> bool:
        """Whether the check has found no others wrong; where weights or cotangents are large, it has not looked."""
        return self.expected is None or self.keeps_state or wrong <= self.expected | self.undecided

    def _missing(self, points: Sequence[Point], found: Found) -> bool:
        """A statement that is missing, or in the wrong place, in edited code; in that as it is it was looked for."""
        return self._adds(points, found, self._missing_or_moved(found, points) if found.edits else [])

    def _moved_in_part(self, points: Sequence[Point], found: Found) -> bool:
        """A statement in the wrong place, where moving it mends a part."""
        return self._adds(points, found, self._moved_statement(found, points, in_part=True))

    def _missing_or_moved(self, found: Found, points: Sequence[Point]) -> Sequence[Mended]:
        elsewhere = self._moved_statement(found, points) or self._misnamed(found, points)
        return elsewhere or self._missing_statement(found, points)

    def _missing_statement(self, found: Found, points: Sequence[Point]) -> Sequence[Mended]:
        fault = missing_statement(found, partial(self._runs.taped, points[0]), points[1:])
        return [] if fault is None else [fault]

    def _moved_statement(self, found: Found, points: Sequence[Point], *, in_part: bool = False) -> Sequence[Mended]:
        def ask() -> Mended | None:
            with self._runs.taped(points[0], found) as run:
                return moved_statement(run, [one.taped for one in points[1:]], in_part=in_part)

        return self._once_in_each_code("moved in part" if in_part else "moved", ask, found, points)

    def _misnamed(self, found: Found, points: Sequence[Point]) -> Sequence[Mended]:
        def ask() -> Mended | None:
            with self._runs.taped(points[0], found) as run:
                alone = found.last.alone if found.last is not None else []
                return misnamed(run, [one.taped for one in points[1:]], alone[0].statement if alone else None)

        return self._once_in_each_code("misnamed", ask, found, points)

    def _values(self, points: Sequence[Point], found: Found) -> bool:
        """Several on one way, each mended by what it gives; those that read one wrong value where that is bound."""
        first, taped = self._told_by_values(found, points), partial(self._runs.taped, points[0])
        is_new = mend_by_values(found, taped, points[1:], first)
        if is_new:
            mend_where_bound(found, taped)
        return is_new

    def _carry(self, points: Sequence[Point], found: Found) -> bool:
        """What later steps bring back, where no variable holds it."""
        return self._adds(points, found, self._missing_carry(found, points))

    def _lacking(self, points: Sequence[Point], found: Found) -> bool:
        """What comes back through one use of a value, where the rest is given."""
        return self._adds(points, found, self._lacking_part(found, points))

    def _lost(self, points: Sequence[Point], found: Found) -> bool:
        """What comes about and is left aside."""
        return self._adds(points, found, self._lost_derivative(found, points))

    def _overwritten(self, points: Sequence[Point], found: Found) -> bool:
        """What is written over another part of the same derivative."""
        return self._adds(points, found, self._overwritten_part(found, points))

    def _overwritten_part(self, found: Found, points: Sequence[Point]) -> Sequence[Mended]:
        ask = partial(overwritten_part, found, partial(self._runs.taped, points[0]))
        return self._once_in_each_code("overwritten", ask, found, points)

    def _missing_carry(self, found: Found, points: Sequence[Point]) -> Sequence[Mended]:
        ask = partial(missing_carry, found, partial(self._runs.taped, points[0]), points[1:])
        return self._once_in_each_code("carry", ask, found, points)

    def _lacking_part(self, found: Found, points: Sequence[Point]) -> Sequence[Mended]:
        ask = partial(lacking_part, found, partial(self._runs.taped, points[0]), points[1:])
        return self._once_in_each_code("part", ask, found, points)

    def _lost_derivative(self, found: Found, points: Sequence[Point]) -> Sequence[Mended]:
        ask = partial(lost_derivative, found, partial(self._runs.taped, points[0]))
        return self._once_in_each_code("lost", ask, found, points)

    def _once_in_each_code(
        self, what: str, ask: Callable[[], Mended | None], found: Found, points: Sequence[Point]
    ) -> Sequence[Mended]:
        """A fault, looked for in code in which the same has not been looked for in vain."""
        asked = what, _code(found, points)
        fault = None if asked in self._in_vain else ask()
        if fault is not None:
            return [fault]
        self._in_vain.append(asked)
        return []

    def _thoroughly(self, points: Sequence[Point], found: Found) -> bool:
        """The likeliest fault in edited code, with all edits that there are, where only some have been tried."""
        return bool(found.edits) and self.is_brief and self._adds_of(_clip_or_next, points, found)

    def _in_part(self, points: Sequence[Point], found: Found) -> bool:
        """One fault of several."""
        return self._adds_of(fault_in_part, points, found)

    def _one_step(self, all_steps: Sequence[Point], found: Found) -> bool:
        """What can be mended where there is one time step: there what is wrong in one place spoils little else."""
        points, before, last = self.one_step(), len(found.faults), found.last
        points = points and [replace(point, is_apart=all_steps[0].is_apart) for point in points]
        with suppress(TargetError, RebindError, SyntaxError):  # a special case that not all code is made for
            while points is not None and len(found.faults) < before + MOST_ROUNDS:
                stages = (_clip_or_next, fault_in_part, faults_of_several)
                if not any(self._adds_of(one, points, found, all_steps[0]) for one in stages):
                    break
        if len(found.faults) == before:
            found.last = last  # with all steps more is known of who could be at fault
        return len(found.faults) > before

    def _several(self, points: Sequence[Point], found: Found) -> bool:
        """Faults of which each makes some gradients right."""
        return self._adds_of(faults_of_several, points, found)

    def _tell_unmended(self, points: Sequence[Point], found: Found) -> None:
        """Faults without a mend."""
        with self._runs.taped(points[0], found) as run:
            found.add_unmended(unmended_faults(found, run, wrong_gradients(run), points[1:]))

    def _spares_callers(self, points: Sequence[Point], found: Found) -> bool:
        """Where all gradients are right: what is written into what is the caller's."""
        if not self.is_impure or any(not one.gradients for one in found.faults):
            return False
        with self._runs.taped(points[0], found) as run:
            fault = write_into_callers(run, points[1:])
        return fault is not None and self._adds(points, found, [fault])

    def _adds_of(self, stage: Stage, points: Sequence[Point], found: Found, all_steps: Point | None = None) -> bool:
        """Whether a stage adds faults at these points; `all_steps`: where there are others, if these have one step."""
        with self._runs.taped(points[0], found) as run:
            wrong = wrong_gradients(run) if all_steps is None else self._wrong_in_one_step(run)
            faults = stage(found, run, wrong, points[1:]) if wrong else []
            earlier = [list(edits_before_loop(run, one)) if all_steps is not None else [] for one in faults]
        if all_steps is not None:
            pairs = zip(faults, earlier, strict=True)
            faults = [self._best_with_all_steps(found, one, others, all_steps) for one, others in pairs]
        return self._adds(points, found, faults)

    def _best_with_all_steps(self, found: Found, fault: Mended, earlier: Sequence[Mended], point: Point) -> Mended:
        """The fault with that of its edits after which most is right with all steps: x[:1] is x[:-1] of two.

        Or one of those that are made earlier, where a loop begins.
        """
        options = (fault.mend, *fault.others)[:MOST_EQUIVALENT]
        tried = [
            replace(fault, mend=one, others=tuple(x for x in options[1:] if x and x is not one)) for one in options
        ]
        return self._runs.best_of([*tried, *earlier[:MOST_EQUIVALENT]], found, point)

    def _adds(self, points: Sequence[Point], found: Found, faults: Sequence[Mended]) -> bool:
        """Add the mends of faults; whether any can be told as an edit of the text as it is."""
        before, kept = dict(found.edits), [one for one in faults if not self._is_by_chance(points, found, one)]
        added = [add_mend(found, replace(one, is_common=found.is_common), before) for one in kept]
        return any(added)

    def _is_by_chance(self, points: Sequence[Point], found: Found, fault: Mended) -> bool:
        """Whether some gradients are right with its edit, and what it gives is not what is meant there.

        It is written out at length, around what is wrong elsewhere; or fewer values are derivatives with it. A term of
        a penalty on differences adds up to nothing in the gradient of a bias, so that this is right without. Or no
        value besides those gradients becomes one, and the statement could be to blame for all that is left.
        """
        if fault.mend is None or not fault.mend.remaining or fault.is_by_value:
            return False
        if growth_of(fault.mend.edits) > LONGEST:
            return True
        trial = found.copy()
        if not add_mend(trial, replace(fault, edits=[]), dict(found.edits)):
            return False
        with suppress(TargetError, RebindError, SyntaxError):
            with self._runs.taped(points[0], found) as run:
                before = progress_of(run)
            with self._runs.taped(points[0], trial) as run:
                after = progress_of(run)
                derivatives, gradients = after[1] - before[1], after[0] - before[0]
                if derivatives > gradients:
                    return False
                return derivatives < 0 or is_blamed_still(run, fault, wrong_gradients(run), points[1:])
        return False


def _code(found: Found, points: Sequence[Point]) -> object:
    """The code with the edits so far, and whether parts of gradients are looked at in it."""
    return points[0].is_apart, edits_of(found)


def _credible(found: Found) -> Suspect | None:
    """Who could be to blame for all, and is credible. A factor in common is anybody's."""
    first = found.last.alone[0] if found.last is not None and found.last.alone and not found.is_common else None
    return first if first is not None and is_credible(first) else None


def _is_clear(found: Found) -> bool:
    """Whether one reads derivatives, none of them wrong, and is to blame: to look for several is in vain then.

    A statement may be missing where it stands.

    Who writes into an array in which other gradients are kept could have written anything there, and is not.
    """
    first = _credible(found)
    if first is None or first.elsewhere:
        return False
    return all(one.reads_right and one.gives is not Standing.PLAIN for one in first.executions)


def _clip_or_next(
    found: Found,
    run: TapedRun,
    wrong: set[str],
    others: Sequence[Point],
    sooner: Sooner | None = None,
    missing: Missing | None = None,
    *,
    is_brief: bool = False,
) -> Sequence[Mended]:
    clear = mend_of_final_clip(run, others) or mend_of_penalty(run, wrong, others)
    if clear is not None:
        return [clear]
    return next_fault(found, run, wrong, others, sooner, missing, is_brief=is_brief)


def _add_sources(found: Found, run: TapedRun, built: Point | None) -> None:
    """Note what runs, also to make the target, and where it stands."""
    found.codes = list(run.program.codes)
    if built is not None:
        found.codes += functions_run(built.open)
    files = {code.co_filename for code in found.codes}
    found.sources = {file: one for file in files if (one := Source.of_running(file)) is not None}
