"""The law "scale": gradients that are right stay right where one weight matrix is much larger.

A clip or a threshold inside the backward is silent at the usual scale, and a loss that is one number hides the
cotangent that would bring it out (where there is a cotangent, the law "linearity" does). A large weight matrix on the
way to the loss makes the cotangents behind it large.

A guard of the forward (log(p + eps), a clip of logits) makes the two gradients differ there as well, and is nobody's
mistake. The two are told apart where the difference begins, if that is at one point: who departs there from what it
was, the gradients or the loss (`onset.py`)? Elsewhere by whose gradient is cut off: what a backward clips is missing
from the given gradient, so the difference is at right angles to it or along it; what a forward cuts off is missing from
the true one, so the difference points against the given gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

import numpy as np

from gradcheck._common.arrays import Array, Values
from gradcheck._common.errors import UserCodeError
from gradcheck._common.verdict import BEYOND_DOUBT
from gradcheck._comparing.comparer import Comparer, Look
from gradcheck._comparing.comparisons import Comparison
from gradcheck._laws.off_zero import OffZero
from gradcheck._laws.onset import Departs, Slopes, who_departs
from gradcheck._numeric.evaluator import DOUBLE
from gradcheck._numeric.scheme import Scheme
from gradcheck.report.records import Law

#: a clip above the usual gradients shows only where they are so many times as large; else the law was not tested
GROWN = 4.0
#: where gradients are more times as large, they may have more rounding error than code usually has
MOST_GROWN = 1e4
#: a layer that saturates makes gradients smaller than this part of what they are here
NO_SMALLER = 0.5
#: powers of two, so that no rounding comes with them; the second only where the first saturates
FACTORS = (1024.0, 64.0)
#: and where a guard of the forward shows at those, smaller ones
BELOW_GUARDS = (16.0, 4.0)
#: matrices of other signs at which a clip must not turn out to be a guard
OTHER_SIGNS = 3
#: the part of a slope that an error must make up before it counts, so far from where the user put the parameters
CLEAR_ERROR = 0.01
#: how much shorter the second step is: no power of two, so that no step of one is one of the other
SHORTER = 37.0
#: how well the slopes of the two steps must agree, relatively
STEPS_AGREE = 1e-4
#: how much a plain error may change at a point nearby
STEADY = 0.1
#: how near the largest entry must be to a round number to have been cut off there
SAME_BOUND = 1e-6
#: directions that tell the norm of the difference
NORM_DIRECTIONS = 6
#: the difference points against the given gradient if it does so by more than this part of its own square
AGAINST = 0.25


class _Outcome(Enum):
    """What the gradients are at a point far from the usual one."""

    RIGHT = auto()
    #: the given gradient lacks a part of the true one
    CUT_OFF = auto()
    #: the true gradient lacks a part of the given one: the loss no longer follows there
    GUARDED = auto()
    UNKNOWN = auto()


#: where the given gradient and the true one are plainly not the same
_DIFFER = (_Outcome.CUT_OFF, _Outcome.GUARDED)


class _Found(NamedTuple):
    """What came out where an array is so many times as large, and how much larger the gradients are there."""

    factor: float
    outcome: _Outcome
    growth: float = 0.0


@dataclass(frozen=True)
class _Array:
    """What is made larger: a parameter, or an input that the loss reads."""

    name: str
    is_input: bool = False

    def of(self, comparer: Comparer) -> Array:
        """Its values as they are."""
        evaluator = comparer.evaluator
        return evaluator.target.inputs()[self.name].copy() if self.is_input else evaluator.base[self.name]

    @contextmanager
    def replaced(self, comparer: Comparer, array: Array) -> Iterator[Values]:
        """The parameters where it has other values."""
        base = comparer.evaluator.base
        if not self.is_input:
            yield {**base, self.name: np.asarray(array, dtype=base[self.name].dtype)}
            return
        live = comparer.evaluator.target.inputs()[self.name]
        before = live.copy()
        try:
            live[...] = array
            yield base
        finally:
            live[...] = before


def scale(comparer: Comparer, off_zero: OffZero) -> Law:
    """Try each weight matrix at each factor that tells something, with one direction over all parameters.

    Where that makes no gradient larger, inputs are tried, such as the targets of a squared error. What holds there is
    told only if the gradients were larger: no clip would show otherwise. Beside the last matrix, what is zero here is
    set to other values, and it is noted where the gradients are right with these.
    """
    # a gradient that is zero there, and was not, is asked for as well
    names = [name for name, norm in comparer.norms.items() if norm > 0]
    guarded = ""
    asked: dict[str, _Found] = {}
    for array in _to_make_larger(comparer):
        if array.is_input and asked:
            break
        for found in _outcomes(comparer, array, names, off_zero):
            told = f"where {array.name} is {found.factor:g} times as large"
            if found.outcome is _Outcome.CUT_OFF:
                return _broken(comparer, array, found.factor, names)
            if found.outcome is _Outcome.GUARDED:
                guarded = guarded or told
            if found.outcome is _Outcome.RIGHT and found.growth >= GROWN:
                asked[array.name] = found
    return _unbroken(asked, guarded)


def _to_make_larger(comparer: Comparer) -> Iterator[_Array]:
    """The weight matrices, or the vectors where there are none; then the inputs that are no integers."""
    base = {name: array for name, array in comparer.evaluator.base.items() if array.size}
    matrices = [name for name, array in base.items() if array.ndim >= 2]
    yield from map(_Array, matrices or base)
    for name, array in comparer.evaluator.target.inputs().items():
        if array.dtype.kind == "f" and array.flags.writeable:
            yield _Array(name, is_input=True)


def _broken(comparer: Comparer, array: _Array, factor: float, names: list[str]) -> Law:
    told = f"where {array.name} is {factor:g} times as large"
    bound = _bound_of_clip(comparer, array, factor, names)
    if bound:
        told = f"the gradients are right here, and right, then clipped at ±{bound:g} {told}"
        mend = f"clip where the weights are updated, or declare it with Target(..., clipped={bound:g})"
        return Law("scale", False, f"{told}: {mend}")
    told = f"the gradients are right here, but wrong {told}"
    return Law("scale", False, f"{told}: look for a clip or a threshold inside the backward")


def _unbroken(asked: dict[str, _Found], guarded: str) -> Law:
    """What is known where nothing is wrong: up to which size the gradients are right, or why nothing is known."""
    cut_off = f"the loss no longer follows its parameters {guarded}: a guard of the forward cuts it off there"
    if not asked:
        if guarded:
            return Law.untested("scale", f"{cut_off}, so that nothing is known of the backward at that scale")
        return Law.untested(
            "scale",
            "the gradients are no larger where a weight is, so that a clip inside the backward, far above them, would "
            "not show; Target.from_vjp asks the backward itself",
        )
    name, largest = max(asked.items(), key=lambda one: one[1].growth)
    told = (
        f"the gradients stay right where {name} is {largest.factor:g} times as large, and they are "
        f"{largest.growth:.2g} times as large"
    )
    return Law("scale", True, f"{told}; {cut_off}" if guarded else told)


def _outcomes(comparer: Comparer, one: _Array, names: list[str], off_zero: OffZero) -> Iterator[_Found]:
    """What the gradients are where this array is larger, down to the first factor at which they are right."""
    array, guarded, departs = one.of(comparer), False, None
    if _may_answer_both(comparer, one, off_zero):
        growth = _growth_off_zero(comparer, one, FACTORS[0] * array, off_zero)
        if growth:
            yield _Found(FACTORS[0], _Outcome.RIGHT, growth)
            return
    for factor in (*FACTORS, *BELOW_GUARDS):
        if factor in BELOW_GUARDS and not guarded:
            return
        found, growth = _outcome_at(comparer, one, factor * array, names)
        if found in _DIFFER:
            departs = departs or _who_departs(comparer, one, factor, names)
            if departs is not Departs.UNKNOWN:
                found = _Outcome.CUT_OFF if departs is Departs.GRADIENTS else _Outcome.GUARDED
            elif comparer.evaluator.target.clip is not None:
                found = _Outcome.UNKNOWN  # what a declared clip leaves of the gradients does not tell what is missing
            elif found is _Outcome.CUT_OFF and _is_guarded_with_other_signs(comparer, one, factor * array, names):
                found = _Outcome.GUARDED
        guarded = guarded or found is _Outcome.GUARDED
        yield _Found(factor, found, growth)
        if found is _Outcome.RIGHT:
            return


def _may_answer_both(comparer: Comparer, one: _Array, off_zero: OffZero) -> bool:
    """Whether to ask for the values off zero beside this array: the last matrix, mostly the one next to the loss.

    Larger, it makes all other gradients larger, where those inside of a network saturate it. Only by complex steps,
    which tell small errors beside large gradients.
    """
    if one.is_input or not off_zero.is_open or one.name in off_zero.values:
        return False
    matrices = [name for name, array in comparer.evaluator.base.items() if array.ndim >= 2 and array.size]
    return [one.name] == matrices[-1:] and comparer.evaluator.scheme is Scheme.COMPLEX


def _growth_off_zero(comparer: Comparer, one: _Array, array: Array, off_zero: OffZero) -> float:
    """How much larger the gradients are with this array and no zeros, if they are right there; zero if it is not known.

    They answer both laws if none is much smaller than it is here: what was hidden is then no smaller either.
    """
    usual = math.hypot(*comparer.norms.values())
    try:  # the code need not run there
        with one.replaced(comparer, array) as values:
            look = comparer.look_at({**values, **off_zero.values})
            if look is None or not 0 < usual <= abs(look.slope) < math.inf:
                return 0.0
            growth = math.hypot(*look.norms.values()) / usual
            smaller = any(look.norms[name] < NO_SMALLER * size for name, size in comparer.norms.items())
            if smaller or growth > MOST_GROWN:
                return 0.0
            off_zero.is_known_right = look.fits()
            return growth if off_zero.is_known_right else 0.0
    except UserCodeError:
        return 0.0


def _who_departs(comparer: Comparer, one: _Array, factor: float, names: list[str]) -> Departs:
    """Who departs from what it was, where gradients cease to be right between here and this factor."""
    if comparer.evaluator.epsilon > DOUBLE:
        return Departs.UNKNOWN  # single precision does not show where that is
    array = one.of(comparer)

    def slopes_at(scale: float) -> Slopes | None:
        with one.replaced(comparer, scale * array) as values:
            there = comparer.at_point(values)
            return None if there is None else _slopes(there, direction)

    try:
        with one.replaced(comparer, factor * array) as values:
            there = comparer.at_point(values)
            if there is None:
                return Departs.UNKNOWN
            direction = there.direction(names)
        return who_departs(slopes_at, 1.0, factor)
    except UserCodeError:
        return Departs.UNKNOWN  # the code need not run there


def _slopes(comparer: Comparer, direction: Values) -> Slopes | None:
    """Both slopes along a direction; None if it leads along entries that a declared clip cuts off."""
    if any(np.any(direction[name][~free]) for name, free in comparer.given.free.items() if name in direction):
        return None
    found = comparer.evaluator.derivative(direction)
    rounding = math.hypot(*(comparer.given.usual_rounding(name) for name in direction))
    size = math.hypot(*comparer.norms.values())
    return Slopes(comparer.slope(direction), found.value, found.error + rounding, size)


def _is_guarded_with_other_signs(comparer: Comparer, one: _Array, array: Array, names: list[str]) -> bool:
    """Whether a guard shows where entries have other signs: if it hides a part that cancels, it looks like a clip."""
    rng = comparer.given.rng("signs", one.name)
    others = [array * rng.choice([-1.0, 1.0], array.shape) for _ in range(OTHER_SIGNS)]
    return any(_outcome_at(comparer, one, other, names)[0] is _Outcome.GUARDED for other in others)


def _outcome_at(comparer: Comparer, one: _Array, array: Array, names: list[str]) -> tuple[_Outcome, float]:
    """What the gradients are with this array, and how much larger where they are right.

    Wrong only at two steps and two points: no noise, saturation or chaos.
    """
    usual = math.hypot(*comparer.norms.values())
    try:  # the code need not run so far from where the user put the parameters
        with one.replaced(comparer, array) as values:
            look = comparer.look_at(values, names)
            if look is None or not names:
                return _Outcome.UNKNOWN, 0.0
            if _looks_right(look, usual):
                return _Outcome.RIGHT, math.hypot(*look.norms.values()) / usual
            there = look.comparer or comparer.at_point(values)
            if there is None or not _plainly_wrong(there, names, usual):
                return _Outcome.UNKNOWN, 0.0
            return (_Outcome.GUARDED if _points_against_gradient(there, names) else _Outcome.CUT_OFF), 0.0
    except UserCodeError:
        return _Outcome.UNKNOWN, 0.0


def _bound_of_clip(comparer: Comparer, one: _Array, factor: float, names: list[str]) -> float:
    """The round number that finished gradients are cut off at there, if all other entries are right; else zero."""
    with one.replaced(comparer, factor * one.of(comparer)) as values:
        there = comparer.at_point(values)
        if there is None:
            return 0.0
        largest = max(float(np.max(np.abs(there.gradients[name]), initial=0.0)) for name in names)
        bound = float(f"{largest:.2g}")
        if not math.isclose(largest, bound, rel_tol=SAME_BOUND):
            return 0.0
        there.given.leave_out_beyond(bound)
        names = [name for name in names if there.norms[name] > 0]
        there.evaluator.measure_noise()
        return bound if names and there.compare(names).verdict == "right" else 0.0


def _points_against_gradient(comparer: Comparer, names: list[str]) -> bool:
    """Whether what the true gradient has more than the given one points against the given one."""
    size = math.hypot(*(comparer.norms[name] for name in names))
    if not 0 < size < math.inf:
        return False
    # of the length of a Gaussian direction, so that steps are as long as they are along one
    length = math.sqrt(sum(comparer.gradients[name].size for name in names))
    free = comparer.given.free  # a clip that is declared cuts off the rest
    along = {name: comparer.gradients[name] * free.get(name, True) * (length / size) for name in names}
    comparer.evaluator.measure_noise()
    more = (comparer.evaluator.real_difference(along).value - comparer.slope(along)) * size / length
    apart = comparer.compare(names, count=NORM_DIRECTIONS).error
    return more < -AGAINST * apart**2


def _looks_right(look: Look, usual: float) -> bool:
    """Whether one slope, which is no smaller than the usual ones, is what the gradients say."""
    expected = look.slope
    if not 0 < usual <= abs(expected) < math.inf:
        return False
    slope = look.evaluator.one_sided_slope(look.direction, CLEAR_ERROR * expected)
    return abs(slope - expected) <= CLEAR_ERROR * abs(expected)


def _plainly_wrong(comparer: Comparer, names: list[str], usual: float) -> bool:
    here = _clear_error(comparer, names, usual)
    if here is None:
        return False
    nearby = comparer.nearby()
    there = _clear_error(nearby, names, usual) if nearby is not None else None
    if there is None:
        return False
    slopes_agree = abs(here.derivative.value - there.derivative.value) <= CLEAR_ERROR * abs(here.discrepancy)
    return slopes_agree and abs(here.discrepancy - there.discrepancy) <= STEADY * abs(here.discrepancy)


def _clear_error(comparer: Comparer, names: list[str], usual: float) -> Comparison | None:
    """A comparison that is off by more than a percent, if differences from two steps agree on the slope.

    Only where slopes are at least the usual ones: a saturated network's are small and mostly rounding error, while what
    is looked for here needs large cotangents.
    """
    found = comparer.compare(names, count=1)[0]
    size = abs(found.derivative.value) + abs(found.discrepancy)
    if size < usual or not abs(found.discrepancy) > max(CLEAR_ERROR * size, BEYOND_DOUBT * found.bar):
        return None
    slopes = [comparer.evaluator.real_difference(found.direction, shorter).value for shorter in (1.0, SHORTER)]
    trusted = all(abs(slope - found.derivative.value) <= STEPS_AGREE * size for slope in slopes)
    return found if trusted and not comparer.is_confirmed_by_shortest_step(found.direction, found.discrepancy) else None
