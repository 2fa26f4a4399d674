"""Analytic against numerical: right, wrong or inconclusive, from the error bar and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Literal, TypeAlias

#: a discrepancy is an error beyond doubt at this many error bars; between one and this many it is undecided
BEYOND_DOUBT = 5.0
#: the probability of missing an error as large as the printed sensitivity
MISS_PROBABILITY = 1e-6
#: above this relative error bar a gradient is not called right: too little was seen
MAX_RELATIVE_BAR = 1e-2
#: of a gradient of which an error above this might not have been seen, more is asked, and what is not seen is said
COARSE_SENSITIVITY = 1e-2
#: nor above this sensitivity: an error of a tenth of it might not have been seen
MAX_SENSITIVITY = 0.1
#: nobody's mistake is as small as this part of a gradient; and none smaller is promised to be seen
NEAR_EXACT = 1e-10


#: what is known of a gradient, or of the whole target
Verdict: TypeAlias = Literal["right", "wrong", "inconclusive", "vacuous"]


def judge(discrepancies: Sequence[float], bars: Sequence[float]) -> Verdict:
    """One verdict for several comparisons: any error beyond doubt is an error."""
    ratios = [_ratio(abs(d), bar) for d, bar in zip(discrepancies, bars, strict=True)]
    if any(ratio > BEYOND_DOUBT for ratio in ratios):
        return "wrong"
    if all(ratio <= 1.0 for ratio in ratios):
        return "right"
    return "inconclusive"


def sensitivity(bar: float, directions: int) -> float:
    """The norm of an error vector that `directions` Gaussian directions miss with a probability of `MISS_PROBABILITY`.

    Along a Gaussian direction an error vector e shows as N(0, |e|^2); it is missed where it shows as less than
    the bar, with probability erf(bar / (sqrt(2) |e|)); independent directions multiply.
    """
    return bar / _missed_deviations(directions)


def why_undecided(kinked: bool, bar: float) -> str:
    """What kept a gradient from being judged, and what to do; `bar` is relative to its gradient."""
    if kinked:
        return "the loss has a kink here, its one-sided slopes differ: check at a point beside it"
    if bar == math.inf:
        return "the loss is not finite beside this point: check at a point well inside its domain"
    if bar > MAX_RELATIVE_BAR:
        cause = "the loss is noisy, or its slope is far below its size"
        return f"differences of the loss resolve only {bar:.0e} of the gradient: {cause}"
    return "the two differ by a little more than the error bar: too much to call right, too little to call wrong"


def why_right_as_far_as_seen(seen: float) -> str:
    """What is known of a gradient that agrees with differences too coarse to call it right."""
    return (
        f"right as far as it can be seen: an error of {min(seen, 1.0):.0%} of the gradient might not have shown; check "
        "it in float64, or where the loss is smoother"
    )


def why_chaotic() -> str:
    """What kept a gradient from being judged where the loss is chaotic, and what to do."""
    return (
        "the loss is chaotic here: it changes by as much over a hair as over a step, so that its differences mean "
        "nothing; check it over fewer time steps, or with smaller recurrent weights"
    )


def why_in_steps() -> str:
    """What kept a gradient from being judged where the loss is constant in pieces, and what to do."""
    return (
        "the loss is piecewise constant: its slope is zero almost everywhere, so no gradient can be compared with it; "
        "check the smooth loss that the gradients are of"
    )


def worst_verdict(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a whole from those on its parts: the worst of them."""
    worst_first: tuple[Verdict, ...] = ("wrong", "inconclusive", "vacuous")
    for verdict in worst_first:
        if verdict in verdicts:
            return verdict
    return "right"


@cache
def _missed_deviations(directions: int) -> float:
    """How many deviations a normal number stays within, so many times running, with a probability of a miss."""
    probability: float = MISS_PROBABILITY ** (1 / directions)
    deviations: float = probability * math.sqrt(math.pi / 2)
    while True:  # Newton's steps from the left, where erf is concave: they never pass the root
        excess = probability - math.erf(deviations / math.sqrt(2))
        step = excess * math.sqrt(math.pi / 2) * math.exp(deviations**2 / 2)
        if not step > 1e-15 * deviations:
            return deviations
        deviations += step


def _ratio(discrepancy: float, bar: float) -> float:
    if math.isnan(discrepancy) or math.isnan(bar):
        return math.nan
    return discrepancy / bar if bar > 0 else (math.inf if discrepancy > 0 else 0.0)
