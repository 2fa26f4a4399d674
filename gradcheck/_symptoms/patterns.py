"""What a wrong gradient looks like beside the true one, told without any source."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import permutations

import numpy as np

from gradcheck._common.arrays import Array, norm

#: how well a pattern must fit: the part of a gradient that it leaves unexplained
MAX_RESIDUAL = 1e-7
#: equal parts along an axis, such as gates side by side
MOST_PARTS = 4
#: what is said where none fits
NO_PATTERN = "not the slope of the loss"


def factor(analytic: Array, numerical: Array, tolerance: float = MAX_RESIDUAL) -> float | None:
    """k if analytic = k * numerical to within the tolerance, else None."""
    size = norm(numerical)
    if not size or not norm(analytic):
        return None
    k = float(np.sum((analytic / size) * (numerical / size)))
    return k if norm(analytic - k * numerical) <= tolerance * norm(analytic) else None


def match_pattern(name: str, analytic: Array, numerical: Mapping[str, Array]) -> tuple[str, str]:
    """(kind, what is said of the gradient); ``("gradient", ...)`` if no pattern fits.

    Args:
        name: The parameter's name.
        analytic: Its gradient as the user's code gives it.
        numerical: The true gradients that are known, by name; this one's among them.
    """
    true = numerical[name]
    floor = MAX_RESIDUAL * max(norm(analytic), norm(true))
    if norm(true) <= floor:
        return "phantom", "not zero, as it should be: the loss does not depend on it"
    if norm(analytic) <= floor:
        return "missing", "zero, and the loss does depend on it"
    k = factor(analytic, true)
    if k is not None and math.isclose(k, -1.0, rel_tol=1e-5):
        return "sign", "the true one with the wrong sign"
    if k is not None and not math.isclose(k, 1.0, rel_tol=1e-5):
        return "factor", f"{k:.6g} times the true one"
    found = next(_rearranged(name, analytic, numerical), None)
    return found or _one_number(analytic, true) or _clipped(analytic, true) or ("gradient", NO_PATTERN)


def _rearranged(name: str, analytic: Array, numerical: Mapping[str, Array]) -> Iterator[tuple[str, str]]:
    """The true numbers in the wrong place."""
    true = numerical[name]
    if analytic.ndim == 2 and analytic.shape == true.T.shape and factor(analytic, true.T) is not None:
        yield "transposed", "the transpose of the true one"
    for other, array in numerical.items():
        if other != name and array.shape == analytic.shape and _same(analytic, array):
            yield "exchanged", f"that of {other}{_residual_note(analytic, array)}"
    for axis, length in enumerate(true.shape):
        for count in range(2, MOST_PARTS + 1):
            if length % count:
                continue
            parts = np.split(true, count, axis)
            for order in permutations(range(count)):
                moved = np.concatenate([parts[i] for i in order], axis)
                if list(order) != list(range(count)) and _same(analytic, moved):
                    told = ", ".join(str(i + 1) for i in order)
                    yield (
                        "permuted",
                        f"the true one with its {count} parts along axis {axis} in the order {told}: "
                        + (f"gates laid out in another order than in the forward{_residual_note(analytic, moved)}"),
                    )


def _one_number(analytic: Array, true: Array) -> tuple[str, str] | None:
    """One number everywhere."""
    if analytic.size == 1 or not _same(analytic, np.full(analytic.shape, analytic.flat[0])):
        return None
    summed = (
        f", their sum {np.sum(true):.6g}" if math.isclose(analytic.flat[0], np.sum(true), rel_tol=MAX_RESIDUAL) else ""
    )
    return "reduced", f"one number everywhere, and the true ones differ{summed}: it is summed over too many axes"


def _clipped(analytic: Array, true: Array) -> tuple[str, str] | None:
    """The true one with its largest entries cut off at one number: two entries at least, since one is always there."""
    bound = float(np.max(np.abs(analytic)))
    there = int(np.count_nonzero(np.abs(analytic) >= bound * (1 - MAX_RESIDUAL)))
    cut = np.clip(true, -bound, bound)
    if there < 2 or not _same(analytic, cut):
        return None
    left = _residual_note(analytic, cut)
    return "clipped", f"the true one cut off at ±{bound:.6g}, where {there} of {true.size} entries are{left}"


def _same(a: Array, b: Array) -> bool:
    return norm(a - b) <= MAX_RESIDUAL * norm(b)


def _residual_note(analytic: Array, fitted: Array) -> str:
    return f" (to within {norm(analytic - fitted) / norm(fitted):.0e})"
