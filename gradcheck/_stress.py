"""The law "scale": gradients that are right stay right where one weight matrix is much larger.

A clip or a threshold inside the backward is silent at the usual scale, and a loss that is one number hides the
cotangent that would bring it out (where there is a cotangent, the law "linearity" does). A large weight matrix on the
way to the loss makes the cotangents behind it large.
"""

from __future__ import annotations

import math
from contextlib import suppress
from itertools import product

import numpy as np

from gradcheck._compare import Comparer, Comparison
from gradcheck._errors import UserCodeError
from gradcheck._report import Law
from gradcheck._verdict import BEYOND_DOUBT

#: powers of two, so that no rounding comes with them
FACTORS = (64.0, 1024.0)
#: the part of a slope that an error must make up before it counts, so far from where the user put the parameters
PLAIN = 0.01
#: how much shorter the second step is, and how well the two must agree
SHORTER, TRUSTED = 37.0, 1e-4
#: how much a plain error may change at a point nearby
STEADY = 0.1


def scale(comparer: Comparer) -> Law:
    """Try each weight matrix at each factor, with one direction over all blocks."""
    base = comparer.evaluator.base
    matrices = [name for name, array in base.items() if array.ndim >= 2 and array.size]
    usual = math.hypot(*comparer.norms.values())
    for name, factor in product(matrices, FACTORS):
        there = comparer.elsewhere({**base, name: np.asarray(base[name] * factor, dtype=base[name].dtype)})
        with suppress(UserCodeError):  # the code need not run so far from where the user put the parameters
            if there is not None and _plainly_wrong(there, usual):
                found = f"the gradients are right here, but wrong where {name} is {factor:g} times as large"
                return Law("scale", False, f"{found}: look for a clip or a threshold inside the backward")
    return Law("scale", True, f"the gradients stay right where a weight matrix is {FACTORS[-1]:g} times as large")


def _plainly_wrong(comparer: Comparer, usual: float) -> bool:
    """Whether the error is there at two steps and at two points: no noise, no saturation, no chaos."""
    here = _plain(comparer, usual)
    if here is None:
        return False
    nearby = comparer.nearby()
    there = _plain(nearby, usual) if nearby is not None else None
    if there is None:
        return False
    slopes_agree = abs(here.derivative.value - there.derivative.value) <= PLAIN * abs(here.discrepancy)
    return slopes_agree and abs(here.discrepancy - there.discrepancy) <= STEADY * abs(here.discrepancy)


def _plain(comparer: Comparer, usual: float) -> Comparison | None:
    """A comparison that is off by more than a percent, if differences from two steps agree on the slope.

    Only where slopes are at least the usual ones: a saturated network's are small and mostly rounding error, while what
    is looked for here needs large cotangents.
    """
    names = [name for name in comparer.gradients if comparer.norms[name] > 0]
    if not names:
        return None
    found = comparer.compare(names, count=1)[0]
    size = abs(found.derivative.value) + abs(found.discrepancy)
    if size < usual or not abs(found.discrepancy) > max(PLAIN * size, BEYOND_DOUBT * found.bar):
        return None
    slopes = [comparer.evaluator.real(found.direction, shorter).value for shorter in (1.0, SHORTER)]
    trusted = all(abs(slope - found.derivative.value) <= TRUSTED * size for slope in slopes)
    return found if trusted and not comparer.borne_out(found.direction, found.discrepancy) else None
