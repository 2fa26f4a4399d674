"""Calls of which nothing is known: differences of that one call, when a derivative comes to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck._tape.nodes import Array, Cell, Pull, is_value
from gradcheck._tape.pairs import as_before, as_pairs, off_pairs, shape_on_tape
from gradcheck._tape.rules.operation import Operation, Pulls
from gradcheck._tape.rules.structure import mapped, parts

#: relative to the largest entry, or to 1: where a function bends over about that, what is left out is as small as the
#: rounding; where it bends more, steps shorter by so much are taken
_STEP = 1e-3
_SHORTER = 1 / 8
#: the relative difference between two estimates at which the first is as good as any
_CLOSE = 1e-11


def opaque(operation: Operation, outs: list[Any]) -> list[Pulls]:
    """For each result the ways back."""
    leaves = [x for x in parts((operation.args, operation.keywords)) if is_value(x)]
    frozen = _Frozen(operation, [operation.hold(x) for x in leaves])
    return [[(x, off_pairs(frozen.pull(k, j), out, x)) for k, x in enumerate(leaves)] for j, out in enumerate(outs)]


class _Frozen:
    """The call with its arguments as they were; Jacobians are measured once."""

    def __init__(self, operation: Operation, cells: list[Cell]) -> None:
        self.function, self.cells = operation.function, cells
        numbers = iter(range(len(cells)))
        self.args, self.keywords = mapped(
            lambda x: _Leaf(next(numbers)) if is_value(x) else x, (operation.args, dict(operation.keywords))
        )
        self.jacobians: dict[int, list[Array]] = {}

    def pull(self, k: int, j: int) -> Pull:
        """From result j to operand k."""

        def pull(g: Array) -> Array:
            if k not in self.jacobians:
                self.jacobians[k] = self._measured(k)
            shape = shape_on_tape(self.cells[k].value)
            return (g.reshape(len(g), -1) @ self.jacobians[k][j]).reshape(len(g), *shape)

        return pull

    def _measured(self, k: int) -> list[Array]:
        value = self.cells[k].value
        array = np.array(as_pairs(value), dtype=np.result_type(np.real(value), np.float64))
        step = _STEP * max(1.0, float(np.max(np.abs(array))))
        columns = [self._column(k, array, position, step) for position in range(array.size)]
        return [np.stack([column[j].ravel() for column in columns], 1) for j in range(len(columns[0]))]

    def _column(self, k: int, array: Array, position: int, step: float) -> list[Array]:
        """How the results move with one entry: where shorter steps agree better, these."""
        longest, shorter = (self._difference(k, array, position, one) for one in (step, step * _SHORTER))
        moved = _distance(longest, shorter)
        if moved <= _CLOSE * _distance(longest):
            return longest
        shortest = self._difference(k, array, position, step * _SHORTER**2)
        return longest if moved <= _distance(shorter, shortest) else shortest

    def _difference(self, k: int, array: Array, position: int, step: float) -> list[Array]:
        ends = [self._at(k, array, position, factor * step) for factor in (1, -1, 2, -2)]
        return [(8 * (a - b) - (c - d)) / (12 * step) for a, b, c, d in zip(*ends, strict=True)]

    def _at(self, k: int, array: Array, position: int, step: float) -> list[Array]:
        changed = array.copy()
        changed.reshape(-1)[position] += step
        value = self.cells[k].value
        moved: Any = _of_its_kind(as_before(changed, value), value)
        moved = moved if isinstance(value, np.ndarray) else np.asarray(moved).item()
        values = [moved if i == k else cell.value for i, cell in enumerate(self.cells)]

        def filled(x: Any) -> Any:
            one = values[x.number] if isinstance(x, _Leaf) else x
            return one.copy() if isinstance(x, _Leaf) and isinstance(one, np.ndarray) else one

        with np.errstate(all="ignore"):
            result = self.function(*mapped(filled, self.args), **mapped(filled, self.keywords))
        return [np.array(as_pairs(x), np.float64) for x in parts(result) if is_value(x)]


def _distance(ones: list[Array], others: list[Array] | None = None) -> float:
    """The largest distance between entries, or their largest size."""
    given = [np.zeros_like(one) for one in ones] if others is None else others
    return max((float(np.max(np.abs(a - b), initial=0.0)) for a, b in zip(ones, given, strict=True)), default=0.0)


def _of_its_kind(array: Any, like: Any) -> Any:
    """The array as a matrix, or as one with the same entries masked, if `like` is such."""
    if isinstance(like, np.ma.MaskedArray):
        return np.ma.array(array, mask=like.mask)
    return array.view(np.matrix) if isinstance(like, np.matrix) else array


class _Leaf:
    """Stands for an operand."""

    def __init__(self, number: int) -> None:
        self.number = number


def reported_name(function: Callable[..., Any]) -> str:
    """The name by which a call is reported."""
    return str(
        getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or type(function).__name__
    )
