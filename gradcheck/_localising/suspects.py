"""Which statements could be at fault alone: those whose values, if only they were others, could make all right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from itertools import islice

import numpy as np

from gradcheck._localising.holes import Holes, matrix
from gradcheck._localising.mismatch import MOST_ENTRIES, Mismatch
from gradcheck._localising.provenance import Provenance, each_others, neighbours_first
from gradcheck._localising.solving import TOLERANCE, is_outside, range_of, solution
from gradcheck._localising.standing import EQUAL, Standing, Standings, origin
from gradcheck._localising.tape import MOVES, Array, Node

#: needed values are worked out to this share of the largest of them
NOISE = 1e-4
#: how many other values of the forward are tried in the place of one that is handed on
MOST_EXCHANGES = 24
#: random combinations of the gradients by which most statements are told to be innocent
SIEVE = 96


@dataclass(frozen=True)
class System:
    """``matrix @ change = difference``: how the gradients move with a suspect's values, all else as it is.

    `nodes` are the values, whose entries side by side are the columns. The rows are gradient entries, or random
    combinations of them, scaled block by block.
    """

    nodes: tuple[Node, ...]
    matrix: Array
    difference: Array


class Need(IntEnum):
    """What is known of the values that a statement would have to give."""

    #: each is zero or a derivative that the forward's tape knows, or another value of the forward
    KNOWN = 0
    #: there is more than one answer
    UNDETERMINED = 1
    #: some are nothing that is known
    STRANGE = 2


@dataclass
class Solvable:
    """A statement whose values could explain the whole difference, and the fewest of them that could."""

    holes: Holes
    #: the values that have to be others
    nodes: list[Node]
    #: how many directions of the gradients they can move
    rank: int
    #: whether entries have to change that the statement did not mean to write
    elsewhere: bool = False
    #: by node index: what the values have to be, where there is only one answer
    needed: dict[int, Array] | None = None
    #: by node index: what the needed values are, of those that have to change
    needs: dict[int, tuple[Standing, Node | None]] = field(default_factory=dict)
    #: how many of their entries have to change
    changing: int = 0
    #: how the gradients move with its values while all else stays as it is
    system: System | None = None
    #: whether its values come from derivatives, and are none that is known
    gives_unknown: bool = False
    #: whether other values of the forward in the place of those that it hands on make all right
    exchanged: bool | None = None

    @property
    def first(self) -> int:
        """When the first of the values that have to be others came about."""
        return min(node.index for node in self.nodes)

    @property
    def need(self) -> Need:
        """What is known of the needed values."""
        if self.exchanged is not None:
            return Need.KNOWN if self.exchanged else Need.STRANGE
        if not self.needs:
            return Need.UNDETERMINED
        return Need.STRANGE if any(one is Standing.UNKNOWN for one, _ in self.needs.values()) else Need.KNOWN

    @property
    def changes(self) -> int:
        """How many numbers have to be others, as far as is known."""
        return min(self.rank, self.changing) if self.need is Need.KNOWN and not self.exchanged else self.rank

    @property
    def weight(self) -> tuple[int, int, bool]:
        """How much has to be assumed of it: the less, the more credible."""
        open_ = self.need is Need.UNDETERMINED and self.gives_unknown
        return Need.KNOWN if open_ else self.need, self.changes, self.elsewhere

    @property
    def sources(self) -> set[int]:
        """The values of the forward that the needed values are the derivatives of."""
        return {origin(node).index for _, node in self.needs.values() if node is not None}


def _differing(one: Array, other: Array) -> int:
    size = max(float(np.max(np.abs(one), initial=0.0)), float(np.max(np.abs(other), initial=0.0)))
    return int(np.sum(np.abs(one - other) > EQUAL * size))


class Solver:
    """Asks statements whether they could explain a difference, or what of it is out of reach of other values.

    Args:
        mismatch: The difference.
        standings: What each value is.
        holes: All that it may be asked of.
        free: Values that may be others as well: only combinations of the gradients that they cannot move are looked at.
    """

    def __init__(
        self, mismatch: Mismatch, standings: Standings, holes: Sequence[Holes], free: Sequence[Node] = ()
    ) -> None:
        self.mismatch, self.standings = mismatch, standings
        self.combinations = mismatch.combinations(MOST_ENTRIES, seed=0)
        kept = {node.index for one in holes for node in (*one.given, *one.memory)}
        self.sensitivities = mismatch.sensitivities(self.combinations, kept=kept)
        if free:
            moved = matrix(list(free), self.sensitivities, len(self.combinations))
            self.combinations = range_of(moved).complement.T @ self.combinations
            self.sensitivities = mismatch.sensitivities(self.combinations, kept=kept)
        self.difference = self.combinations @ mismatch.difference
        self._ranks: dict[tuple[int, ...], int | None] = {}
        self._sinks = {sink.index for sink in mismatch.run.sinks.values() if sink is not None}

    def sieved(self, holes: list[Holes]) -> list[Holes]:
        """Those that a few random combinations do not show to be innocent."""
        rows = len(self.combinations)
        if rows <= SIEVE:
            return holes
        mixed = np.random.default_rng(1).standard_normal((SIEVE, rows)) / np.sqrt(rows)
        r = mixed @ self.difference
        result = []
        for one in holes:
            found = matrix([*one.given, *one.memory], self.sensitivities, rows)
            if found.shape[1] and range_of(mixed @ found).holds(r):
                result.append(one)
        return result

    def solvable(self, holes: Holes) -> Solvable | None:
        """The fewest values of a statement that could explain the difference; None if it is innocent."""
        best: Solvable | None = None
        for nodes in self._choices(holes):
            rank = self.rank(nodes)
            if rank is not None and (best is None or rank < best.rank):
                best = Solvable(holes, nodes, rank, gives_unknown=self._all_unknown(nodes))
        if best is None:
            nodes = self.written_values(holes)
            rank = self.rank(nodes)
            best = None if rank is None else Solvable(holes, nodes, rank, elsewhere=True)
        return best

    def is_able(self, holes: Holes) -> bool:
        """Whether any values of a statement could explain the difference."""
        return any(self.rank(nodes) is not None for nodes in (self._moving(holes.given), self.written_values(holes)))

    def _all_unknown(self, nodes: list[Node]) -> bool:
        standings = self.standings
        return all(standings.carries[node.index] and standings.of(node) is Standing.UNKNOWN for node in nodes)

    def rank(self, nodes: list[Node]) -> int | None:
        """The rank of what these values can do together, if they could explain the difference."""
        if not nodes:
            return None
        asked = tuple(node.index for node in nodes)
        if asked not in self._ranks:
            columns = matrix(nodes, self.sensitivities, len(self.combinations))
            found = None if is_outside(columns, self.difference) else range_of(columns)
            self._ranks[asked] = found.rank if found is not None and found.holds(self.difference) else None
        return self._ranks[asked]

    def _choices(self, holes: Holes) -> Iterator[list[Node]]:
        given = self._moving(holes.given)
        open_ = [node for node in given if not self.is_locked(node)]
        by_place: dict[int, list[Node]] = defaultdict(list)
        for node in open_:
            by_place[-1 if node.place is None else node.place.number].append(node)
        if self.rank(open_) is None:
            yield given
            return
        alone = sorted(by_place.values(), key=lambda nodes: nodes[0].op in MOVES)
        if len(alone) > 1:
            yield from alone
        if len(alone) > 2 and all(self.rank(nodes) is None for nodes in alone):  # two that are exchanged
            places = list(by_place.values())
            for one, other in neighbours_first(len(places))[:MOST_EXCHANGES]:
                if {node.shape for node in places[one]} == {node.shape for node in places[other]}:
                    yield sorted(places[one] + places[other], key=lambda node: node.index)
        yield open_

    def written_values(self, holes: Holes) -> list[Node]:
        """The memory after the writes of a statement, and what it gives otherwise, as far as it moves the gradients."""
        written = {source.index for node in holes.memory for source in node.inputs}
        return self._moving([*(node for node in holes.given if node.index not in written), *holes.memory])

    def open_values(self, holes: Holes) -> list[Node]:
        """Values of a statement that carry derivatives, move the gradients, and are not known to be right."""
        return [
            node
            for node in self._moving(holes.given)
            if not self.is_locked(node) and (self.standings.carries[node.index] or self._starts(node))
        ]

    def _starts(self, node: Node) -> bool:
        """Whether it is a gradient, or a constant other than zero."""
        begin = origin(node)
        constant = not begin.inputs and not self.mismatch.run.is_forward(begin)
        return node.index in self._sinks or (constant and bool(np.any(node.value)))

    def _moving(self, nodes: list[Node]) -> list[Node]:
        return [node for node in nodes if node.index in self.sensitivities]

    def is_locked(self, node: Node) -> bool:
        """Whether a value is right for certain: a full derivative that one statement calculates, and no gradient."""
        is_inside = node.index not in self._sinks
        return is_inside and self.standings.of(node) is Standing.FULL and not self.standings.is_doubtful(node)

    def add_needed(self, *suspects: Solvable) -> None:
        """Work out what the values of a suspect (or of several together) have to be, if there is only one answer."""
        nodes = [node for one in suspects for node in one.nodes]
        if any(self.value_of(node) is None for node in nodes):
            return
        sensitivities = self._alone(nodes)
        moving = [node for node in nodes if node.index in sensitivities]
        columns = matrix(moving, sensitivities, len(self.combinations))
        if not columns.shape[1]:
            return
        used = np.any(columns != 0, axis=0)
        if len(suspects) == 1 and used.sum() > len(columns):  # there is more than one answer
            suspects[0].system = System(tuple(moving), columns, self.difference)
            return
        x, only = solution(columns[:, used], self.difference)
        left = float(np.linalg.norm(columns[:, used] @ x - self.difference))
        change = np.zeros(columns.shape[1])
        change[used] = x
        ends = np.cumsum([node.size for node in moving])[:-1]
        changes = dict(zip((node.index for node in moving), np.split(change, ends), strict=True))
        uses = dict(zip((node.index for node in moving), np.split(used, ends), strict=True))
        for one in suspects:
            own = [node for node in one.nodes if node.index in changes]
            rest = self.difference - sum(
                (sensitivities[node.index] @ changes[node.index] for node in moving if node not in own),
                np.zeros(len(self.difference)),
            )
            one.system = System(tuple(own), matrix(own, sensitivities, len(self.combinations)), rest)
            if only and left <= TOLERANCE * float(np.linalg.norm(self.difference)):
                one.needed = {node.index: self._present(node) + changes[node.index].reshape(node.shape) for node in own}
                one.changing = sum(_differing(one.needed[node.index], self._present(node)) for node in own)
                one.needs = dict(self._matched(one, own, uses))

    def _alone(self, nodes: list[Node]) -> dict[int, Array]:
        """How the gradients move with each of some values while the others of them stay as they are."""
        cut, twins = {node.index for node in nodes}, self.mismatch.run.twins
        waiting, seen = [source for node in nodes if node.index not in twins for source in node.inputs], set(twins)
        while waiting:
            node = waiting.pop()
            if node.index in cut:  # one goes into another
                return self.mismatch.sensitivities(self.combinations, cut, cut)
            if node.index not in seen:
                seen.add(node.index)
                waiting.extend(node.inputs)
        return {index: self.sensitivities[index] for index in cut if index in self.sensitivities}

    def value_of(self, node: Node) -> Array | None:
        """The value, or of memory after a write what was read of all of it."""
        return self._contents.get(node.index) if node.value is None else node.value

    def _present(self, node: Node) -> Array:
        return np.asarray(self.value_of(node), np.float64).reshape(node.shape)

    @cached_property
    def _contents(self) -> dict[int, Array]:
        result: dict[int, Array] = {}
        for node in self.mismatch.run.nodes:
            if node.op == "view" and node.size == node.inputs[0].size and node.value is not None:
                moved = node.pulls[0](np.arange(float(node.size)).reshape(1, *node.shape)).reshape(-1)
                result[node.inputs[0].index] = np.ravel(node.value)[moved.astype(int)]
        return result

    def add_exchange(self, found: Solvable) -> None:
        """Whether others make all right: values of the forward in the place of those that are handed on, at one place,
        or at two each other's; derivatives of single operations of the forward in the place of a factor that was
        calculated from its values."""
        nodes = sorted(found.nodes, key=lambda node: node.index)
        if found.elsewhere or found.need is Need.KNOWN or any(self.standings.carries[node.index] for node in nodes):
            return
        places = {node.place for node in nodes}
        one_place = len(places) == 1
        if all(node.op in MOVES for node in nodes):
            if self.provenance.hands_on_forward(nodes):
                given = self._moving(found.holes.given)
                found.exchanged = (
                    one_place and self._is_mended_by(nodes, self.provenance.alternatives(nodes))
                ) or self._is_mended_by(given, each_others(given, places))
        elif one_place and self._is_mended_by(nodes, self.provenance.local_derivatives(nodes)):
            found.exchanged = True

    def _is_mended_by(self, nodes: list[Node], alternatives: Iterator[list[Array]]) -> bool:
        where = [(node.place, node.execution) for node in nodes if node.place is not None]
        return len(where) == len(nodes) and any(
            self.mismatch.is_mended(dict(zip(where, values, strict=True)))
            for values in islice(alternatives, MOST_EXCHANGES)
        )

    @cached_property
    def provenance(self) -> Provenance:
        """Where values of the forward come from."""
        return Provenance(self.mismatch.run)

    def _matched(
        self, found: Solvable, nodes: list[Node], used: dict[int, Array]
    ) -> Iterator[tuple[int, tuple[Standing, Node | None]]]:
        """What the needed values are, of those that differ from the present ones."""
        values = {node.index: self._present(node) for node in nodes}
        largest = max((float(np.max(np.abs(value), initial=0.0)) for value in values.values()), default=0.0)
        for index, value in (found.needed or {}).items():
            size = max(float(np.max(np.abs(value))), NOISE * largest)
            if np.max(np.abs(value - values[index])) > EQUAL * size:
                vanishes = float(np.max(np.abs(value))) <= EQUAL * NOISE * largest
                part = None if np.all(used[index]) else used[index].reshape(value.shape)
                yield index, self.standings.match(np.zeros_like(value) if vanishes else value, part)
