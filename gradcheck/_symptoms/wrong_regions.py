"""Which entries of a gradient are wrong, in words: single ones, rows, columns, gates, rows of repeated tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gradcheck._common.arrays import Array
from gradcheck._symptoms.patterns import MOST_PARTS, factor

#: so many wrong entries are entries, and not a pattern; so many of them are named
MOST_ENTRIES, NAMED = 16, 8
#: neighbours of a 1-d block are a range from this many on
RANGE = 3
#: the part of a slice that has to be wrong: some of its entries may be right by chance, at zero
FILLED = 0.9


@dataclass(frozen=True)
class GradientContext:
    """What stands around a block: the shapes of all blocks, the names of the gates, the arrays that are no blocks."""

    shapes: Mapping[str, tuple[int, ...]]
    gates: Sequence[str] = ()
    inputs: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class WrongRegion:
    """Where a gradient is wrong that is right elsewhere; `kind` is that of the finding.

    `last` is the length of an axis along which it is right at the last index alone; 0 if there is none.
    """

    kind: str
    words: str
    last: int = 0


def describe_region(off: Array, analytic: Array, true: Array | None, setting: GradientContext) -> WrongRegion | None:
    """The wrong entries in words; None if they are all of those that tell something, or scattered.

    Args:
        off: Which of its entries are wrong.
        analytic: Its gradient as the user's code gives it: where it is right and zero, it tells nothing.
        true: Its true gradient, if it is known.
        setting: What stands around it.
    """
    telling = off | (analytic != 0)
    if not off.any() or np.array_equal(off, telling):
        return None
    found = _slices(off, telling, setting) or _entries(off, telling)
    return found and replace(found, words=found.words + _describe_ratio(off, analytic, true))


def describe_indices(indices: Sequence[int], length: int, setting: GradientContext) -> str:
    """Indices of a vector: entries 4..7 of 16 (gate f, 2 of 4)."""
    some = np.array(indices)
    return _Axis(0, (length,), some, some, setting).describe_axis(some)


def _slices(off: Array, telling: Array, setting: GradientContext) -> WrongRegion | None:
    """Whole rows, columns or slices of any axis; None where the wrong entries do not fill them."""
    axes = [_Axis(axis, off.shape, _along(off, axis), _along(telling, axis), setting) for axis in range(off.ndim)]
    box = np.zeros_like(off)
    box[np.ix_(*(axis.wrong for axis in axes))] = True
    inside, count = np.count_nonzero(box & telling), np.count_nonzero(off)
    filled = count >= FILLED * inside
    bounded = [axis for axis in axes if len(axis.wrong) < len(axis.told) and len(_runs(axis.wrong)) <= NAMED]
    if not bounded or (count <= MOST_ENTRIES and not (filled and _whole(axes))):
        return None
    if len(bounded) == 1 and filled:
        steps, last = bounded[0].last
        if steps or bounded[0].mostly_wrong:
            return WrongRegion(
                "partly", f"wrong everywhere but at {bounded[0].describe_axis(bounded[0].right)}{last}", steps
            )
    within = "" if filled else f", in {count} of {inside} entries there"
    kind = "repeated" if any(axis.repeated for axis in bounded) else "partly"
    return WrongRegion(kind, f"right but at {', '.join(axis.describe() for axis in bounded)}{within}")


def _along(mask: Array, axis: int) -> Array:
    return np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))


def _whole(axes: list[_Axis]) -> bool:
    """Whether few wrong entries are more than that: all of a slice, or several side by side."""
    if any(1 < len(axis.wrong) == len(axis.told) for axis in axes):
        return True
    return any(len(axis.wrong) > 1 and (axis.part_name(axis.wrong) or _side_by_side(axis.wrong)) for axis in axes)


def _side_by_side(indices: Array) -> bool:
    return len(indices) >= RANGE and len(_runs(indices)) == 1


def _runs(indices: Array) -> list[Array]:
    """The indices in pieces without gaps."""
    return np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1)


@dataclass(frozen=True)
class _Axis:
    """One axis of a block: the indices where something is wrong, and those where the gradient tells something."""

    axis: int
    shape: tuple[int, ...]
    wrong: Array
    told: Array
    setting: GradientContext

    @property
    def length(self) -> int:
        return self.shape[self.axis]

    @property
    def right(self) -> Array:
        return np.setdiff1d(self.told, self.wrong)

    @property
    def last(self) -> tuple[int, str]:
        """How many time steps there may be, if it is right at the last alone, and what says so; 0 if it is not."""
        right = self.right.tolist()
        if len(self.shape) > 2 and self.axis < 2 and right == [self.length - 1]:
            return self.length, ", the last"
        for name, array in self._indices():
            at_last = np.setdiff1d(array[-1], array[:-1])
            if len(array) > 1 and right == at_last.tolist() and np.all(np.isin(self.wrong, array)):
                return len(array), f", which {name} holds at its last index alone"
        return 0, ""

    @property
    def mostly_wrong(self) -> bool:
        """Whether the right indices are quicker said than the wrong ones."""
        return 2 * len(self.wrong) > len(self.told) and len(_runs(self.right)) <= NAMED and not self.repeated

    def describe(self) -> str:
        return self.describe_axis(self.wrong) + self.repeated

    def describe_axis(self, indices: Array) -> str:
        """Columns 4..7 of 16 (part 2 of 4)."""
        listed = ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in _runs(indices))
        if len(self.shape) > 2:
            return f"[{listed}] of {self.length} along axis {self.axis}{self.part_name(indices)}"
        one, several = ("row", "rows") if self.axis == 0 else ("column", "columns")
        if len(self.shape) == 1:
            one, several = "entry", "entries"
        return f"{one if len(indices) == 1 else several} {listed} of {self.length}{self.part_name(indices)}"

    def part_name(self, indices: Array) -> str:
        """The part of at most `MOST_PARTS` equal ones, or the parts, that the indices are; empty if they are none."""
        mask = np.zeros(self.length, dtype=bool)
        mask[indices] = True
        for count in range(2, MOST_PARTS + 1):
            if self.length % count:
                continue
            width = self.length // count
            pieces = mask.reshape(count, width)
            gates = self._recurrent(width) if count > 2 else 0
            if width + gates > 1 and np.array_equal(pieces.all(axis=1), pieces.any(axis=1)):
                return f" ({self._as_gates(np.flatnonzero(pieces[:, 0]), count, gates)})"
        return ""

    def _as_gates(self, which: Array, count: int, gates: int) -> str:
        """Gates where just one weight looks recurrent; where more do, one of them may be no weight of gates."""
        numbers = _joined(str(i + 1) for i in which)
        several = "s" if len(which) > 1 else ""
        names = self.setting.gates if len(self.setting.gates) == count else ()
        called = _joined(names[i] for i in which) if names else ""
        if gates == 1:
            return f"gate{several} {called}, {numbers} of {count}" if names else f"gate{several} {numbers} of {count}"
        return f"part{several} {numbers} of {count}" + (f": {called}, if these are gates" if gates and names else "")

    def _recurrent(self, width: int) -> int:
        """How many weights lead from as many hidden units as a part has to all parts."""
        return sum(sorted(shape) == [width, self.length] for shape in self.setting.shapes.values())

    @property
    def repeated(self) -> str:
        """Whether the wrong indices are just those that an array of integers holds more than once."""
        for name, array in self._indices():
            values, counts = np.unique(array, return_counts=True)
            once = values[counts == 1]
            if len(once) and np.array_equal(values[counts > 1], self.wrong) and np.all(np.isin(once, self.right)):
                return f", which {name} holds more than once (what it holds once is right: = where += should be?)"
        return ""

    def _indices(self) -> Iterator[tuple[str, Array]]:
        """The arrays of integers that may be indices of this axis."""
        for name, array in self.setting.inputs.items():
            if (
                array.ndim
                and array.size
                and array.dtype.kind in "iu"
                and array.min() >= 0
                and array.max() < self.length
            ):
                yield name, array


def _joined(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _entries(off: Array, telling: Array) -> WrongRegion | None:
    """Single entries, with the first of their indices; None if most are wrong."""
    count = int(np.count_nonzero(off))
    if 2 * count > np.count_nonzero(telling):
        return None
    named = ", ".join(str([int(i) for i in index]) for index in np.argwhere(off)[:NAMED])
    more = f" and {count - NAMED} others" if count > NAMED else ""
    return WrongRegion("entries", f"right but at {count} of {off.size} entries: {named}{more}")


def _describe_ratio(off: Array, analytic: Array, true: Array | None) -> str:
    """What the wrong part is of the true one: zero, or a multiple; empty where it is neither, or a single number."""
    if true is None or np.count_nonzero(off) < 2:
        return ""
    if not np.any(analytic[off]):
        return "; there it is zero"
    k = factor(analytic[off], true[off])
    if k is None or math.isclose(k, 1.0, rel_tol=1e-5):
        return ""
    return (
        "; there it has the wrong sign"
        if math.isclose(k, -1.0, rel_tol=1e-5)
        else f"; there it is {k:.6g} times the true one"
    )
