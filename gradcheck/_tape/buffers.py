"""The memory behind arrays: which version of it a view sees, and which part.

A `Buffer` is the memory of one array that owns it, in memory order. Its state is the node of its present contents; a
write makes a new one. A view finds its entries by `Geometry`, so it does not matter where the view was kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck._tape.nodes import Array, Cell, Node


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the entries of an array lie in its buffer; offset and strides count entries."""

    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def view(self, flat: Array) -> Array:
        """These entries of (m, n), as (m, *shape), in the same memory; `flat` is contiguous and float64."""
        m, n = flat.shape
        strides = (8 * n, *(8 * one for one in self.strides))
        return np.ndarray((m, *self.shape), np.float64, flat, 8 * self.offset, strides)

    def positions(self) -> Array:
        """The position of each entry."""
        result = np.full(self.shape, self.offset)
        for axis, (length, stride) in enumerate(zip(self.shape, self.strides, strict=True)):
            shape = [1] * len(self.shape)
            shape[axis] = length
            result += (np.arange(length) * stride).reshape(shape)
        return result

    @property
    def is_injective(self) -> bool:
        """Whether no two entries share a position (where it is easily told; False is safe)."""
        reach = 1
        for stride, length in sorted((abs(s), n) for s, n in zip(self.strides, self.shape, strict=True) if n > 1):
            if stride < reach:
                return False
            reach += stride * (length - 1)
        return True

    @property
    def span(self) -> tuple[int, int]:
        """The first position and the one after the last."""
        reach = [stride * (length - 1) for stride, length in zip(self.strides, self.shape, strict=True)]
        low = self.offset + sum(one for one in reach if one < 0)
        return low, self.offset + sum(one for one in reach if one > 0) + 1

    def gathered(self, flat: Array) -> Array:
        """These entries of (m, n)."""
        return self.view(np.ascontiguousarray(flat, np.float64))

    def scattered(self, g: Array, n: int) -> Array:
        """(m, n) that is zero except for these entries, to which g (m, *shape) is added."""
        if self.is_injective:
            result = np.zeros((len(g), n))
            self.view(result)[...] = g
            return result
        return scattered(g.reshape(len(g), -1), self.positions().ravel(), n)


def scattered(g: Array, positions: Array, n: int) -> Array:
    """(m, n): each column of g (m, k) added at its position."""
    m = len(g)
    where = (np.arange(m)[:, None] * n + positions).ravel()
    return np.bincount(where, np.asarray(g, np.float64).ravel(), m * n).reshape(m, n)


@dataclass(eq=False, slots=True)
class Buffer:
    """The memory of one owner. `extent` is the number of entries, `start` its address."""

    owner: Array
    start: int
    extent: int
    #: the node of what it holds now: of the owner's shape if that is in C order, else (extent,)
    state: Node | None = None
    #: the first node; its label is that of the array
    root: Node | None = None
    label: str | None = None
    #: what was taken out of it by reference, and where it lies
    held: list[tuple[int, int, Cell]] = field(default_factory=list)

    def geometry(self, x: Array) -> Geometry | None:
        """Where the entries of a view lie; None if it sees the memory as another type."""
        item = self.owner.itemsize
        if x.dtype != self.owner.dtype:
            return None
        offset = (x.__array_interface__["data"][0] - self.start) // item
        return Geometry(offset, x.shape, tuple(stride // item for stride in x.strides))

    def is_whole(self, x: Array) -> bool:
        """Whether it is all of the memory in C order."""
        return x.size == self.extent and x.flags.c_contiguous and x.dtype == self.owner.dtype

    def hold(self, x: Array, cell: Cell) -> None:
        """The cell refers to a view; before that part is written, it gets a copy."""
        geometry = self.geometry(x)
        self.held.append((*(geometry.span if geometry else (0, self.extent)), cell))

    def protect(self, low: int, high: int) -> int:
        """Give copies to the cells that look at this part, which is about to be written; the bytes that takes."""
        kept, taken = [], 0
        for entry in self.held:
            if entry[0] < high and low < entry[1]:
                entry[2].value = np.array(entry[2].value)
                taken += entry[2].value.nbytes
            else:
                kept.append(entry)
        self.held = kept
        return taken


def owner_of(x: Array) -> Array:
    """The array whose memory it is."""
    while True:
        base: Any = x.base
        if isinstance(base, np.ndarray):
            x = base
        elif base is not None and isinstance(getattr(base, "base", None), np.ndarray):
            x = base.base  # numpy.lib.stride_tricks puts a dummy in between
        else:
            return x


def new_buffer(owner: Array) -> Buffer:
    """The buffer of an owner, whose state is not known yet."""
    address, low, high = owner.__array_interface__["data"][0], 0, owner.itemsize
    for length, stride in zip(owner.shape, owner.strides, strict=True):
        low, high = min(low, low + stride * (length - 1)), max(high, high + stride * (length - 1))
    return Buffer(owner, address + low, (high - low) // owner.itemsize)
