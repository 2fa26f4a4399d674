"""The memory behind arrays: which version of it a view sees, and which part.

A `Buffer` is the memory of one array that owns it, in memory order. Its state is the node of its present contents; a
write makes a new one. A view finds its entries by `Geometry`, so it does not matter where the view was kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from gradcheck._tape.nodes import Array, Cell, Node

#: entries from which on it is noted how far a buffer is used
LONG = 4096


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the entries of an array lie in its buffer, of complex ones both parts; offset and strides count entries."""

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
        low = high = self.offset
        for stride, length in zip(self.strides, self.shape, strict=True):
            if stride < 0:
                low += stride * (length - 1)
            else:
                high += stride * (length - 1)
        return low, high + 1

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


#: where an array is written: the entries of a view, or positions in the buffer
Region: TypeAlias = Geometry | Array


def end_of(region: Region) -> int:
    """The position behind its last."""
    return region.span[1] if isinstance(region, Geometry) else int(np.max(region, initial=-1)) + 1


def scattered(g: Array, positions: Array, n: int) -> Array:
    """(m, n): each column of g (m, k) added at its position."""
    if g.dtype.kind == "c":
        result: Array = scattered(g.real, positions, n) + 1j * scattered(g.imag, positions, n)
        return result
    m = len(g)
    where = (np.arange(m)[:, None] * n + positions).ravel()
    return np.bincount(where, np.asarray(g, np.float64).ravel(), m * n).reshape(m, n)


def part_type(x: Array) -> np.dtype[Any]:
    """The type of the entries; of complex ones that of their parts."""
    return x.real.dtype if x.dtype.kind == "c" else x.dtype


@dataclass(slots=True)
class Kept:
    """How many entries of a buffer, from its first, have derivatives: all, until `leave_out_unused` lets go of some."""

    size: int


class Buffer:
    """The memory of one owner. `extent` is the number of entries; a complex number is two of them."""

    __slots__ = ("_start", "extent", "held", "is_plain", "item", "kept", "label", "owner", "root", "state", "type")

    def __init__(self, owner: Array) -> None:
        self.owner = owner
        #: the type of an entry, and its bytes
        self.type = part_type(owner)
        self.item = self.type.itemsize
        #: whether the owner has its entries in C order
        self.is_plain = owner.flags.c_contiguous
        self._start: int | None = None
        #: what it holds now: of the owner's shape if that is in C order, else (extent,)
        self.state: Node | None = None
        #: the first node; the label is that of the array
        self.root: Node | None = None
        self.label: str | None = None
        #: cells with what was taken out of it by reference
        self.held: list[Cell] = []
        self.extent = owner.nbytes // self.item if self.is_plain else self._span()[1]
        self.kept = Kept(self.extent)

    def _span(self) -> tuple[int, int]:
        """The address of the lowest entry, and the number of entries up to the highest."""
        low, high = 0, self.owner.itemsize
        for length, stride in zip(self.owner.shape, self.owner.strides, strict=True):
            low, high = min(low, low + stride * (length - 1)), max(high, high + stride * (length - 1))
        return self.owner.__array_interface__["data"][0] + low, (high - low) // self.item

    @property
    def is_long(self) -> bool:
        """Whether it may be far longer than what is used of it."""
        return self.extent >= LONG

    @property
    def start(self) -> int:
        """The address of the lowest entry."""
        if self._start is None:
            self._start = self._span()[0]
        return self._start

    def geometry(self, x: Array) -> Geometry | None:
        """Where the entries of a view lie; None if it sees the memory as another type."""
        if x.dtype != self.owner.dtype and part_type(x) != self.type:
            return None
        item, shape = self.item, x.shape
        strides = tuple([stride // item for stride in x.strides])
        if x.dtype.kind == "c":
            shape, strides = (*shape, 2), (*strides, 1)
        if x is self.owner and self.is_plain:
            return Geometry(0, shape, strides)
        offset = (x.__array_interface__["data"][0] - self.start) // item
        return Geometry(offset, shape, strides)

    def is_whole(self, x: Array) -> bool:
        """Whether it is all of the memory in C order."""
        if x.dtype != self.owner.dtype and part_type(x) != self.type:
            return False
        return x.nbytes == self.extent * self.item and x.flags.c_contiguous

    def protect(self, low: int, high: int) -> int:
        """Give copies to the cells that look at this part, which is about to be written; the bytes that takes."""
        kept, taken = [], 0
        for cell in self.held:
            geometry = self.geometry(cell.value)
            first, end = (0, self.extent) if geometry is None else geometry.span
            if first < high and low < end:
                cell.value = cell.value.copy()
                taken += cell.value.nbytes
            else:
                kept.append(cell)
        self.held = kept
        return taken
