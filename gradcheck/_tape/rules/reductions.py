"""Sums, means, extremes and what else makes fewer numbers out of many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from gradcheck._tape.nodes import Array, Pull
from gradcheck._tape.pairs import in_double
from gradcheck._tape.rules.operation import Operation, Pulls, Rule, summed_to

Axes: TypeAlias = tuple[int, ...]
#: d(result)/d(operand) with reduced axes kept, of the operand, the result, the axes and ddof
_Slope: TypeAlias = Callable[[Array, Array, Axes, float], Any]


def _axes(axis: Any, ndim: int) -> Axes:
    if axis is None:
        return tuple(range(ndim))
    return tuple(int(one) % ndim for one in (axis if isinstance(axis, tuple) else (axis,))) if ndim else ()


def _expanded(g: Array, axes: Axes) -> Array:
    """g (m, *reduced shape) with the reduced axes put back as length 1."""
    for axis in sorted(axes):
        g = np.expand_dims(g, axis + 1)
    return g


def _reduction(slope: _Slope | None, ddof: int | None = None, axis_default: Any = None) -> Rule:
    """A rule for numpy.f(x, axis, keepdims=, where=); slope None stands for a plain sum."""

    def rule(operation: Operation) -> Pulls | None:
        x = operation.args[0] if operation.args else operation.keywords.get("a")
        if not isinstance(x, (np.ndarray, np.generic, float, complex)) or operation.has("initial"):
            return None
        shape = np.shape(x)
        where = operation.keywords.get("where", True)
        where = True if where is np._NoValue or where is None else where
        if where is not True and slope is not None:
            return None
        axes = _axes(operation.argument(1, "axis", default=axis_default), len(shape))
        kept = operation.keywords.get("keepdims") is True or np.ndim(operation.out) == len(shape) > 0 < len(axes)
        free = operation.keywords.get("ddof", operation.keywords.get("correction", ddof)) or 0
        cells = None if slope is None else (operation.hold(x), operation.hold(operation.out))

        def pull(g: Array) -> Array:
            g = g if kept else _expanded(g, axes)
            if cells is None or slope is None:
                g = np.broadcast_to(g, (len(g), *shape))
                return g if where is True else g * where
            value, out = (in_double(cell.value) for cell in cells)
            out = out if kept else _expanded(out[None], axes)[0]
            with np.errstate(all="ignore"):
                result: Array = g * np.broadcast_to(slope(value, out, axes, free), shape)
            return result

        return [(x, pull)]

    return rule


def _count(x: Array, axes: Axes) -> int:
    return int(np.prod([x.shape[axis] for axis in axes], dtype=int))


def _extreme(x: Array, out: Array, axes: Axes, _: float) -> Any:
    hit = x == out
    return hit / np.maximum(1, hit.sum(axis=axes, keepdims=True))


def _product(x: Array, out: Array, axes: Axes, _: float) -> Any:
    if np.all(x != 0):
        return out / x
    result = np.empty_like(x)  # the product of all others
    rest = [axis for axis in range(x.ndim) if axis not in axes]
    rows = np.transpose(x, (*rest, *axes)).reshape(*(x.shape[axis] for axis in rest), -1)
    others = np.stack([np.delete(rows, k, -1).prod(-1) for k in range(rows.shape[-1])], -1)
    target = np.transpose(result, (*rest, *axes))
    target[...] = others.reshape(target.shape)
    return result


def _variance(x: Array, _: Array, axes: Axes, free: float) -> Any:
    return 2 * np.conj(x - x.mean(axis=axes, keepdims=True)) / (_count(x, axes) - free)


def _deviation(x: Array, out: Array, axes: Axes, free: float) -> Any:
    return _variance(x, out, axes, free) / (2 * out)


def _norm(operation: Operation) -> Pulls | None:
    x = operation.args[0]
    order = operation.argument(1, "ord")
    axis = operation.argument(2, "axis")
    flat = axis is None and np.ndim(x) != 2
    if not isinstance(x, np.ndarray) or not (
        order in (None, "fro") or (order == 2 and (flat or isinstance(axis, int)))
    ):
        return None
    keyword = {"axis": axis, "keepdims": operation.keywords.get("keepdims", False)}
    whole = Operation(operation.function, (x,), keyword, operation.out, operation.hold)
    return _reduction(lambda x, out, *_: np.conj(x) / out)(whole)


def _cumulative(operation: Operation) -> Pulls | None:
    x, axis = operation.args[0], operation.argument(1, "axis")
    if not isinstance(x, np.ndarray):
        return None
    shape = x.shape

    def pull(g: Array) -> Array:
        axis_ = -1 if axis is None else axis % len(shape) + 1
        return np.flip(np.cumsum(np.flip(g, axis_), axis_), axis_).reshape(len(g), *shape)

    return [(x, pull)]


def _clip(operation: Operation) -> Pulls | None:
    x = operation.args[0]
    low, high = operation.argument(1, "a_min", "min"), operation.argument(2, "a_max", "max")
    if any(isinstance(bound, np.ndarray) and bound.dtype.kind == "f" for bound in (low, high)):
        return None
    cell = operation.hold(x)

    def pull(g: Array) -> Array:
        inside = np.asarray(True if low is None else cell.value >= low) & (True if high is None else cell.value <= high)
        return g * inside

    return [(x, pull)]


def _where(operation: Operation) -> Pulls | None:
    if len(operation.args) != 3:
        return []
    condition = np.array(operation.args[0], bool)

    def to(chosen: bool, shape: tuple[int, ...]) -> Pull:
        return lambda g: summed_to(np.where(condition == chosen, g, 0.0), shape)

    return [(operation.args[1], to(True, np.shape(operation.args[1]))),
            (operation.args[2], to(False, np.shape(operation.args[2])))]  # fmt: skip


def _sum() -> Rule:
    return _reduction(None)


TABLE: dict[Any, Rule] = {
    np.sum: _sum(),
    np.nansum: _reduction(lambda x, *_: ~np.isnan(x)),
    np.mean: _reduction(lambda x, _, axes, __: 1 / _count(x, axes)),
    np.var: _reduction(_variance),
    np.std: _reduction(_deviation),
    np.max: _reduction(_extreme),
    np.min: _reduction(_extreme),
    np.amax: _reduction(_extreme),
    np.amin: _reduction(_extreme),
    np.prod: _reduction(_product),
    np.linalg.norm: _norm,
    np.cumsum: _cumulative,
    np.clip: _clip,
    np.where: _where,
}
#: ufunc.reduce is that of its function over axis 0
REDUCED: dict[Any, Rule] = {
    np.add: _reduction(None, axis_default=0),
    np.multiply: _reduction(_product, axis_default=0),
    np.maximum: _reduction(_extreme, axis_default=0),
    np.minimum: _reduction(_extreme, axis_default=0),
    np.logaddexp: _reduction(lambda x, out, *_: np.exp(x - out), axis_default=0),
}
