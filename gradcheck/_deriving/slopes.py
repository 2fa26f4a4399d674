"""What the derivative of an activation is, told from its result: found by trying it out, whatever it is written as.

A slope is written with `y` for the result: "y * (1 - y)" of a logistic function, however it is calculated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck._common.arrays import Array

#: elementwise: the derivative as source, and as numbers
SLOPES: dict[str, Callable[[Array], Array]] = {
    "y * (1 - y)": lambda y: y * (1 - y),
    "1 - y ** 2": lambda y: 1 - y**2,
    "y": lambda y: y,
}
#: what a softmax along an axis is told by
SOFTMAX = "softmax"
_STEP = 1e-6


def slope_of(function: Callable[[Array], Any], u: Array) -> str | None:
    """How the derivative of a function of one array follows from its result; None if it does not.

    A softmax along an axis is called "softmax 1".
    """
    if not isinstance(u, np.ndarray) or u.dtype.kind != "f" or not u.size:
        return None
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        try:
            y = np.asarray(function(u))
            if y.shape != u.shape or y.dtype.kind != "f":
                return None
            directions = [rng.standard_normal(u.shape) for _ in range(2)]
            moved = [_moved(function, u, one) for one in directions]
        except (TypeError, ValueError, IndexError, AttributeError, KeyError):
            return None
        for text, of in SLOPES.items():
            if all(_equal(one, of(y) * direction) for one, direction in zip(moved, directions, strict=True)):
                return text
        for axis in range(-1, -u.ndim - 1, -1):
            if all(_equal(one, _softmax(y, d, axis)) for one, d in zip(moved, directions, strict=True)):
                return f"{SOFTMAX} {axis}"
    return None


def _moved(function: Callable[[Array], Any], u: Array, direction: Array) -> Array:
    up, down = (np.asarray(function(u + sign * _STEP * direction)) for sign in (1, -1))
    return np.asarray((up - down) / (2 * _STEP))


def _softmax(y: Array, g: Array, axis: int) -> Array:
    return np.asarray(y * (g - (g * y).sum(axis=axis, keepdims=True)))


def _equal(a: Array, b: Array) -> bool:
    scale = np.max(np.abs(b), initial=0.0)
    return bool(scale > 0 and np.all(np.isfinite(a)) and np.max(np.abs(a - b)) <= 1e-7 * scale)
