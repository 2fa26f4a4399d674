"""Who departs where gradients cease to be right: they from what they were, or the loss from what it was?

Gradients are right at the usual scale of an array and wrong at a larger one. Between the two is a point where that
begins. A clip in the backward takes effect there: the gradients depart from where they were going, and the slope of the
loss goes on as before. Where a guard of the forward takes effect, the slope of the loss departs. So both slopes are
followed up to that point, continued beyond it, and compared with what they are there.

A guard that sets in little by little (log(p + eps)) has no such point; nothing is told of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

#: slopes that differ by more than this part of the gradients are no longer the same
APART = 1e-7
#: how near to the point the slopes are continued, relative to the scale: the nearest last
WIDTHS = (1e-3, 1e-4, 1e-5, 1e-6)
#: how often what is told at one width has to be told again at the next
AGREEING = 2
#: the part of the difference that the one who goes on as before may depart by
GOES_ON = 0.1
#: the part of the difference that there may have been before, or that may be an error
BEFORE = 0.01


class Departs(Enum):
    """Who departs from what it was, where the two begin to differ."""

    GRADIENTS = auto()
    LOSS = auto()
    #: neither at one point, both, or it cannot be told
    UNKNOWN = auto()


class Slopes(NamedTuple):
    """Two slopes along one direction: by the gradients, and of the loss."""

    given: float
    true: float
    #: how exactly both are known
    bar: float
    #: the norm of the gradients
    size: float

    @property
    def apart(self) -> float:
        """How far the gradients are from the loss."""
        return self.given - self.true

    @property
    def agree(self) -> bool:
        """Whether the two are the same, as far as can be told."""
        return abs(self.apart) <= max(APART * self.size, self.bar)


def who_departs(slopes_at: Callable[[float], Slopes | None], right: float, wrong: float) -> Departs:
    """Who departs between a scale at which the gradients are right and a larger one at which they are wrong.

    Args:
        slopes_at: The slopes at a scale; None where there are none.
        right: A scale at which they agree.
        wrong: A larger one, at which they do not.
    """
    told: list[Departs] = []
    for width in WIDTHS:
        while wrong - right > width * right:
            middle = math.sqrt(right * wrong)
            slopes = slopes_at(middle)
            if slopes is None:
                return Departs.UNKNOWN
            right, wrong = (middle, wrong) if slopes.agree else (right, middle)
        told.append(_departing(slopes_at, right, wrong - right))
        if len(told) >= AGREEING and len(set(told[-AGREEING:])) == 1 and told[-1] is not Departs.UNKNOWN:
            return told[-1]
    return Departs.UNKNOWN


def _departing(slopes_at: Callable[[float], Slopes | None], right: float, width: float) -> Departs:
    """Who departs from the parabola through three points up to here, two steps further."""
    found = [slopes_at(right + step * width) for step in (-2, -1, 0, 2)]
    slopes = [one for one in found if one is not None]
    if len(slopes) < len(found):
        return Departs.UNKNOWN
    *before, after = slopes
    apart = abs(after.apart)
    if not max(*(abs(one.apart) for one in before), *(one.bar for one in slopes)) <= BEFORE * apart:
        return Departs.UNKNOWN
    gradients = abs(after.given - _continued(*(one.given for one in before)))
    loss = abs(after.true - _continued(*(one.true for one in before)))
    if loss <= GOES_ON * apart:
        return Departs.GRADIENTS
    return Departs.LOSS if gradients <= GOES_ON * apart else Departs.UNKNOWN


def _continued(first: float, second: float, third: float) -> float:
    """The parabola through values at -2, -1 and 0, at 2."""
    return 3 * first - 8 * second + 6 * third
