"""The law "scale": gradients that are right stay right where one weight matrix is much larger.

A clip or a threshold inside the backward is silent at the usual scale, and a loss that is one number hides the
cotangent that would bring it out (where there is a cotangent, the law "linearity" does). A large weight matrix on the
way to the loss makes the cotangents behind it large.

A guard of the forward (log(p + eps), a clip of logits) makes the two gradients differ there as well, and is nobody's
mistake. The two are told apart by whose gradient is cut off: what a backward clips is missing from the given gradient,
so the difference is at right angles to it or along it; what a forward cuts off is missing from the true one, so the
difference points against the given gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import Enum, auto

import numpy as np

from gradcheck._common.arrays import Array, Values
from gradcheck._common.errors import UserCodeError
from gradcheck._common.verdict import BEYOND_DOUBT
from gradcheck._comparing.comparer import Comparer, Comparison
from gradcheck.report.records import Law

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


def scale(comparer: Comparer) -> Law:
    """Try each weight matrix at each factor that tells something, with one direction over all parameters."""
    base = comparer.evaluator.base
    # a gradient that is zero there, and was not, is asked for as well
    names = [name for name, norm in comparer.norms.items() if norm > 0]
    direction = comparer.direction(names)
    guarded = ""
    for name in (name for name, array in base.items() if array.ndim >= 2 and array.size):
        for factor, outcome in _outcomes(comparer, name, direction):
            told = f"where {name} is {factor:g} times as large"
            if outcome is _Outcome.CUT_OFF:
                bound = _bound_of_clip(comparer, name, factor * base[name], names)
                if bound:
                    told = f"the gradients are right here, and right, then clipped at ±{bound:g} {told}"
                    mend = f"clip where the weights are updated, or declare it with Target(..., clipped={bound:g})"
                    return Law("scale", False, f"{told}: {mend}")
                told = f"the gradients are right here, but wrong {told}"
                return Law("scale", False, f"{told}: look for a clip or a threshold inside the backward")
            if outcome is _Outcome.GUARDED:
                guarded = guarded or told
    if guarded:
        told = f"the loss no longer follows its parameters {guarded}: a guard of the forward cuts it off there"
        return Law("scale", True, f"{told}, so that nothing is known of the backward at that scale")
    return Law("scale", True, f"the gradients stay right where a weight matrix is {FACTORS[0]:g} times as large")


def _outcomes(comparer: Comparer, name: str, direction: Values) -> Iterator[tuple[float, _Outcome]]:
    """What the gradients are where this matrix is larger, down to the first factor at which they are right."""
    array, guarded = comparer.evaluator.base[name], False
    for factor in (*FACTORS, *BELOW_GUARDS):
        if factor in BELOW_GUARDS and not guarded:
            return
        found = _outcome_at(comparer, name, factor * array, direction)
        if found is _Outcome.CUT_OFF and _is_guarded_with_other_signs(comparer, name, factor * array, direction):
            found = _Outcome.GUARDED
        guarded = guarded or found is _Outcome.GUARDED
        yield factor, found
        if found is _Outcome.RIGHT:
            return


def _is_guarded_with_other_signs(comparer: Comparer, name: str, array: Array, direction: Values) -> bool:
    """Whether a guard shows where entries have other signs: if it hides a part that cancels, it looks like a clip."""
    rng = comparer.given.rng("signs", name)
    others = [array * rng.choice([-1.0, 1.0], array.shape) for _ in range(OTHER_SIGNS)]
    return any(_outcome_at(comparer, name, other, direction) is _Outcome.GUARDED for other in others)


def _outcome_at(comparer: Comparer, name: str, array: Array, direction: Values) -> _Outcome:
    """What the gradients are with this array; wrong only at two steps and two points: no noise, saturation, chaos."""
    base = comparer.evaluator.base
    values = {**base, name: np.asarray(array, dtype=base[name].dtype)}
    names, usual = list(direction), math.hypot(*comparer.norms.values())
    try:  # the code need not run so far from where the user put the parameters
        there = comparer.at_point(values)
        if there is None or not names:
            return _Outcome.UNKNOWN
        if _looks_right(there, direction, usual):
            return _Outcome.RIGHT
        if not _plainly_wrong(there, names, usual):
            return _Outcome.UNKNOWN
        return _Outcome.GUARDED if _points_against_gradient(there, names) else _Outcome.CUT_OFF
    except UserCodeError:
        return _Outcome.UNKNOWN


def _bound_of_clip(comparer: Comparer, name: str, array: Array, names: list[str]) -> float:
    """The round number that finished gradients are cut off at there, if all other entries are right; else zero."""
    base = comparer.evaluator.base
    there = comparer.at_point({**base, name: np.asarray(array, dtype=base[name].dtype)})
    if there is None:
        return 0.0
    largest = max(float(np.max(np.abs(there.gradients[one]), initial=0.0)) for one in names)
    bound = float(f"{largest:.2g}")
    if not math.isclose(largest, bound, rel_tol=SAME_BOUND):
        return 0.0
    there.given.leave_out_beyond(bound)
    names = [one for one in names if there.norms[one] > 0]
    there.evaluator.measure_noise()
    return bound if names and there.compare(names).verdict == "right" else 0.0


def _points_against_gradient(comparer: Comparer, names: list[str]) -> bool:
    """Whether what the true gradient has more than the given one points against the given one."""
    size = math.hypot(*(comparer.norms[name] for name in names))
    if not 0 < size < math.inf:
        return False
    # of the length of a Gaussian direction, so that steps are as long as they are along one
    length = math.sqrt(sum(comparer.gradients[name].size for name in names))
    along = {name: comparer.gradients[name] * (length / size) for name in names}
    comparer.evaluator.measure_noise()
    more = (comparer.evaluator.real_difference(along).value - comparer.slope(along)) * size / length
    apart = comparer.compare(names, count=NORM_DIRECTIONS).error
    return more < -AGAINST * apart**2


def _looks_right(comparer: Comparer, direction: Values, usual: float) -> bool:
    """Whether one slope, which is no smaller than the usual ones, is what the gradients say."""
    expected = comparer.slope(direction)
    if not 0 < usual <= abs(expected) < math.inf:
        return False
    slope = comparer.evaluator.one_sided_slope(direction, CLEAR_ERROR * expected)
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
