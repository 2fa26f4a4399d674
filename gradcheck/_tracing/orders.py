"""The derivatives of one expression, in the orders and shapes in which a backward may go through them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradcheck._common.arrays import Array
from gradcheck._tracing.matching import Series


def aligned(series: Series, count: int) -> Iterator[tuple[bool, Series]]:
    """The derivatives in the orders in which a backward may go through them `count` times; unlikely ones marked."""
    values = series.values
    same = len({value.shape for value in values}) == 1
    backwards = values[::-1]

    def made(unlikely: bool, arrays: Sequence[Array], also: str = "") -> tuple[bool, Series]:
        return unlikely, Series(series.label.with_detail(also), tuple(arrays))

    if count == 1 and len(values) > 1 and same:
        yield made(False, [np.sum(values, axis=0)], "summed over its executions")
        yield made(False, [np.stack(values)], "of all executions")
        yield made(True, [np.stack(backwards)], "of all executions, last first")
    for every in range(1, 7):
        if len(values) < count * every or (every > 1 and len(values) % every):
            break
        for start in range(every):
            yield made(len(values) != count * every, backwards[start::every][:count])
    for parts in range(2, 6):  # several sequences, one after the other: directions, layers, examples
        length = count // parts
        if len(values) == count == parts * length and length > 1:
            chunks = [values[k * length : (k + 1) * length][::-1] for k in range(parts)]
            yield made(False, [value for chunk in chunks for value in chunk])
    if len(values) >= count > 1:
        yield made(True, values[:count])
        yield made(True, backwards[len(values) - count :])
        yield made(True, values[len(values) - count :])
    if same and count > 1:
        for ordered in (backwards, values):
            if len(ordered) >= count:
                yield made(True, list(np.cumsum(ordered, axis=0)[:count]), "accumulated")
    if count > len(values) and same:
        nothing = (np.zeros_like(values[0]),) * (count - len(values))
        yield made(True, backwards + nothing)
        yield made(True, nothing + backwards)


def shaped(value: Array, shape: tuple[int, ...]) -> Array | None:
    """The value in this shape: as it is, or transposed, or with axes of length one added or removed."""
    if value.shape == shape:
        return value
    if value.ndim == 2 and value.T.shape == shape:
        return value.T
    if tuple(n for n in value.shape if n != 1) == tuple(n for n in shape if n != 1):
        return value.reshape(shape)
    return None
