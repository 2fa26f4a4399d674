"""Inverses, systems of equations and determinants, of stacks of matrices as well.

Source: M. B. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation",
2008, sections 2.2.2 to 2.3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck._tape.nodes import Array
from gradcheck._tape.pairs import is_complex
from gradcheck._tape.rules.operation import Operation, Pulls, Rule, summed_to


def _turned(a: Array) -> Array:
    return np.swapaxes(a, -1, -2)


def _inverse(operation: Operation) -> Pulls | None:
    """Y = inv(A): - Y' dY Y'."""
    a = operation.args[0]
    if is_complex(a):
        return None
    held = operation.hold(operation.out)

    def pull(g: Array) -> Array:
        turned = _turned(np.asarray(held.value))
        return -turned @ g @ turned

    return [(a, pull)]


def _solution(operation: Operation) -> Pulls | None:
    """X = inv(A) B: inv(A)' dX for B, and minus that times X' for A."""
    a, b = operation.args[:2]
    is_vector = np.ndim(b) == 1
    if is_complex(a) or is_complex(b) or not (is_vector or np.ndim(b) >= np.ndim(a)):
        return None  # what is solved for stacks of vectors depends on the version of NumPy
    matrix, x = operation.hold(a), operation.hold(operation.out)
    shape, other = np.shape(a), np.shape(b)

    def to_right(g: Array) -> Array:
        g = g[..., None] if is_vector else g
        return np.asarray(np.linalg.solve(_turned(np.asarray(matrix.value)), g))

    def to_matrix(g: Array) -> Array:
        columns = np.asarray(x.value)[..., None] if is_vector else np.asarray(x.value)
        return summed_to(-to_right(g) @ _turned(columns), shape)

    def to_operand(g: Array) -> Array:
        found = to_right(g)
        return summed_to(found[..., 0] if is_vector else found, other)

    return [(a, to_matrix), (b, to_operand)]


def _of_inverse(factor: Callable[[Array, Array], Array]) -> Rule:
    """A number that moves with inv(A)', by a factor that is told the cotangent and the number."""

    def rule(operation: Operation) -> Pulls | None:
        a = operation.args[0]
        if is_complex(a):
            return None
        matrix, out = operation.hold(a), operation.hold(operation.out)

        def pull(g: Array) -> Array:
            turned = _turned(np.linalg.inv(np.asarray(matrix.value)))
            return factor(g, np.asarray(out.value))[..., None, None] * turned

        return [(a, pull)]

    return rule


def log_determinant(operation: Operation) -> list[Pulls] | None:
    """The sign, which does not move, and log |det(A)|, of which the derivative is inv(A)'."""
    _, logarithm = operation.out
    found = _of_inverse(lambda g, _: g)(Operation(None, operation.args, {}, logarithm, operation.hold))
    return None if found is None else [[], found]


TABLE: dict[Any, Rule] = {
    np.linalg.inv: _inverse,
    np.linalg.solve: _solution,
    np.linalg.det: _of_inverse(lambda g, value: g * value),
}
#: functions with several results
SEVERAL: dict[Any, Callable[[Operation], list[Pulls] | None]] = {np.linalg.slogdet: log_determinant}
