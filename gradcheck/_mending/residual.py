"""What the gradients lack, in a few numbers, and which gradients a change of them makes right."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradcheck._mending.series import Series, all_series
from gradcheck._tape import Node, TapedRun
from gradcheck._tape.nodes import Array
from gradcheck._tape.sweep import seeds_of, sweep

#: numbers that stand for one gradient: a wrong candidate fits them by chance with probability zero
ROWS = 3
#: relative to the gradient
TOLERANCE = 1e-7


def agree(given: Array, true: Array, tolerance: float = TOLERANCE) -> bool:
    """Whether a gradient is the true one."""
    if given.shape != true.shape or not np.all(np.isfinite(given)):
        return False
    scale = max(float(np.linalg.norm(given)), float(np.linalg.norm(true)))
    return bool(np.linalg.norm(given - true) <= tolerance * scale + 1e-13)


def wrong_names(given: Mapping[str, Array], true: Mapping[str, Array]) -> frozenset[str]:
    """Of which gradients what is given is not the true one."""
    return frozenset(name for name, one in true.items() if name not in given or not agree(given[name], one))


@dataclass(frozen=True)
class Judgement:
    """What a candidate does to the gradients."""

    right: frozenset[str]
    broken: frozenset[str]


def factor_between(value: Array, wanted: Array) -> float:
    """How many times the one array is the other; 0 where it is no multiple of it, or nothing."""
    if value.shape != wanted.shape or not np.any(value) or not np.any(wanted):
        return 0.0
    factor = float(np.vdot(value, wanted) / np.vdot(value, value))
    return factor if agree(factor * value, wanted) else 0.0


class Residual:
    """r = true - reported gradients, in random projections of each gradient by itself.

    Args:
        run: The loss and the gradients, on the tape.
        truth: What they should be, if not the true gradients.
        nodes: Values of the run that are looked at in the place of its gradients, by the names in `truth`.
    """

    def __init__(
        self, run: TapedRun, truth: Mapping[str, Array] | None = None, nodes: Mapping[str, Node] | None = None
    ) -> None:
        self.run = run
        self.is_of_gradients = nodes is None
        self.sinks: Mapping[str, Node | None] = run.sinks if nodes is None else nodes
        self.given = run.gradients if nodes is None else {name: np.array(node.value) for name, node in nodes.items()}
        self.truth = dict(run.true_gradients if truth is None else truth)
        self.names = [name for name, true in self.truth.items() if self._is_comparable(name, true)]
        self.wrong = wrong_names(self.given, self.truth)
        rng = np.random.default_rng(0)
        counts = {name: min(ROWS, self.truth[name].size) for name in self.names}
        self.size = sum(counts.values())
        self.rows: dict[str, slice] = {}
        self.projections: dict[str, Array] = {}
        first = 0
        for name in self.names:
            true, rows = self.truth[name], slice(first, first + counts[name])
            first = rows.stop
            self.rows[name] = rows
            drawn = np.zeros((self.size, *true.shape))
            drawn[rows] = rng.standard_normal((counts[name], *true.shape))
            self.projections[name] = drawn
        self.needed, self.scale = self._projected()

    def wanting(self, truth: Mapping[str, Array]) -> Residual:
        """The same projections, of which others are wanted; the names and the shapes are the same."""
        result = copy.copy(self)
        result.truth, result.wrong = dict(truth), wrong_names(self.given, truth)
        result.needed, result.scale = result._projected()
        return result

    def _projected(self) -> tuple[Array, Array]:
        """What the projections lack, and how large what they project is."""
        needed, scale = np.zeros(self.size), np.zeros(self.size)
        for name, rows in self.rows.items():
            true, given = self.truth[name], self.given[name]
            drawn = self.projections[name][rows].reshape(rows.stop - rows.start, -1)
            needed[rows] = drawn @ (true - given).ravel()
            scale[rows] = np.linalg.norm(true) + np.linalg.norm(given) + 1e-12
        return needed, scale

    def _is_comparable(self, name: str, true: Array) -> bool:
        given = self.given.get(name)
        return given is not None and given.shape == true.shape and bool(np.all(np.isfinite(given)))

    @cached_property
    def series(self) -> list[Series]:
        """The derivatives that the forward's tape knows."""
        return self.run.once(all_series)

    def held(
        self, cut: Collection[int], projections: Mapping[str, Array] | None = None, beside: Collection[int] = ()
    ) -> dict[int, Array]:
        """How projections move with some values, and others beside, while the first are held.

        What is behind values that are held is not counted.
        """
        asked = {*cut, *beside}
        chosen = self.projections if projections is None else projections
        found = sweep(self.run.nodes, seeds_of(self.sinks, chosen), cut=cut, kept=asked)
        return {index: g.reshape(len(g), -1) for index, g in enumerate(found) if g is not None}

    def dense(self, rows: int) -> tuple[dict[str, Array], Array]:
        """So many random projections of all gradients together, and what they lack."""
        rng = np.random.default_rng(1)
        drawn = {name: rng.standard_normal((rows, *self.truth[name].shape)) for name in self.names}
        lacking = np.zeros(rows)
        for name, projection in drawn.items():
            missing = (self.truth[name] - self.given[name]).ravel()
            scale = np.linalg.norm(self.truth[name]) or 1.0
            drawn[name] = projection / scale
            lacking += projection.reshape(rows, -1) @ missing / scale
        return drawn, lacking

    def judged(self, change: Array) -> Judgement:
        """What a change of the projections does."""
        close = np.abs(self.needed - change) <= 10 * TOLERANCE * self.scale
        if not close.any():
            return Judgement(frozenset(), frozenset(self.rows) - self.wrong)
        right = frozenset(name for name, rows in self.rows.items() if close[rows].all())
        return Judgement(right & self.wrong, frozenset(self.rows) - self.wrong - right)
