"""Functions that only move numbers: the same call on arrays of indices tells where each came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck._tape.buffers import scattered
from gradcheck._tape.nodes import Array, Pull, is_value
from gradcheck._tape.rules.operation import Operation, Pulls
from gradcheck._tape.rules.structure import mapped, parts

#: indices begin here, so that no constant among the arguments is taken for one
_FIRST = 1 << 40

#: functions of numpy and methods of arrays, by name
NAMES = frozenset(
    [
        "concatenate",
        "stack",
        "vstack",
        "hstack",
        "dstack",
        "column_stack",
        "row_stack",
        "split",
        "array_split",
        "hsplit",
        "vsplit",
        "dsplit",
        "block",
        "append",
        "insert",
        "delete",
        "reshape",
        "ravel",
        "flatten",
        "transpose",
        "swapaxes",
        "moveaxis",
        "rollaxis",
        "expand_dims",
        "squeeze",
        "atleast_1d",
        "atleast_2d",
        "atleast_3d",
        "broadcast_to",
        "broadcast_arrays",
        "array",
        "asarray",
        "asanyarray",
        "ascontiguousarray",
        "asfortranarray",
        "copy",
        "astype",
        "require",
        "take",
        "take_along_axis",
        "repeat",
        "tile",
        "flip",
        "flipud",
        "fliplr",
        "roll",
        "rot90",
        "pad",
        "diag",
        "diagonal",
        "diagflat",
        "tril",
        "triu",
        "compress",
        "extract",
        "choose",
        "select",
        "resize",
        "trim_zeros",
        "unstack",
        "permute_dims",
        "tolist",
        "item",
        "real",
        "matrix_transpose",
        "full_like",
        "full",
        "sliding_window_view",
        "nan_to_num",
        "concat",
        "r_",
        "c_",
        "matrix",
    ]
)
#: those that keep every entry where it is
_SAME = frozenset({"array", "asarray", "asanyarray", "ascontiguousarray", "copy", "astype", "float"})


def movement(name: str, operation: Operation, outs: list[Any]) -> list[Pulls] | None:
    """For each result the ways back; None if the call does not run on indices."""
    leaves = [x for x in parts((operation.args, operation.keywords)) if is_value(x)]
    if name in _SAME and len(leaves) == len(outs) == 1 and np.shape(leaves[0]) == np.shape(outs[0]):
        return [[(leaves[0], lambda g: g)]]
    if name in ("concatenate", "concat") and not any(isinstance(x, float) for x in leaves):
        found = _concatenated(operation, leaves, outs)
        if found is not None:
            return found
    starts: list[int] = []
    count = _FIRST

    def indexed(x: Any) -> Any:
        nonlocal count
        if not is_value(x):
            return x
        starts.append(count)
        count += int(np.size(x))
        return np.arange(starts[-1], count).reshape(np.shape(x))

    args, keywords = mapped(indexed, operation.args), mapped(indexed, dict(operation.keywords))
    keywords.pop("dtype", None)
    try:
        traced = _called(name, operation.function, args, keywords)
    except Exception:  # it needs the values
        return None
    sources = [_as_indices(x) for x in parts(traced) if isinstance(x, (np.ndarray, np.integer, int))]
    if [x.shape for x in sources] != [np.shape(x) for x in outs]:
        return None
    if not all(_holds(source, out, leaves, starts) for source, out in zip(sources, outs, strict=True)):
        return None
    return [moved(source, leaves, starts) for source in sources]


def _as_indices(x: Any) -> Array:
    """Indices that an array without entries, or a constant, has turned into floating-point numbers, which hold them."""
    array = np.asarray(x)
    with np.errstate(invalid="ignore"):
        return array.astype(np.int64) if array.dtype.kind == "f" else array


def _holds(source: Array, out: Any, leaves: list[Any], starts: list[int]) -> bool:
    """Whether the entries are those that the indices say: a mean of indices is an index as well."""
    flat, values = source.ravel(), np.ravel(out)
    for x, start in zip(leaves, starts, strict=True):
        mine = np.flatnonzero((flat >= start) & (flat < start + np.size(x)))
        taken = np.ravel(x)[flat[mine] - start].astype(values.dtype, copy=False)
        if not np.array_equal(taken, values[mine], equal_nan=True):
            return False
    return True


def _called(name: str, function: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    if name == "astype":
        return args[0].copy()
    if name in ("array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray", "require"):
        return np.array(args[0])  # without the type
    return function(*args, **keywords)


def moved(source: Array, leaves: list[Any], starts: list[int]) -> Pulls:
    """The ways back from entries that came from these indices."""
    flat = source.ravel()
    result: Pulls = []
    for x, start in zip(leaves, starts, strict=True):
        mine = np.flatnonzero((flat >= start) & (flat < start + np.size(x)))
        if len(mine):
            result.append((x, _pull(mine, flat[mine] - start, np.shape(x))))
    return result


def _pull(mine: Array, positions: Array, shape: tuple[int, ...]) -> Pull:
    size = int(np.prod(shape, dtype=int))

    def pull(g: Array) -> Array:
        return scattered(g.reshape(len(g), -1)[:, mine], positions, size).reshape(len(g), *shape)

    return pull


def _concatenated(operation: Operation, leaves: list[Any], outs: list[Any]) -> list[Pulls] | None:
    """Without indices, since it is what every fused cell does at every step."""
    pieces = operation.argument(0)
    axis = operation.argument(1, "axis", default=0)
    if not isinstance(pieces, (list, tuple)) or len(pieces) != len(leaves) or axis is None or operation.has("out"):
        return None
    axis = axis % np.ndim(outs[0]) + 1
    result: Pulls = []
    end = 0
    for piece in pieces:
        start, end = end, end + piece.shape[axis - 1]
        where = (*(slice(None),) * axis, slice(start, end))
        result.append((piece, lambda g, where=where: g[where]))  # type: ignore[misc]
    return [result]
