"""Helpers that are right: a function of one argument that is the derivative of another one is not to blame.

``dsigmoid(o)`` may be wrong since `o` is activated already; what dsigmoid() returns is the derivative of the logistic
function all the same, and an edit of it would break what its name says. But where its name has another function's in
it, as ``silu_prime`` has ``silu``, it is that one's derivative that it has to be.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from gradcheck._mending.frames import is_pure
from gradcheck._usercode.functions import functions_with

#: where the derivatives are compared, and the step of the differences
POINTS = np.linspace(-1.7, 1.9, 7)
STEP = 1e-5
#: how far they may be apart: differences of this step are no better
CLOSE = 1e-7
#: functions of the module that are looked at
MOST_FUNCTIONS = 24


@lru_cache(maxsize=256)
def is_right_helper(code: CodeType) -> bool:
    """Whether the function of this code is the derivative of tanh, of the logistic function, or of one beside it."""
    if code.co_argcount < 1 or code.co_freevars:
        return False
    found = functions_with([code])
    return bool(found) and is_pure(found[0]) and _is_derivative(found[0])


def _is_derivative(function: FunctionType) -> bool:
    given = _value(function, POINTS)
    if given is None:
        return False
    beside = _functions_beside(function)
    meant = [one for one in beside if one.__name__.lower() in function.__name__.lower()]
    others: list[Callable[[Any], Any]] = [np.tanh, lambda z: 1 / (1 + np.exp(-z)), *beside]
    return any(_is_close(given, other) for other in meant or others)


def _functions_beside(function: FunctionType) -> list[FunctionType]:
    beside = [
        one
        for one in function.__globals__.values()
        if isinstance(one, FunctionType) and one is not function and one.__module__ == function.__module__
    ]
    return [one for one in beside if one.__code__.co_argcount == 1 and is_pure(one)][:MOST_FUNCTIONS]


def _is_close(given: Any, function: Callable[[Any], Any]) -> bool:
    above, below = _value(function, POINTS + STEP), _value(function, POINTS - STEP)
    if above is None or below is None:
        return False
    slope = (above - below) / (2 * STEP)
    return bool(np.any(slope)) and bool(np.max(np.abs(slope - given)) <= CLOSE * max(1.0, float(np.max(np.abs(slope)))))


def _value(function: Callable[[Any], Any], z: Any) -> Any:
    """The value, if it is as many numbers; None where the function takes something else."""
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(function(z.copy()))
    except Exception:  # the user's code, with values it was not written for
        return None
    if found.dtype.kind not in "fiub" or found.shape != z.shape or not np.all(np.isfinite(found)):
        return None
    return found.astype(float)
