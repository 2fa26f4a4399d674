"""The law "scale": gradients that are right stay right where one weight matrix is much larger.

A clip or a threshold inside the backward is silent at the usual scale, and a loss that is one number hides the
cotangent that would bring it out (where there is a cotangent, the law "linearity" does). A large weight matrix on the
way to the loss makes the cotangents behind it large.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from gradcheck._common.arrays import Values
from gradcheck._common.errors import UserCodeError
from gradcheck._common.verdict import BEYOND_DOUBT
from gradcheck._comparing.comparer import Comparer, Comparison
from gradcheck.report.records import Law

#: powers of two, so that no rounding comes with them; the second only where the first saturates
FACTORS = (1024.0, 64.0)
#: the part of a slope that an error must make up before it counts, so far from where the user put the parameters
CLEAR_ERROR = 0.01
#: how much shorter the second step is: no power of two, so that no step of one is one of the other
SHORTER = 37.0
#: how well the slopes of the two steps must agree, relatively
STEPS_AGREE = 1e-4
#: how much a plain error may change at a point nearby
STEADY = 0.1


def scale(comparer: Comparer) -> Law:
    """Try each weight matrix at each factor that tells something, with one direction over all parameters."""
    base = comparer.evaluator.base
    # a gradient that is zero there, and was not, is asked for as well
    names = [name for name, norm in comparer.norms.items() if norm > 0]
    direction = comparer.direction(names, comparer.given.rng("scale"))
    for name in (name for name, array in base.items() if array.ndim >= 2 and array.size):
        for factor in FACTORS:
            values = {**base, name: np.asarray(base[name] * factor, dtype=base[name].dtype)}
            found = _verdict_at(values, comparer, direction)
            if found == "wrong":
                told = f"the gradients are right here, but wrong where {name} is {factor:g} times as large"
                return Law("scale", False, f"{told}: look for a clip or a threshold inside the backward")
            if found == "right":
                break
    return Law("scale", True, f"the gradients stay right where a weight matrix is {FACTORS[0]:g} times as large")


def _verdict_at(values: Values, comparer: Comparer, direction: Values) -> Literal["right", "wrong", "unknown"]:
    """What the gradients are there; wrong if they are so at two steps and two points: no noise, saturation, chaos."""
    names, usual = list(direction), math.hypot(*comparer.norms.values())
    try:  # the code need not run so far from where the user put the parameters
        there = comparer.at_point(values)
        if there is None or not names:
            return "unknown"
        if _looks_right(there, direction, usual):
            return "right"
        return "wrong" if _plainly_wrong(there, names, usual) else "unknown"
    except UserCodeError:
        return "unknown"


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
