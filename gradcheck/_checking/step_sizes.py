"""How far central differences are from what a gradient says, from long steps to short ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np

from gradcheck._common.arrays import Array, norm
from gradcheck._common.errors import TargetError
from gradcheck._numeric.evaluator import Evaluator
from gradcheck._numeric.gradients import parse_gradients
from gradcheck._targets.factory import TargetFactory, target_of
from gradcheck._targets.opening import opened
from gradcheck._targets.target import Target
from gradcheck.report.trace_records import StepCurve

#: steps, relative to the parameter, from the longest to the shortest
STEPS = tuple(10.0**-exponent for exponent in range(14))
#: gradients that are told
MOST_CURVES = 3


def step_curves(subject: Target | TargetFactory, seed: int, names: Sequence[str]) -> tuple[StepCurve, ...]:
    """A curve of each of these gradients that can be measured, the first of them; none where the code raises."""
    try:
        target = target_of(subject, seed)
        with opened(target, seed):
            evaluator = Evaluator(target)
            gradients = parse_gradients(evaluator.raw_grads(), evaluator.base)[1]
            known = [(name, gradients[name]) for name in names if name in gradients]
            return tuple(_curves(evaluator, known[:MOST_CURVES], seed))
    except TargetError:
        return ()


def _curves(evaluator: Evaluator, known: Sequence[tuple[str, Array]], seed: int) -> Iterator[StepCurve]:
    rng = np.random.default_rng([seed, 5])
    for name, gradient in known:
        direction = rng.standard_normal(gradient.shape)
        direction *= evaluator.usual_size(name) * math.sqrt(direction.size) / (norm(direction) or 1.0)
        slope = float(np.sum(gradient * direction))
        points = tuple(_points(evaluator, name, direction, slope))
        if points:
            yield StepCurve(name, points)


def _points(evaluator: Evaluator, name: str, direction: Array, slope: float) -> Iterator[tuple[float, float]]:
    for step in STEPS if slope else ():
        ends: list[float] = []
        with suppress(TargetError):  # a long step may leave the domain
            ends = [evaluator.loss_along({name: direction}, sign * step).real for sign in (1.0, -1.0)]
        distance = abs((ends[0] - ends[1]) / (2 * step) - slope) / abs(slope) if ends else math.nan
        if math.isfinite(distance):
            yield step, float(f"{distance:.3g}")
