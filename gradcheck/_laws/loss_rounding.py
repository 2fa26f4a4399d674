"""Whether gradients carry the rounding of differences of the loss, however these were taken.

A loss in float64 is a whole number of units in its last place. What is left of two losses over a step is a whole number
of them over that step, and moves at random by about one where the parameters move by a hair. Neither is so of a
gradient that a backward adds up, unless it is in single precision inside. So differences show that are taken in one
vectorised loss, in copies, in threads or in other processes, where no call of the loss can be counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradcheck._common.arrays import Array, Values
from gradcheck._comparing.comparer import Comparer
from gradcheck._numeric.evaluator import DOUBLE

#: gradients that change by more than this part of the largest one, where parameters change by roundoffs, are looked at
LOOKED_AT = 1e-13
#: and those that change at random by more than this part are as differences are
AT_RANDOM = 1e-12
#: how near to a whole number
WHOLE = 0.01
#: multiples of the unit that tell something: no fraction of it, and none so large that it has no fraction left
MULTIPLES = (1.0, 1e13)
#: so many entries are whole by chance for one of the steps in a million gradients
ENTRIES = 5
#: more entries than this tell nothing more
MOST_ENTRIES = 64
#: the steps that are taken for differences
STEPS = (
    *(10.0**-k for k in range(2, 13)),
    *(5 * 10.0**-k for k in range(3, 9)),
    *(2.0**-k for k in range(6, 33)),
    DOUBLE ** (1 / 2),
    DOUBLE ** (1 / 3),
)


@dataclass(frozen=True)
class LossRounding:
    """What of the rounding of the loss gradients carry."""

    #: those of which each entry is a whole number of units of the loss over a step
    whole: tuple[str, ...] = ()
    #: what part of the largest gradient changes at random, if that is more than in a backward
    noise: float = 0.0


def find_loss_rounding(comparer: Comparer) -> LossRounding:
    """Which gradients carry it; where none changes by more than a backward in double precision does, nothing is run."""
    given, largest = comparer.given, max(comparer.norms.values(), default=0.0)
    suspected = [
        name
        for name in comparer.norms
        if name not in given.coarse and given.change_by_roundoffs(name) > LOOKED_AT * largest > 0
    ]
    if not suspected or comparer.evaluator.epsilon > DOUBLE:
        return LossRounding()
    here = {name: given.values[name] * given.divisor for name in suspected}
    beside = given.jittered_by_roundoffs()
    points = [(comparer.evaluator.base, here), (beside, given.at(beside))]
    if _are_whole(points, suspected, comparer.evaluator.loss_value):
        return LossRounding(whole=tuple(suspected))
    # what changes smoothly, if much, is no rounding
    part = max(given.noises(suspected).values()) / largest
    return LossRounding(noise=part) if part > AT_RANDOM else LossRounding()


def _are_whole(points: list[tuple[Values, Values]], names: list[str], loss: float) -> bool:
    """Whether all entries are whole numbers of units over one and the same step."""
    unit = float(np.spacing(abs(loss))) / 2  # a loss beside it may be a little below a power of two
    told = [
        (grads[name].ravel()[:MOST_ENTRIES], values[name].ravel()[:MOST_ENTRIES])
        for values, grads in points
        for name in names
        if name in grads and grads[name].dtype == np.float64
    ]
    if not unit or not told:
        return False
    entries = np.concatenate([one for one, _ in told])
    at = np.abs(np.concatenate([one for _, one in told]))
    # what single precision holds is whole over any power of two
    telling = (entries.astype(np.float32) != entries) & np.isfinite(entries)
    entries, at = entries[telling], at[telling]
    return any(_is_whole(entries * (step / unit)) for step in _steps(at))


def _steps(at: Array) -> Iterator[Array]:
    """What a difference may have been divided by: a step or twice that, the same for all or as each entry is large."""
    for relative in (np.ones_like(at), np.maximum(at, 1.0), at, 1.0 + at):
        for step in STEPS:
            yield step * relative
            yield 2.0 * step * relative


def _is_whole(multiples: Array) -> bool:
    least, most = MULTIPLES
    size = np.abs(multiples)
    multiples = multiples[(size > least) & (size < most)]
    if len(np.unique(np.abs(np.rint(multiples)))) < ENTRIES:
        return False
    return bool(np.all(np.abs(multiples - np.rint(multiples)) < WHOLE))
