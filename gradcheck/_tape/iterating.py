"""What is gone through: each part of it is on the tape once it is reached, since code may write what comes later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from gradcheck._common.arrays import owner_of
from gradcheck._tape.nodes import Array, is_value
from gradcheck._tape.tape import NOWHERE, Entry, Tape


def rows(tape: Tape, x: Any) -> Any:
    """The rows or numbers of an array, each on the tape, or of an iterator over one; anything else as it is."""
    if isinstance(x, np.ndarray):
        return entries(tape, x, range(len(x))) if has_rows(x) else x
    if isinstance(x, np.flatiter):
        return _numbers(tape, x) if is_value(x.base) else x
    if isinstance(x, np.ndenumerate):
        return _enumerated(tape, x)
    return _visited(tape, x) if isinstance(x, np.nditer) else x


def has_rows(x: Any) -> bool:
    """Whether it is an array that hands out values."""
    return isinstance(x, np.ndarray) and x.ndim > 0 and is_value(x)


def entries(tape: Tape, x: Array, indices: Iterable[int]) -> Iterator[Any]:
    """These rows or numbers of an array, of what it stands for now, whatever names it is given meanwhile."""
    tape.node(x)
    return _entries(tape, x, indices, tape.seen[id(x)])


def _entries(tape: Tape, x: Array, indices: Iterable[int], begun: Entry) -> Iterator[Any]:
    for k in indices:
        one = x[k]
        if not tape.is_closed:
            now = tape.seen[id(x)]
            if now[3] is begun[3]:
                tape.seen[id(x)] = begun
            if isinstance(one, np.ndarray):
                tape.view(one, tape.buffers[id(owner_of(one))], NOWHERE, x)
            else:
                _picked(tape, x, k, one)
            tape.seen[id(x)] = now
        yield one


def visited(tape: Tape, x: Array, one: Any) -> None:
    """An entry was read as `np.nditer` hands it out: an array without axes that looks at the memory of another."""
    if not is_value(x) or not isinstance(one, np.ndarray) or one.ndim or one.dtype != x.dtype:
        return
    k, rest = divmod(_address(one) - _address(x), x.itemsize)
    if x.flags.c_contiguous and not rest and 0 <= k < x.size and not tape.is_closed:
        _picked(tape, x, k, one)


def _numbers(tape: Tape, x: np.flatiter[Any]) -> Iterator[Any]:
    for k, one in enumerate(x, x.index):
        _picked(tape, x.base, k, one)
        yield one


def _enumerated(tape: Tape, x: np.ndenumerate[Any]) -> Iterator[Any]:
    base: Array = x.iter.base  # type: ignore[attr-defined]  # the stub does not know it
    for k, (where, one) in enumerate(x):
        _picked(tape, base, k, one)
        yield where, one


def _visited(tape: Tape, x: np.nditer) -> Iterator[Any]:
    for found in x:
        for array, one in zip(x.operands, found if isinstance(found, tuple) else (found,), strict=True):
            visited(tape, array, one)
        yield found


def _picked(tape: Tape, x: Array, k: int, one: Any) -> None:
    if not tape.is_closed and is_value(x):
        tape.record("item", NOWHERE, one, [(x, _entry(k, x.size))])


def _entry(k: int, size: int) -> Callable[[Array], Array]:
    def pull(g: Array) -> Array:
        result = np.zeros((len(g), size), g.dtype)
        result[:, k] = g.reshape(-1)
        return result

    return pull


def _address(x: Array) -> int:
    address: int = x.__array_interface__["data"][0]
    return address
