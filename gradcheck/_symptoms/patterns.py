"""What a wrong gradient looks like beside the true one, told without any source."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import permutations

import numpy as np

from gradcheck._common.arrays import Array, norm
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import EntriesClipped, GradientOf, Multiple, OneNumber, PartsMoved, Symptom

#: how well a pattern must fit: the part of a gradient that it leaves unexplained
MAX_RESIDUAL = 1e-7
#: equal parts along an axis, such as gates side by side
MOST_PARTS = 4
#: how near a factor must be to 1 or -1 to be that: a hand-written constant is never as near
SAME_FACTOR = 1e-5
#: digits of a round number
ROUND_DIGITS = 2
#: how near to it one is that was calculated, as 1 - 0.7
ROUNDED = 1e-12


def factor(analytic: Array, numerical: Array, tolerance: float = MAX_RESIDUAL) -> float | None:
    """k if analytic = k * numerical to within the tolerance, else None."""
    size = norm(numerical)
    if not size or not norm(analytic):
        return None
    k = float(np.sum((analytic / size) * (numerical / size)))
    return k if norm(analytic - k * numerical) <= tolerance * norm(analytic) else None


def match_pattern(name: str, analytic: Array, numerical: Mapping[str, Array]) -> Symptom:
    """What a gradient looks like; `NO_PATTERN` if nothing fits.

    Args:
        name: The parameter's name.
        analytic: Its gradient as the user's code gives it.
        numerical: The true gradients that are known, by name; this one's among them.
    """
    true = numerical[name]
    floor = MAX_RESIDUAL * max(norm(analytic), norm(true))
    if norm(true) <= floor:
        return Symptom(FindingCode.PHANTOM)
    if norm(analytic) <= floor:
        return Symptom(FindingCode.ZERO)
    k = multiple(analytic, true)
    if k is not None and k != 1.0:
        return Symptom(FindingCode.SIGN if k == -1.0 else FindingCode.FACTOR, (Multiple(k),))
    found = next(_rearranged(name, analytic, numerical), None)
    return found or _clipped(analytic, true) or _one_number(analytic, true) or Symptom(FindingCode.NO_PATTERN)


def multiple(analytic: Array, true: Array) -> float | None:
    """What the gradient is of the true one, to six digits; 1 and -1 where it is these to within `SAME_FACTOR`."""
    k = factor(analytic, true)
    if k is None:
        return None
    return next((one for one in (1.0, -1.0) if math.isclose(k, one, rel_tol=SAME_FACTOR)), rounded(k, 6))


def rounded(value: float, digits: int) -> float:
    """The value with so many significant digits: as it is told, so that what is told alike is alike."""
    return float(f"{value:.{digits}g}")


def misfit(analytic: Array, fitted: Array) -> float:
    """The part of what fits a gradient that is left unexplained, to one digit."""
    return rounded(norm(analytic - fitted) / norm(fitted), 1)


def _rearranged(name: str, analytic: Array, numerical: Mapping[str, Array]) -> Iterator[Symptom]:
    """The true numbers in the wrong place."""
    true = numerical[name]
    if analytic.ndim == 2 and analytic.shape == true.T.shape and factor(analytic, true.T) is not None:
        yield Symptom(FindingCode.TRANSPOSED)
    for other, array in numerical.items():
        if other != name and array.shape == analytic.shape and _same(analytic, array):
            yield Symptom(FindingCode.EXCHANGED, (GradientOf(other, misfit(analytic, array)),))
    for axis, length in enumerate(true.shape):
        for count in range(2, MOST_PARTS + 1):
            if length % count:
                continue
            parts = np.split(true, count, axis)
            for order in permutations(range(count)):
                moved = np.concatenate([parts[i] for i in order], axis)
                if list(order) != list(range(count)) and _same(analytic, moved):
                    yield Symptom(FindingCode.GATES_PERMUTED, (PartsMoved(axis, order, misfit(analytic, moved)),))


def _one_number(analytic: Array, true: Array) -> Symptom | None:
    """One number everywhere."""
    if analytic.size == 1 or not _same(analytic, np.full(analytic.shape, analytic.flat[0])):
        return None
    value, total = float(analytic.flat[0]), float(np.sum(true))
    summed = rounded(total, 6) if math.isclose(value, total, rel_tol=MAX_RESIDUAL) else None
    return Symptom(FindingCode.SUMMED_TOO_FAR, (OneNumber(rounded(value, 6), summed),))


def _clipped(analytic: Array, true: Array) -> Symptom | None:
    """The true one with its largest entries cut off at one number.

    Two entries at least, and not all, or at a round number: one is always the largest.
    """
    bound = float(np.max(np.abs(analytic)))
    there = int(np.count_nonzero(np.abs(analytic) >= bound * (1 - MAX_RESIDUAL)))
    cut = np.clip(true, -bound, bound)
    is_round = math.isclose(bound, rounded(bound, ROUND_DIGITS), rel_tol=ROUNDED)
    if not (is_round or 2 <= there < true.size) or not _same(analytic, cut):
        return None
    found = EntriesClipped(rounded(bound, 6), there, int(true.size), misfit(analytic, cut))
    return Symptom(FindingCode.CLIPPED, (found,))


def _same(a: Array, b: Array) -> bool:
    return norm(a - b) <= MAX_RESIDUAL * norm(b)
