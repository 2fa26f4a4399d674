"""Arrays of several shapes side by side, as layers of several widths have them: filled up with zeros to the widest.

What is multiplied, by entry or as matrices, and what is summed is the same with these zeros as without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from gradcheck._tape.nodes import Array

#: of one value, execution by execution
Shapes: TypeAlias = tuple[tuple[int, ...], ...]


def have_as_many_axes(shapes: Shapes) -> bool:
    """Whether they can be filled up to one shape."""
    return len({len(one) for one in shapes}) == 1


def widest(shapes: Shapes) -> tuple[int, ...]:
    """The shape that they are filled up to; all have as many axes."""
    return tuple(max(sizes) for sizes in zip(*shapes, strict=True))


def side_by_side(parts: Sequence[Array]) -> Array:
    """The arrays, (executions, ...); all have as many axes."""
    shapes = tuple(one.shape for one in parts)
    if len(set(shapes)) == 1:
        return np.array(parts)
    result = np.zeros((len(parts), *widest(shapes)), np.result_type(*parts))
    for row, one in zip(result, parts, strict=True):
        row[tuple(map(slice, one.shape))] = one
    return result


def filled_up(slopes: Sequence[Array], shapes: Shapes) -> list[Array]:
    """Slopes (projections, entries) in values of these shapes, as slopes in the filled values: zero where they are."""
    to = widest(shapes)
    if set(shapes) == {to}:
        return list(slopes)
    result = []
    for one, shape in zip(slopes, shapes, strict=True):
        wide = np.zeros((len(one), *to), one.dtype)
        wide[(slice(None), *map(slice, shape))] = one.reshape(len(one), *shape)
        result.append(wide.reshape(len(one), -1))
    return result
