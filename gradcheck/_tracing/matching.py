"""Finds out which derivative an array is: the same, transposed, reshaped, a part, a sum over executions or uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations
from typing import NamedTuple

import numpy as np

from gradcheck._common.arrays import Array
from gradcheck._common.clock import look
from gradcheck._tracing.adjoints import Adjoint
from gradcheck.report.evidence import Label

#: relative and absolute (in units of the loss) tolerance of a match
RELATIVE, ABSOLUTE = 1e-6, 1e-9
#: arrays that fall into more parts than this are not taken apart
MOST_PARTS = 8
#: values that are used more often are not looked for in sums over some of their uses
MOST_USES = 6


class Match(NamedTuple):
    """What an array is: `factor` times the derivative that `label` describes."""

    label: Label
    factor: float = 1.0
    #: a sum over some uses of a value, not all: on the way to a derivative, or short of one
    partial: bool = False
    #: several derivatives side by side
    parts: bool = False

    @property
    def exact(self) -> bool:
        """Whether it is a derivative itself: no multiple of one, and no part of a sum."""
        return self.factor == 1.0 and not self.partial


@dataclass(frozen=True)
class Series:
    """The derivatives of one expression, at each execution in the order of the forward."""

    label: Label
    values: tuple[Array, ...]
    #: sums over some uses of a value, not all
    partial: bool = False


class Library:
    """All derivatives, and what else may be recognised in the same way, ordered by size."""

    def __init__(self, adjoints: Sequence[Adjoint], scale: float) -> None:
        largest = max((float(np.max(np.abs(adjoint.value))) for adjoint in adjoints), default=1.0)
        self.absolute = ABSOLUTE * max(scale, 1e-2 * largest)
        self.series = [*_series(adjoints), *_series_of_uses(adjoints)]
        self._rows: dict[int, list[tuple[Array, Label, bool]]] = {}
        self._seen: dict[int, set[bytes]] = {}
        for series in sorted(self.series, key=lambda one: one.partial):
            self._add_series(series)
        self._add_uses(adjoints)
        self._matrices = {size: self._normalised([row for row, _, _ in rows]) for size, rows in self._rows.items()}

    def is_zero(self, value: Array) -> bool:
        """Whether an array is zero, so that it is no evidence of anything."""
        return float(np.max(np.abs(value), initial=0.0)) <= 10 * self.absolute

    def match_all(self, values: Sequence[Array]) -> list[Match | None]:
        """What each of these arrays is the derivative of; None if of nothing."""
        found: list[Match | None] = [None] * len(values)
        by_size: dict[int, list[tuple[int, Array]]] = {}
        for i, value in enumerate(values):
            queries = by_size.setdefault(value.size, [])
            queries.append((i, value.ravel()))
            if value.ndim >= 2 and min(value.shape) > 1:
                queries.append((i, value.T.ravel()))
        for size, queries in by_size.items():
            for (i, _), match in zip(queries, self._matched(size, [flat for _, flat in queries]), strict=True):
                current = found[i]
                if match is not None and (current is None or (current.factor != 1.0 and match.factor == 1.0)):
                    found[i] = match
        self._match_parts(values, found)
        return found

    def _match_parts(self, values: Sequence[Array], found: list[Match | None]) -> None:
        """Arrays whose equal parts along an axis are derivatives: gates side by side. First parts are tried first."""
        by_size: dict[int, list[tuple[int, int, int, Array]]] = {}
        for i, value in enumerate(values):
            current = found[i]
            if value.ndim < 2 or (current is not None and current.factor == 1.0):
                continue
            for axis, length in enumerate(value.shape):
                for count in range(2, min(length, MOST_PARTS) + 1):
                    size = value.size // count
                    if length % count == 0 and size >= 2 and size in self._matrices:
                        first = value[(slice(None),) * axis + (slice(0, length // count),)]
                        by_size.setdefault(size, []).append((i, axis, count, first))
        for size, queries in by_size.items():
            matches = self._matched(size, [first.ravel() for _, _, _, first in queries])
            for (i, axis, count, first), match in zip(queries, matches, strict=True):
                if (match is not None and match.factor == 1.0) or self.is_zero(first):
                    found[i] = self._in_parts(values[i], axis, count) or found[i]

    def equal(self, a: Array, b: Array) -> bool:
        """Whether two arrays are the same to within the tolerance."""
        return np.shape(a) == np.shape(b) and bool(
            np.max(np.abs(a - b), initial=0.0) <= self.absolute + RELATIVE * np.max(np.abs(b), initial=0.0)
        )

    def share(self, value: Array) -> float:
        """The largest part of an array's entries that stand as they do in one derivative; zeros are no evidence."""
        rows = self._rows.get(value.size)
        if not rows or not np.all(np.isfinite(value)):
            return 0.0
        flat, matrix = value.ravel(), self._matrices[value.size][0] * self._matrices[value.size][1][:, None]
        tolerance = self.absolute + RELATIVE * np.abs(matrix).max(axis=1, keepdims=True)
        equal = (np.abs(flat - matrix) <= tolerance) & (np.abs(matrix) > 10 * tolerance)
        return float(equal.sum(axis=1).max()) / value.size

    def _matched(self, size: int, flats: list[Array]) -> list[Match | None]:
        if size not in self._matrices:
            return [None] * len(flats)
        look()
        matrix, norms = self._matrices[size]
        stacked = np.array(flats)
        lengths = np.sqrt(np.einsum("ij,ij->i", stacked, stacked))
        usable = np.isfinite(lengths) & (np.abs(stacked).max(axis=1) > 10 * self.absolute)
        cosines = np.where(usable[:, None], stacked, 0.0) / np.where(usable, lengths, 1.0)[:, None] @ matrix.T
        if not np.any(np.abs(cosines) > 1 - 1e-8):
            return [None] * len(flats)
        result: list[Match | None] = [None] * len(flats)
        for i, j in np.argwhere(np.abs(cosines) > 1 - 1e-8).tolist():
            current = result[i]
            if current is not None and current.factor == 1.0:
                continue
            row, label, partial = self._rows[size][j]
            tolerance = self.absolute + RELATIVE * float(lengths[i])
            factor = float(np.sign(cosines[i, j]) * lengths[i] / norms[j])
            if np.max(np.abs(flats[i] - row)) <= tolerance:
                result[i] = Match(label, partial=partial)
            elif size > 1 and current is None and np.max(np.abs(flats[i] - factor * row)) <= tolerance:
                result[i] = Match(label, factor)
        return result

    def _in_parts(self, value: Array, axis: int, count: int) -> Match | None:
        """The match of an array cut into this many parts, if all of them that are not zero are derivatives."""
        parts = [part for part in np.split(value, count, axis) if not self.is_zero(part)]
        matches = self._matched(value.size // count, [part.ravel() for part in parts]) if parts else []
        if not matches or any(match is None or match.factor != 1.0 for match in matches):
            return None
        found = [match for match in matches if match is not None]
        label = reduce(Label.beside, (match.label for match in found))
        return Match(label, 1.0, any(match.partial for match in found), parts=True)

    def _add_series(self, series: Series) -> None:
        values, label = series.values, series.label
        count = len(values)
        for t, value in enumerate(values):
            at = Label.at_execution(label.expression, t + 1, count) if count > 1 else label
            self._add(value, replace(at, detail=label.detail), partial=series.partial)
            for axis in range(value.ndim):
                for parts in {2, 3, 4, value.shape[axis] if axis == 0 else 1} - {1}:
                    if value.ndim >= 2 and value.shape[axis] % parts == 0 and value.size // parts >= 2:
                        for j, part in enumerate(np.split(value, parts, axis)):
                            row = axis == 0 and parts == len(value)
                            self._add(part, label.with_detail(f"row {j}" if row else f"part {j + 1} of {parts}"))
        if count > 1 and len({value.shape for value in values}) == 1:
            self._add(np.stack(values), label.with_detail("all executions"))
            self._add(np.stack(values[::-1]), label.with_detail("all executions, last first"))
            for which, ordered in (("last", values[::-1]), ("first", values)):
                total = values[0] * 0.0
                for k, value in enumerate(ordered):
                    total = total + value
                    if k:
                        self._add(total, replace(label, sum_of=f"the sum of the {which} {k + 1} of {count}"))

    def _add_uses(self, adjoints: Sequence[Adjoint]) -> None:
        """Sums over some of the uses of one value."""
        for same in _uses(adjoints):
            for count in range(2, len(same) + 1 if len(same) <= MOST_USES else 2):
                for some in combinations(same, count):
                    total = sum((adjoint.value for adjoint in some[1:]), some[0].value)
                    self._add(total, _through(some), partial=len(some) < len(same))

    def _add(self, value: Array, label: Label, *, partial: bool = False) -> None:
        if self.is_zero(value):
            return
        flat = np.asarray(value, dtype=float).ravel()
        key = np.round(flat / np.max(np.abs(flat)), 7).tobytes() + np.round(np.log(np.max(np.abs(flat))), 6).tobytes()
        seen = self._seen.setdefault(flat.size, set())
        if key not in seen:
            seen.add(key)
            self._rows.setdefault(flat.size, []).append((flat, label, partial))

    @staticmethod
    def _normalised(rows: list[Array]) -> tuple[Array, Array]:
        matrix = np.array(rows)
        norms = np.linalg.norm(matrix, axis=1)
        return matrix / norms[:, None], norms


def _series(adjoints: Sequence[Adjoint]) -> list[Series]:
    """By site, in the order of the forward; executions without a derivative are zero."""
    by_site: dict[int, list[Adjoint]] = {}
    for adjoint in adjoints:
        if adjoint.site.is_negation:
            continue  # whatever has the wrong sign would be right as the derivative of this
        by_site.setdefault(adjoint.site.number, []).append(adjoint)
    result = []
    # names first: of equal derivatives the one that is best said is kept
    rank = {"bind": 0, "after": 1, "load": 3, "value": 2}
    order = sorted(by_site.values(), key=lambda same: (len(same), rank.get(same[0].site.kind, 9), -same[0].site.number))
    for same in order:
        same = sorted(same, key=lambda adjoint: adjoint.execution)
        shape = same[-1].value.shape
        if any(adjoint.value.shape != shape for adjoint in same):
            values = tuple(adjoint.value for adjoint in same)
        else:
            known = {adjoint.execution: adjoint.value for adjoint in same}
            values = tuple(known.get(t, np.zeros(shape)) for t in range(same[-1].execution + 1))
        result.append(Series(Label(_name(same[0])), values))
    return result


def _uses(adjoints: Sequence[Adjoint]) -> list[list[Adjoint]]:
    """The readings of each value that is read at least twice, in the order of execution."""
    uses: dict[int, list[Adjoint]] = {}
    for adjoint in sorted(adjoints, key=lambda adjoint: adjoint.order):
        if adjoint.site.kind == "load":
            uses.setdefault(adjoint.identity, []).append(adjoint)
    return [same for same in uses.values() if len(same) >= 2 and len({one.value.shape for one in same}) == 1]


def _series_of_uses(adjoints: Sequence[Adjoint]) -> list[Series]:
    """Sums over consecutive uses of a value, as of a state in the step after it."""
    found: dict[tuple[int, ...], list[Array]] = {}
    labels: dict[tuple[int, ...], Label] = {}
    partial: dict[tuple[int, ...], bool] = {}
    for same in _uses(adjoints):
        if len(same) > 2 * MOST_USES:
            continue
        for first, last in combinations(range(len(same) + 1), 2):
            some = same[first:last]
            if len(some) >= 2:
                key = tuple(adjoint.site.number for adjoint in some)
                found.setdefault(key, []).append(sum((adjoint.value for adjoint in some[1:]), some[0].value))
                labels[key] = _through(some)
                partial[key] = partial.get(key, False) or len(some) < len(same)
    return [Series(labels[key], tuple(values), partial[key]) for key, values in found.items()]


def _through(some: Sequence[Adjoint]) -> Label:
    """The derivative of a value through some of its uses."""
    return Label(some[0].site.text, detail=f"through {len(some)} of its uses")


def _name(adjoint: Adjoint) -> str:
    """The name that a statement gives the value, if it gives one; else the expression."""
    return adjoint.name or adjoint.site.text
