"""How wrong each entry of a gradient is, laid out for a picture."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from gradcheck._common.arrays import Array, Sizes
from gradcheck.report.trace_records import ErrorMap

#: rows and columns of a picture; of more entries, each cell shows the worst of a block
MOST_ROWS, MOST_COLUMNS = 48, 96


def maps_of(
    given: Mapping[str, Array],
    true: Mapping[str, Array],
    wrong: Collection[str],
    gates: Sequence[str] = (),
    sizes: Sizes | None = None,
) -> tuple[ErrorMap, ...]:
    """A map of each wrong gradient that can be compared with the true one."""
    return tuple(_maps(given, true, wrong, tuple(gates), sizes or {}))


def _maps(
    given: Mapping[str, Array], true: Mapping[str, Array], wrong: Collection[str], gates: tuple[str, ...], sizes: Sizes
) -> Iterator[ErrorMap]:
    for name in wrong:
        one, other = given.get(name), true.get(name)
        if one is None or other is None or one.shape != other.shape or not other.size:
            continue
        norm = float(np.linalg.norm(other)) or float(np.linalg.norm(one))
        if not np.isfinite(norm) or not norm:
            continue
        error = np.abs(np.nan_to_num(one - other, nan=np.inf)) / norm
        yield _map(name, error, gates, sizes)


def _map(name: str, error: Array, gates: tuple[str, ...], sizes: Sizes) -> ErrorMap:
    shape = error.shape
    table = error.reshape(shape[0], -1) if error.ndim > 1 else error.reshape(1, -1)
    row = _axis(shape[0], sizes, "rows") if error.ndim > 1 else ""
    column = _axis(table.shape[1], sizes, "columns" if error.ndim < 3 else "all other axes, one after the other")
    along = [axis for axis in (1, 0) if error.ndim < 3 and _holds(table.shape[axis], gates, sizes)]
    are_rows = along == [0] or (len(along) == 2 and table.shape[0] > table.shape[1])  # the longer axis holds them
    rows = tuple(tuple(float(f"{value:.3g}") for value in line) for line in _worst_of_blocks(table))
    return ErrorMap(name, shape, rows, row, column, gates if along else (), are_rows)


def _holds(length: int, gates: Sequence[str], sizes: Sizes) -> bool:
    """Whether gates can stand side by side along an axis: one that is as long as a size holds none, as time steps."""
    return bool(gates) and length % len(gates) == 0 and length >= 2 * len(gates) and length not in sizes.values()


def _axis(length: int, sizes: Sizes, otherwise: str) -> str:
    """What an axis is called: a size that is alone in being so long, as time steps."""
    named = [name for name, size in sizes.items() if size == length]
    return f"{named[0]} ({length})" if len(named) == 1 else f"{otherwise} ({length})"


def _worst_of_blocks(table: Array) -> Array:
    """The table with no more rows and columns than a picture has."""
    for axis, most in ((0, MOST_ROWS), (1, MOST_COLUMNS)):
        step = -(-table.shape[axis] // most)
        starts = np.arange(0, table.shape[axis], step)
        table = np.maximum.reduceat(table, starts, axis=axis)
    return table
