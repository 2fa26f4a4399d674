"""Several faults at once: the statements that explain together what none explains alone, with the least freedom."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gradcheck._localising.holes import Holes, matrix
from gradcheck._localising.solving import Range, range_of
from gradcheck._localising.suspects import Solvable, Solver
from gradcheck._localising.tape import Array

#: random combinations of the gradients by which sets of statements are tried; the last is confirmed on all
ROWS = 160


class Candidate:
    """A statement that gives derivatives that are not known to be right, and the range of what it can do."""

    def __init__(self, holes: Holes, solver: Solver, mixed: Array | None, memory: bool) -> None:
        self.holes = holes
        self.elsewhere = memory and bool(holes.memory)
        self.nodes = solver.written_values(holes) if self.elsewhere else solver.open_values(holes)
        columns = matrix(self.nodes, solver.sensitivities, len(solver.combinations))
        self.range: Range = range_of(columns if mixed is None else mixed @ columns)

    @property
    def rank(self) -> int:
        """How many directions of the gradients it can move."""
        return self.range.rank

    @property
    def first(self) -> int:
        """When it was first executed."""
        return min(node.index for node in self.nodes)


def fewest(solver: Solver, holes: Sequence[Holes]) -> list[Solvable]:
    """Statements that explain the whole difference together, none of which can be left out.

    From all candidates one after the other is left out while the rest still explains the difference: once beginning
    with those of most freedom, once with those nearest to the results. Of the sets that are left, the one with the
    least freedom counts, then the one with fewer statements. If nothing explains it so, statements may also have
    written elsewhere than they should.
    """
    return _fewest(solver, holes, memory=False) or _fewest(solver, holes, memory=True)


def _fewest(solver: Solver, holes: Sequence[Holes], memory: bool) -> list[Solvable]:
    rows = len(solver.combinations)
    mixed = np.random.default_rng(2).standard_normal((ROWS, rows)) / np.sqrt(rows) if rows > ROWS else None
    r = solver.difference if mixed is None else mixed @ solver.difference
    found = [Candidate(one, solver, mixed, memory) for one in holes]
    found = [one for one in found if one.rank]
    orders: list[Callable[[Candidate], tuple[int, int]]] = [
        lambda one: (-one.rank, -one.first),
        lambda one: (-one.first, -one.rank),
    ]
    sets = [_without_needless(sorted(found, key=order), r) for order in orders]
    sets = [one for one in sets if one and _holds_everywhere(one, solver)]
    if not sets:
        return []
    best = min(sets, key=lambda one: (sum(each.rank for each in one), len(one)))
    best.sort(key=lambda one: one.first)
    return [Solvable(one.holes, one.nodes, one.rank, one.elsewhere) for one in best]


def _without_needless(candidates: list[Candidate], r: Array) -> list[Candidate]:
    if not _hold(candidates, r):
        return []
    kept = list(candidates)
    for one in candidates:
        rest = [other for other in kept if other is not one]
        if _hold(rest, r):
            kept = rest
    return kept


def _hold(candidates: list[Candidate], r: Array) -> bool:
    if not candidates:
        return False
    return range_of(np.hstack([one.range.basis for one in candidates])).holds(r)


def _holds_everywhere(candidates: list[Candidate], solver: Solver) -> bool:
    nodes = [node for one in candidates for node in one.nodes]
    return solver.rank(nodes) is not None
