"""What a rule is handed, and what rules share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from gradcheck._tape.nodes import Array, Cell, Pull

Pulls: TypeAlias = list[tuple[Any, Pull]]


@dataclass(slots=True)
class Operation:
    """A call that was made, with its result."""

    function: Any
    args: tuple[Any, ...]
    keywords: dict[str, Any]
    out: Any
    #: a cell that keeps what an operand (or the result) is now, whatever is written into it later
    hold: Callable[[Any], Cell]

    def argument(self, position: int, *names: str, default: Any = None) -> Any:
        """An argument by its position or by one of its names."""
        if position < len(self.args):
            return self.args[position]
        for name in names:
            if name in self.keywords:
                return self.keywords[name]
        return default

    def has(self, *names: str) -> bool:
        """Whether one of these keywords is given and is not None."""
        return any(self.keywords.get(name) is not None for name in names)


#: returns None where it does not know this form of the call
Rule: TypeAlias = Callable[[Operation], Pulls | None]


def summed_to(g: Array, shape: tuple[int, ...]) -> Array:
    """g (m, *broadcast shape) summed over the axes that were broadcast from `shape`."""
    if g.shape[1:] == shape:
        return g
    extra = g.ndim - 1 - len(shape)
    if extra > 0:
        g = g.sum(axis=tuple(range(1, 1 + extra)))
    axes = tuple(k + 1 for k, length in enumerate(shape) if length == 1 and g.shape[k + 1] != 1)
    if axes:
        g = g.sum(axis=axes, keepdims=True)
    return g if g.shape[1:] == shape else np.broadcast_to(g, (len(g), *shape))


def with_leading(x: Any, ndim: int) -> Array:
    """x with axes of length 1 in front up to `ndim`, so that it broadcasts against (m, ...)."""
    array = np.asarray(x)
    return array.reshape((1,) * (ndim - array.ndim) + array.shape)
