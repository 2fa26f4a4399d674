"""Where in a gradient: the wrong entries of many, found by splitting.

Splitting is group testing with disjoint supports: a part of the entries is moved along one direction, and split in two
for as long as gradient and slope disagree along it by more than the error bar. k wrong entries of n take about
2 k log2(n / k) derivatives. Where more than a few are wrong, whole slices of each axis are split in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from gradcheck._common.arrays import Array
from gradcheck._common.verdict import BEYOND_DOUBT
from gradcheck.report.records import Worst

#: so many wrong entries, or wrong slices of one axis, are found one by one
MAX_SINGLES = 16
#: the worst of many entries is looked for in this many parts at a time
BEAM = 2
#: equal parts of an axis whose ends are tried first: gates side by side
GATE_COUNTS = (4, 3, 2, 1)

#: analytic minus numerical along a direction over one parameter, and the bar that tells whether it means anything
Probe: TypeAlias = Callable[[Array], tuple[float, float]]
Span: TypeAlias = tuple[int, int]
#: how far the gradients of a span are apart, in error bars
Ratio: TypeAlias = Callable[[Span], float]


@dataclass(frozen=True)
class WrongEntries:
    """The entries of a gradient that are wrong, or the smallest box found that holds them; and one of the worst."""

    mask: Array
    worst: Worst


def find_wrong(probe: Probe, gradient: Array, rng: np.random.Generator) -> WrongEntries:
    """The wrong entries of a gradient too large to difference whole, if they are few; else the slices they are in."""
    search = _Search(probe, gradient, rng)
    spans = split_failing(search.flat, [(0, gradient.size)])
    off = np.zeros(gradient.shape, dtype=bool)
    if len(spans) <= MAX_SINGLES:
        off.flat[[first for first, _ in spans]] = True
        return WrongEntries(off, search.worst(spans or [(0, gradient.size)]))
    off[np.ix_(*(search.indices(axis) for axis in range(gradient.ndim)))] = True
    return WrongEntries(off, search.worst(spans))


def split_failing(ratio: Ratio, spans: list[Span]) -> list[Span]:
    """The failing spans of length one; or, as soon as there are more than `MAX_SINGLES`, failing ones of any length."""
    while any(stop - start > 1 for start, stop in spans):
        spans = [half for span in spans for half in _halves(ratio, span)]
        if len(spans) > MAX_SINGLES:
            return spans
    return [span for span in spans if ratio(span) > BEYOND_DOUBT]


def _halves(ratio: Ratio, span: Span) -> list[Span]:
    """The halves of a failing span that fail; where the first does not, the second must."""
    start, stop = span
    if stop - start == 1:
        return [span]
    middle = (start + stop) // 2
    first, second = (start, middle), (middle, stop)
    if ratio(first) <= 1.0:
        return [second]
    return [first, second] if ratio(second) > 1.0 else [first]


def narrow_to_failing(ratio: Ratio, span: Span) -> list[Span]:
    """From the first failing index of a span to the last; none if nothing in it fails."""
    start, stop = span
    if not ratio((start, start + 1)) > BEYOND_DOUBT:
        if not ratio(span) > BEYOND_DOUBT:
            return []
        start = _first(lambda end: ratio((start, end)) > BEYOND_DOUBT, start + 1, stop) - 1
    if not ratio((stop - 1, stop)) > BEYOND_DOUBT:
        top = stop
        stop = top - _first(lambda length: ratio((top - length, top)) > BEYOND_DOUBT, 1, top - start) + 1
    return [(start, stop)]


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The smallest number above `low` for which something holds that holds for `high`, and for all from there on."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


class _Search:
    """Probes spans of one gradient, each once. No sign or size of an error can hide it: no two entries move alike."""

    def __init__(self, probe: Probe, gradient: Array, rng: np.random.Generator) -> None:
        self.probe = probe
        self.gradient = gradient
        self.direction = rng.choice([-1.0, 1.0], gradient.shape) * rng.uniform(0.5, 1.5, gradient.shape)
        self.known: dict[tuple[int | None, Span], tuple[float, float]] = {}

    def flat(self, span: Span) -> float:
        """The ratio over a span of flat indices."""
        return self._ratio(None, span)

    def indices(self, axis: int) -> Array:
        """The indices along an axis outside of which nothing is wrong."""
        length = self.gradient.shape[axis]
        width = next(length // parts for parts in GATE_COUNTS if length % parts == 0)

        def ratio(span: Span) -> float:
            return self._ratio(axis, span)

        spans = [
            found
            for start in range(0, length, width)
            for found in narrow_to_failing(ratio, (start, min(start + width, length)))
        ]
        if sum(stop - start for start, stop in spans) < length:
            single = split_failing(ratio, spans)
            spans = single if 0 < len(single) <= MAX_SINGLES else spans
        return np.concatenate([np.arange(*span) for span in spans or [(0, length)]])

    def worst(self, spans: list[Span]) -> Worst:
        """One of the worst entries of these spans: those are followed that are farthest apart along the direction."""
        while any(stop - start > 1 for start, stop in spans):
            spans = sorted(spans, key=self._apart, reverse=True)[:BEAM]
            halves = [((start, (start + stop) // 2), ((start + stop) // 2, stop)) for start, stop in spans]
            spans = [half for pair in halves for half in pair if half[0] < half[1]]
        worst = max(spans, key=self._apart)
        index = tuple(int(i) for i in np.unravel_index(worst[0], self.gradient.shape))
        analytic = float(self.gradient[index])
        return Worst(index, analytic, analytic - self._probe_once(None, worst)[0])

    def _apart(self, span: Span) -> float:
        return abs(self._probe_once(None, span)[0])

    def _ratio(self, axis: int | None, span: Span) -> float:
        apart, bar = self._probe_once(axis, span)
        return abs(apart) / bar if bar else float(apart != 0) * np.inf

    def _probe_once(self, axis: int | None, span: Span) -> tuple[float, float]:
        if (axis, span) not in self.known:
            self.known[axis, span] = self.probe(self._along(axis, span))
        return self.known[axis, span]

    def _along(self, axis: int | None, span: Span) -> Array:
        """The direction over a span alone; for a single entry of length one."""
        part = slice(*span)
        direction = np.zeros_like(self.direction)
        if axis is None:
            direction.flat[part] = self.direction.flat[part] if span[1] - span[0] > 1 else 1.0
            return direction
        where = (slice(None),) * axis + (part,)
        direction[where] = self.direction[where]
        return direction
