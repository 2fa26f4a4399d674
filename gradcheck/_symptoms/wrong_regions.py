"""Which entries of a gradient are wrong: single ones, rows, columns, gates, rows of repeated tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gradcheck._common.arrays import Array
from gradcheck._symptoms.patterns import MOST_PARTS, multiple
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import AxisPart, IndexRange, Symptom, WrongRegion

#: so many wrong entries are entries, and not a pattern
MOST_ENTRIES = 16
#: entries, or runs of indices, that are named: a reader looks at no more
NAMED = 8
#: neighbours of a 1-d gradient are a range from this many on
RANGE = 3
#: the part of a slice that has to be wrong: some of its entries may be right by chance, at zero
FILLED = 0.9


@dataclass(frozen=True)
class GradientContext:
    """What stands around a gradient: the shapes of all, the names of the gates, the arrays that have no gradient."""

    shapes: Mapping[str, tuple[int, ...]]
    gates: Sequence[str] = ()
    inputs: Mapping[str, Array] = field(default_factory=dict)


def find_region(off: Array, analytic: Array, true: Array | None, setting: GradientContext) -> Symptom | None:
    """Where a gradient is wrong that is right elsewhere; None if it is right nowhere, or at scattered entries.

    Args:
        off: Which of its entries are wrong.
        analytic: Its gradient as the user's code gives it: where it is right and zero, it tells nothing.
        true: Its true gradient, if it is known.
        setting: What stands around it.
    """
    informative = off | (analytic != 0)
    if not off.any() or np.array_equal(off, informative):
        return None
    region = _slices(off, informative, setting) or _entries(off, informative)
    if region is None:
        return None
    code = FindingCode.WRONG_ENTRIES if region.entries else FindingCode.WRONG_IN_PART
    code = FindingCode.REPEATED_INDEX if any(part.repeated_in for part in region.slices) else code
    return Symptom(code, (replace(region, factor=_ratio(off, analytic, true)),))


def index_range(indices: Sequence[int], length: int, setting: GradientContext) -> IndexRange:
    """Indices of a vector, and what part of it they are."""
    some = np.array(indices)
    return _Axis(0, (length,), some, some, setting).range_of(some)


def _slices(off: Array, informative: Array, setting: GradientContext) -> WrongRegion | None:
    """Whole rows, columns or slices of any axis; None where the wrong entries do not fill them."""
    axes = [_Axis(axis, off.shape, _along(off, axis), _along(informative, axis), setting) for axis in range(off.ndim)]
    box = np.zeros_like(off)
    box[np.ix_(*(axis.wrong for axis in axes))] = True
    inside, count = int(np.count_nonzero(box & informative)), int(np.count_nonzero(off))
    filled = count >= FILLED * inside
    bounded = [axis for axis in axes if len(axis.wrong) < len(axis.informative) and len(_runs(axis.wrong)) <= NAMED]
    if not bounded or (count <= MOST_ENTRIES and not (filled and _whole(axes))):
        return None
    if len(bounded) == 1 and filled and (bounded[0].right_range.last_of or bounded[0].mostly_wrong):
        return WrongRegion((bounded[0].right_range,), is_right=True)
    slices = tuple(axis.wrong_range for axis in bounded)
    return WrongRegion(slices) if filled else WrongRegion(slices, wrong=count, size=inside)


def _along(mask: Array, axis: int) -> Array:
    return np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))


def _whole(axes: list[_Axis]) -> bool:
    """Whether few wrong entries are more than that: all of a slice, or several side by side."""
    if any(1 < len(axis.wrong) == len(axis.informative) for axis in axes):
        return True
    return any(len(axis.wrong) > 1 and (axis.part_of(axis.wrong) or _side_by_side(axis.wrong)) for axis in axes)


def _side_by_side(indices: Array) -> bool:
    return len(indices) >= RANGE and len(_runs(indices)) == 1


def _runs(indices: Array) -> list[Array]:
    """The indices in pieces without gaps."""
    return np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1)


@dataclass(frozen=True)
class _Axis:
    """One axis of a gradient: the indices where something is wrong, and those where the gradient tells something."""

    axis: int
    shape: tuple[int, ...]
    wrong: Array
    informative: Array
    setting: GradientContext

    @property
    def length(self) -> int:
        return self.shape[self.axis]

    @property
    def right(self) -> Array:
        return np.setdiff1d(self.informative, self.wrong)

    @property
    def wrong_range(self) -> IndexRange:
        """The wrong indices, and whether they are just those that an array of integers holds more than once."""
        return replace(self.range_of(self.wrong), repeated_in=self._repeated_in())

    @property
    def right_range(self) -> IndexRange:
        """The right indices, and what says that they are the last time step, if something does."""
        last_in, last_of = self._last()
        return replace(self.range_of(self.right), last_in=last_in, last_of=last_of)

    @property
    def mostly_wrong(self) -> bool:
        """Whether the right indices are quicker said than the wrong ones."""
        few = 2 * len(self.wrong) > len(self.informative) and len(_runs(self.right)) <= NAMED
        return few and not self._repeated_in()

    def range_of(self, indices: Array) -> IndexRange:
        """These indices, and what part of the axis they are."""
        runs = tuple((int(run[0]), int(run[-1])) for run in _runs(indices))
        return IndexRange(self.axis, len(self.shape), self.length, runs, self.part_of(indices))

    def part_of(self, indices: Array) -> AxisPart | None:
        """The part of at most `MOST_PARTS` equal ones, or the parts, that the indices are."""
        mask = np.zeros(self.length, dtype=bool)
        mask[indices] = True
        for count in range(2, MOST_PARTS + 1):
            if self.length % count:
                continue
            width = self.length // count
            pieces = mask.reshape(count, width)
            gates = self._recurrent(width) if count > 2 else 0
            if width + gates > 1 and np.array_equal(pieces.all(axis=1), pieces.any(axis=1)):
                return self._as_gates(np.flatnonzero(pieces[:, 0]).tolist(), count, gates)
        return None

    def _as_gates(self, which: list[int], count: int, gates: int) -> AxisPart:
        """Gates where just one weight looks recurrent; where more do, one of them may be no weight of gates."""
        names = self.setting.gates if gates and len(self.setting.gates) == count else ()
        named = tuple(names[i] for i in which) if names else ()
        return AxisPart(tuple(i + 1 for i in which), count, named, are_gates=gates == 1)

    def _recurrent(self, width: int) -> int:
        """How many weights lead from as many hidden units as a part has to all parts."""
        return sum(sorted(shape) == [width, self.length] for shape in self.setting.shapes.values())

    def _last(self) -> tuple[str, int]:
        """How many time steps there may be, if it is right at the last alone, and the array that says so, if one does.

        No steps if it is not.
        """
        right = self.right.tolist()
        if len(self.shape) > 2 and self.axis < 2 and right == [self.length - 1]:
            return "", self.length
        for name, array in self._indices():
            at_last = np.setdiff1d(array[-1], array[:-1])
            if len(array) > 1 and right == at_last.tolist() and np.all(np.isin(self.wrong, array)):
                return name, len(array)
        return "", 0

    def _repeated_in(self) -> str:
        """The array of integers that holds just the wrong indices more than once; empty if there is none."""
        for name, array in self._indices():
            values, counts = np.unique(array, return_counts=True)
            once = values[counts == 1]
            if len(once) and np.array_equal(values[counts > 1], self.wrong) and np.all(np.isin(once, self.right)):
                return name
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


def _entries(off: Array, informative: Array) -> WrongRegion | None:
    """Single entries, with the first of their indices; None if most are wrong."""
    count = int(np.count_nonzero(off))
    if 2 * count > np.count_nonzero(informative):
        return None
    first = tuple(tuple(int(i) for i in index) for index in np.argwhere(off)[:NAMED])
    return WrongRegion(entries=first, wrong=count, size=int(off.size))


def _ratio(off: Array, analytic: Array, true: Array | None) -> float | None:
    """What the wrong part is of the true one: zero, or a multiple; None where it is neither, or a single number."""
    if true is None or np.count_nonzero(off) < 2:
        return None
    if not np.any(analytic[off]):
        return 0.0
    k = multiple(analytic[off], true[off])
    return None if k == 1.0 else k
