"""Who departs where gradients cease to be right: told where it can be, and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from gradcheck._laws.onset import Departs, Slopes, who_departs


def slopes(
    given: Callable[[float], float], true: Callable[[float], float], bar: float = 1e-13
) -> Callable[[float], Slopes | None]:
    """Two slopes at each scale, known so exactly."""
    return lambda scale: Slopes(given(scale), true(scale), bar * abs(true(scale)), abs(given(scale)))


def straight(scale: float) -> float:
    """A slope that goes on, not on a parabola."""
    return scale * (2 + math.sin(scale / 10))


def bent(scale: float) -> float:
    """The same, with a corner."""
    return straight(scale) - max(0.0, scale - 20.5) / 3


def jumping(scale: float) -> float:
    """The same, with a jump."""
    return straight(scale) - (1.0 if scale > 20.5 else 0.0)


@pytest.mark.parametrize("departing", [bent, jumping])
def test_who_departs_is_told(departing: Callable[[float], float]) -> None:
    """A clip would be taken for a guard, or a guard for a clip."""
    assert who_departs(slopes(departing, straight), 1.0, 64.0) is Departs.GRADIENTS
    assert who_departs(slopes(straight, departing), 1.0, 64.0) is Departs.LOSS


def test_nobody_is_told_where_both_depart() -> None:
    """A kink of the forward would be taken for a clip of the backward."""
    assert who_departs(slopes(bent, jumping), 1.0, 64.0) is Departs.LOSS  # one of them all of the difference
    assert who_departs(slopes(bent, lambda s: straight(s) + max(0.0, s - 20.5)), 1.0, 64.0) is Departs.UNKNOWN


def test_nobody_is_told_where_the_difference_sets_in_slowly() -> None:
    """The eps of log(p + eps) would be taken for one or the other."""
    assert who_departs(slopes(lambda s: straight(s) + math.exp(s - 40), straight), 1.0, 64.0) is Departs.UNKNOWN


def test_nobody_is_told_of_what_is_not_known_exactly() -> None:
    """Noise has corners everywhere."""
    assert who_departs(slopes(bent, straight, bar=1e-4), 1.0, 64.0) is Departs.UNKNOWN
    noisy = slopes(lambda s: straight(s) + 1e-3 * math.sin(1e9 * s), straight)
    assert who_departs(noisy, 1.0, 64.0) is Departs.UNKNOWN


def test_nobody_is_told_where_there_are_no_slopes() -> None:
    """Code that does not run everywhere between the two scales would end the check."""
    assert who_departs(lambda _: None, 1.0, 64.0) is Departs.UNKNOWN
