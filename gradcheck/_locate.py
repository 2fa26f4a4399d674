"""Where in a block: every entry by itself, or the worst ones found by halving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck._evaluate import Evaluator, inner
from gradcheck._report import Worst
from gradcheck._target import Array

#: halving follows this many parts at a time
BEAM = 4


@dataclass(frozen=True)
class Entries:
    """A numerical gradient with an error bar for each entry."""

    values: Array
    errors: Array
    kinks: Array


def difference_entries(evaluator: Evaluator, name: str) -> Entries:
    """The derivative with respect to every entry of a block."""
    shape = evaluator.base[name].shape
    return assemble(shape, [difference_one(evaluator, name, i) for i in range(int(np.prod(shape, dtype=int)))])


def difference_one(evaluator: Evaluator, name: str, flat: int) -> tuple[float, float, float]:
    """(value, error, kink) for the entry with this flat index."""
    index = tuple(int(i) for i in np.unravel_index(flat, evaluator.base[name].shape))
    derivative = evaluator.at(name, index)
    return derivative.value, derivative.error, derivative.kink


def assemble(shape: tuple[int, ...], rows: Sequence[tuple[float, float, float]]) -> Entries:
    """Entries from their values in flat order."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Entries(*(table[:, k].reshape(shape) for k in range(3)))


def find_entries(evaluator: Evaluator, gradient: Array, name: str, rng: np.random.Generator) -> Worst:
    """The worst entry of a block too large to difference whole, by halving: about 2 * BEAM * log2(n) derivatives.

    At each level the parts that disagree most along a random direction are kept, so the entry found is one of the
    worst, not for certain the worst.
    """
    signs = rng.choice([-1.0, 1.0], gradient.size)
    parts = [np.arange(gradient.size)]
    while max(len(part) for part in parts) > 1:
        halves = [half for part in parts for half in np.array_split(part, 2) if len(half)]
        apart = [_disagreement(evaluator, gradient, name, half, signs) for half in halves]
        best = sorted(range(len(halves)), key=lambda i: -apart[i])[:BEAM]
        parts = [halves[i] for i in best]
    worst = max(
        (int(part[0]) for part in parts),
        key=lambda flat: _disagreement(evaluator, gradient, name, np.array([flat]), signs),
    )
    index = tuple(int(i) for i in np.unravel_index(worst, gradient.shape))
    return Worst(index, float(gradient[index]), evaluator.at(name, index).value)


def _disagreement(evaluator: Evaluator, gradient: Array, name: str, part: Array, signs: Array) -> float:
    direction = np.zeros(gradient.size)
    direction[part] = signs[part]
    along = {name: direction.reshape(gradient.shape)}
    return abs(inner({name: gradient}, along) - evaluator.derivative(along).value)
