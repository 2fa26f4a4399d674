"""The noise of a loss along a line, and how straight the loss is there: how long a step may be, and how short.

Both are told from losses at a few points. `loss_at(t)` is the loss moved by t along the line, or not finite outside its
domain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from gradcheck._common.arrays import norm

#: distances at which losses differ by noise alone, in first steps
NOISE_DISTANCES = (1e-4, 1e-3, 1e-2, 1e-1)
#: losses that the noise is measured from
NOISE_POINTS = 8
#: fourth differences of fewer losses than this say nothing
MIN_NOISE_POINTS = 5
#: the variance of the fourth difference of unit noise: 1 + 16 + 36 + 16 + 1
FOURTH_DIFFERENCE_VARIANCE = 70
#: noise that is so many times as large as rounding is measured again at shorter distances
NOISE_WORTH_REMEASURING = 64.0
#: how many times as close that is: what is smooth falls with the fourth power of the distance, noise stays as it is
REMEASURE_AT = 16.0
#: the part of a slope that may change over the first step: more would cost levels of the tableau
MAX_SLOPE_CHANGE = 5e-3
#: how many times as long as usual the first step may be made
MAX_STEP_STRETCH = 32.0


def measure_noise(loss_at: Callable[[float], float], usual_step: float, rounding: float) -> float | None:
    """From losses a hair apart: of their fourth difference nothing smooth is left, only noise (Hamming 1973).

    Where that is zero, the loss moves in jumps that are larger than a hair, or of one size: the distance grows. None if
    the loss never moves. All losses are on one side of the point, since a kink at the point is no noise.
    """
    for hair in NOISE_DISTANCES:
        distance = usual_step * hair
        found = noise_at_distance(loss_at, distance)
        if found is not None:
            return _without_curvature(loss_at, found, distance, rounding)
    return None


def noise_at_distance(loss_at: Callable[[float], float], distance: float) -> float | None:
    """The noise of losses so far apart; None if they do not show any."""
    losses = [loss for k in range(1, NOISE_POINTS + 1) if math.isfinite(loss := loss_at(k * distance))]
    if len(set(losses)) <= 1:
        return None
    if len(losses) < MIN_NOISE_POINTS:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        differences = np.diff(losses, n=4)
    return 3 * norm(differences) / math.sqrt(FOURTH_DIFFERENCE_VARIANCE * len(differences)) or None


def measure_step_stretch(ends: Sequence[float], noise: float) -> float:
    """How many times as long a step may be, by how straight the loss is.

    `ends` are the losses one step ahead, one step behind, half a step ahead and half a step behind.
    """
    ahead, behind, half_ahead, half_behind = ends
    bend = abs((ahead - behind) / 2 - (half_ahead - half_behind)) + noise
    stretch = math.sqrt(MAX_SLOPE_CHANGE * abs(half_ahead - half_behind) / bend) if bend > 0 else 1.0
    return min(max(stretch, 1.0), MAX_STEP_STRETCH) if math.isfinite(stretch) else 1.0


def _without_curvature(loss_at: Callable[[float], float], noise: float, distance: float, rounding: float) -> float:
    """The noise at shorter distances, if it falls there: near the edge of a domain it was the shape of the loss."""
    while noise > NOISE_WORTH_REMEASURING * rounding:
        distance /= REMEASURE_AT
        finer = noise_at_distance(loss_at, distance)
        if finer is None or finer > noise / REMEASURE_AT:
            break
        noise = finer
    return noise
