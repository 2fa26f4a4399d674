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


def _along_inverse(operation: Operation, factor: Callable[[Array], Array]) -> Pulls | None:
    """A number that moves with inv(A)', by a factor that is told the cotangent."""
    a = operation.args[0]
    if is_complex(a):
        return None
    held = operation.hold(a)
    return [(a, lambda g: factor(g)[..., None, None] * _turned(np.linalg.inv(np.asarray(held.value))))]


def _determinant(operation: Operation) -> Pulls | None:
    """det(A): det(A) inv(A)'."""
    held = operation.hold(operation.out)
    return _along_inverse(operation, lambda g: g * held.value)


def _log_determinant(operation: Operation) -> list[Pulls] | None:
    """The sign, which does not move, and log |det(A)|: inv(A)'."""
    found = _along_inverse(operation, lambda g: g)
    return None if found is None else [[], found]


TABLE: dict[Any, Rule] = {
    np.linalg.inv: _inverse,
    np.linalg.solve: _solution,
    np.linalg.det: _determinant,
}
#: functions with several results
SEVERAL: dict[Any, Callable[[Operation], list[Pulls] | None]] = {np.linalg.slogdet: _log_determinant}
