"""Gaussian directions over sets of parameters: the same ones whenever they are asked for, at whatever point.

Small ones are kept. Of large ones only the first is, once it is asked for again, as it is at other points: before, it
would be there beside the second. The others are drawn anew where somebody looks back at them, where something is
wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck._common.arrays import Array, Values
from gradcheck._common.drawing import LARGE, gaussian


@dataclass
class _Stream:
    """Where the directions over one set of parameters come from: the generator, and its state before each of them."""

    names: list[str]
    rng: np.random.Generator
    starts: list[Mapping[str, Any]] = field(default_factory=list)
    kept: dict[int, Values] = field(default_factory=dict)

    def has_drawn(self, number: int) -> bool:
        """Whether this one was asked for before."""
        return number + 1 < len(self.starts)


class Directions:
    """Directions by the names of the parameters and a number; `rng` gives a generator of its own for each set."""

    def __init__(self, rng: Callable[..., np.random.Generator]) -> None:
        self._rng = rng
        self._streams: dict[frozenset[str], _Stream] = {}

    def draw(self, names: list[str], number: int, like: Mapping[str, Array]) -> Values:
        """One of the directions over these parameters, of which `like` tells the shapes."""
        asked = frozenset(names)
        if asked not in self._streams:
            rng = self._rng(*names)
            self._streams[asked] = _Stream(list(names), rng, [rng.bit_generator.state])
        stream = self._streams[asked]
        if number in stream.kept:
            return stream.kept[number]
        is_asked_again = stream.has_drawn(number)
        direction: Values = {}
        for k in range(min(number, len(stream.starts) - 1), number + 1):
            stream.rng.bit_generator.state = stream.starts[k]
            direction = {name: gaussian(stream.rng, like[name].shape) for name in stream.names}
            if k + 1 == len(stream.starts):
                stream.starts.append(stream.rng.bit_generator.state)
        if (number == 0 and is_asked_again) or sum(one.size for one in direction.values()) <= LARGE:
            stream.kept[number] = direction
        return direction
