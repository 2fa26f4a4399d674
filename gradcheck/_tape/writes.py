"""Writes into arrays: subscripts, `out=`, and functions and methods that work in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck._common.arrays import owner_of
from gradcheck._tape.buffers import Buffer, Geometry, Region, end_of
from gradcheck._tape.nodes import Array, Pull, is_value
from gradcheck._tape.pairs import is_complex, on_pairs
from gradcheck._tape.rules.movement import moved
from gradcheck._tape.rules.operation import summed_to
from gradcheck._tape.rules.structure import mapped, parts
from gradcheck._tape.tape import At, Tape, positions_in

#: functions of numpy that write into their first argument, and move numbers only
IN_PLACE = frozenset({np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal})
#: methods of arrays that do
IN_PLACE_METHODS = frozenset({"fill", "put", "itemset", "sort", "partition", "resize", "byteswap"})


def is_basic(index: Any) -> bool:
    """Whether such a subscript is a view."""
    return all(
        one is None or one is Ellipsis or (isinstance(one, (slice, int, np.integer)) and not isinstance(one, bool))
        for one in (index if isinstance(index, tuple) else (index,))
    )


def store_item(tape: Tape, at: At, target: Array, index: Any, value: Any) -> None:
    """``target[index] = value``."""
    if not is_value(target):
        target[index] = value
        return
    if is_basic(index):
        whole = (*index,) if isinstance(index, tuple) else (index,)
        place = target[index if any(one is Ellipsis for one in whole) else (*whole, Ellipsis)]
        if _is_itself(place, value):
            return  # the end of an augmented assignment, which has written already
        node = tape.node(value) if is_value(value) else None
        buffer = tape.about_to_write(place) if place.size else None
        target[index] = value
        region: Region | None = None if buffer is None else buffer.geometry(place)
        positions = None
    else:
        node = tape.node(value) if is_value(value) else None
        tape.node(target)
        buffer = tape.buffers.get(id(owner_of(target)))
        positions = None if buffer is None else positions_in(buffer, target, index)
        if positions is not None:
            tape.about_to_write(target, positions)
        target[index] = value
        region = positions
    if buffer is None or region is None:
        return
    entries = positions[..., 0] if positions is not None and is_complex(target) else positions
    pull = on_pairs(_to_value(np.shape(value), entries), target, value)
    tape.stored(buffer, region, [] if node is None else [(node, pull)], at)


def _is_itself(place: Array, value: Any) -> bool:
    return (
        isinstance(value, np.ndarray)
        and value.shape == place.shape
        and value.__array_interface__["data"] == place.__array_interface__["data"]
        and value.strides == place.strides
        and value.dtype == place.dtype
    )


def _to_value(shape: tuple[int, ...], positions: Array | None) -> Pull:
    """From the part written to the value, which may have been broadcast."""
    last = None if positions is None else _last(positions)
    if last is None:
        return lambda g: _fitted(g, shape)
    return lambda g: _fitted(g * last, shape)


def _fitted(g: Array, shape: tuple[int, ...]) -> Array:
    if len(shape) > g.ndim - 1:  # axes of length 1 in front are dropped by an assignment
        return summed_to(g, shape[len(shape) - g.ndim + 1 :]).reshape(len(g), *shape)
    return summed_to(g, shape)


def _last(positions: Array) -> Array | None:
    """Of several writes to one position only the last counts; None if there are none such."""
    flat = positions.ravel()
    unique, index = np.unique(flat[::-1], return_index=True)
    if len(unique) == len(flat):
        return None
    mask = np.zeros(len(flat), bool)
    mask[len(flat) - 1 - index] = True
    return mask.reshape(positions.shape)


def moved_in_place(
    tape: Tape, at: At, name: str, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    """A call that writes into its first argument and only moves numbers: told by running it on indices."""
    target = args[0]
    if not is_value(target):
        return function(*args, **keywords)
    if name in ("sort", "partition"):
        return _sorted(tape, at, name, function, args, keywords)
    leaves = [x for x in parts((args, keywords)) if is_value(x)]
    first = 1 << 40
    starts: list[int] = []

    def indexed(x: Any) -> Any:
        nonlocal first
        if not is_value(x):
            return x
        starts.append(first)
        first += int(np.size(x))
        found = np.arange(starts[-1], first).reshape(np.shape(x))
        return found if isinstance(x, np.ndarray) else int(found)

    traced = mapped(indexed, args)
    function(*traced, **mapped(indexed, dict(keywords)))
    pulls = [(tape.node(x), on_pairs(pull, target, x)) for x, pull in moved(traced[0], leaves, starts)]
    buffer = tape.about_to_write(target)
    result = function(*args, **keywords)
    _whole(tape, at, name, buffer, target, [(node, pull) for node, pull in pulls if node is not None])
    return result


def _sorted(tape: Tape, at: At, name: str, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    target, before = args[0], tape.node(args[0])
    axis = keywords.get("axis", args[1] if name == "sort" and len(args) > 1 else -1)
    buffer = tape.about_to_write(target)
    copy = target.copy()
    result = function(*args, **keywords)
    order = np.argsort(copy, axis=axis, kind="stable")
    ties = np.argsort(np.argsort(target, axis=axis, kind="stable"), axis=axis)
    order = np.take_along_axis(order, ties, axis)
    source = np.take_along_axis(np.arange(copy.size).reshape(copy.shape), order, axis)
    pulls = [(x, on_pairs(pull, target, x)) for x, pull in moved(source, [target], [0])]
    _whole(tape, at, name, buffer, target, [] if before is None else [(before, pull) for _, pull in pulls])
    return result


def _whole(tape: Tape, at: At, name: str, buffer: Buffer | None, target: Array, values: list[tuple[Any, Pull]]) -> None:
    region: Geometry | None = None if buffer is None else buffer.geometry(target)
    if buffer is None or region is None:
        return
    tape.stored(buffer, region, values, at, name)


def store_added(tape: Tape, at: At, target: Array, index: Any, value: Any, sign: float) -> None:
    """Add to entries of an array, as often as their index says."""
    node = tape.node(value) if is_value(value) else None
    before = tape.node(target)
    buffer = tape.buffers.get(id(owner_of(target)))
    positions = None if buffer is None else positions_in(buffer, target, index)
    if buffer is not None:
        tape.about_to_write(target)
    (np.add if sign > 0 else np.subtract).at(target, index, value)
    if buffer is None or positions is None or before is None:
        return
    shape, state, kept = np.shape(value), buffer.state, buffer.kept
    inputs = [one for one in (state, node) if one is not None]
    pulls: list[Any] = [] if state is None else [lambda g: g]
    if node is not None:
        added = on_pairs(lambda g: summed_to(sign * g, shape), target, value)
        pulls.append(lambda g: added(g.reshape(len(g), kept.size)[:, positions]))
    assert buffer.root is not None
    new = tape.new("add.at", tuple(inputs), tuple(pulls), buffer.root.shape, None, at)
    new.is_complex = is_complex(target)
    buffer.state = new
    tape.stores.append((new, buffer, at))
    if buffer.is_long:
        tape.ends[new.index] = end_of(positions)
