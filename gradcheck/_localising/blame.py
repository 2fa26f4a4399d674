"""What speaks against a statement that could be at fault: what it makes of inputs that are right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from gradcheck._localising.holes import Holes
from gradcheck._localising.standing import MOVES, Standing, Standings, origin
from gradcheck._localising.suspects import Need, Solvable
from gradcheck._localising.tape import Node


class Role(IntEnum):
    """What a statement does with what it reads, the most suspicious first."""

    #: what it reads is right, what it gives is not
    SPOILS = 0
    #: what it reads is right, what it gives is so in part, or is handed on
    INCOMPLETE = 1
    #: what it reads is wrong already
    CONSUMES = 2
    #: what it gives is right wherever what it reads is right
    RIGHT = 3


@dataclass(frozen=True)
class Execution:
    """One execution of a statement: whether what it reads is right, and what it gives is."""

    number: int
    reads_right: bool
    gives: Standing
    hands_on: bool


class Judge:
    """Judges the statements that could be at fault, each given the others."""

    def __init__(self, standings: Standings, suspects: list[Solvable]) -> None:
        self.standings = standings
        credible = [one for one in suspects if one.need is not Need.STRANGE]
        #: values of suspects; and those that would have to change if their statement were at fault
        self._owner = {node.index: one for one in suspects for node in one.holes.inner}
        self._open = {node.index: one for one in credible for node in one.nodes}

    def executions(self, suspect: Solvable) -> list[Execution]:
        """Each execution that gives something, in order."""
        holes = suspect.holes
        inner: dict[int, list[Node]] = defaultdict(list)
        for node in holes.inner:
            inner[node.execution].append(node)
        given: dict[int, list[Node]] = defaultdict(list)
        places = {node.place for node in suspect.nodes}
        for node in holes.given:
            if node.place in places and not _comes_back(node, holes):
                given[node.execution].append(node)
        result, served = [], self.served(suspect)
        for number, nodes in sorted(inner.items()):
            found = [(self._gives(node), node.op in MOVES) for node in given[number]]
            if found:
                carrying = [one for one in found if one[0] != Standing.PLAIN] or found
                right = all(served[one.index] for one in _read(nodes, holes))
                result.append(Execution(number, right, *max(carrying)))
        return result

    def role(self, suspect: Solvable) -> Role:
        """What it does with what it reads."""
        if suspect.elsewhere:
            return Role.SPOILS
        tried = [one for one in self.executions(suspect) if one.reads_right]
        if not tried:
            return Role.CONSUMES
        if any(one.gives is Standing.UNKNOWN for one in tried):
            return Role.SPOILS
        if suspect.need is Need.KNOWN and any(one.gives is Standing.PLAIN for one in tried):
            return Role.SPOILS
        if all(one.gives is Standing.FULL and not one.hands_on for one in tried):
            return Role.RIGHT
        return Role.INCOMPLETE

    def served(self, reader: Solvable) -> list[bool]:
        """Whether each value is right for one that reads it.

        It is if it is the derivative of something, or was calculated from right values by statements that cannot be
        at fault. What another suspect gives is not, unless more would have to change there and nobody knows into what.
        """
        run = self.standings.run
        result = [True] * len(run.nodes)
        for node in run.nodes:
            giver = self._open.get(node.index)
            owner = self._owner.get(node.index)
            if giver is not None and _outweighs(giver, reader):
                result[node.index] = self._continues(node, giver, reader)
                continue
            if not self.standings.carries[node.index]:
                if node.op in MOVES:
                    result[node.index] = all(result[source.index] for source in node.inputs)
                continue
            standing = self.standings.of(node)
            if standing is Standing.UNKNOWN and owner is not None and _outweighs(owner, reader):
                result[node.index] = False
            elif standing is Standing.UNKNOWN or standing is Standing.PARTIAL and node.op in MOVES:
                result[node.index] = all(result[source.index] for source in node.inputs)
        return result

    def _continues(self, node: Node, giver: Solvable, reader: Solvable) -> bool:
        """Whether an open value is right for a reader: a sum that lacks a part is, for those who go on adding to it."""
        standing = self.standings.of(node)
        if standing is Standing.PARTIAL and giver is not reader:
            source = self.standings.source(node)
            return source is not None and origin(source).index in giver.sources & reader.sources
        return standing in (Standing.FULL, Standing.ZERO)

    def _gives(self, node: Node) -> Standing:
        found = self.standings.of(node)
        if found is Standing.FULL or node.place is None or node.place.kind != "augment" or len(node.inputs) != 2:
            return found
        added = self.standings.of(node.inputs[1])
        if added is Standing.PLAIN and node.inputs[1].op not in MOVES:
            return Standing.UNKNOWN
        return Standing.PARTIAL if added is not Standing.UNKNOWN else Standing.UNKNOWN


def _outweighs(giver: Solvable, reader: Solvable) -> bool:
    return giver is reader or (giver.need, giver.changes) <= (reader.need, reader.changes)


def _read(nodes: list[Node], holes: Holes) -> Iterator[Node]:
    """What an execution takes from other statements, or from itself before; not what its calls bring back."""
    inside = {node.index for node in nodes}
    for node in nodes:
        if node.op in ("store", "add.at") or _comes_back(node, holes):
            continue
        for source in node.inputs:
            if source.index not in inside and not _is_total(node, source):
                yield node if source.value is None else source


def _comes_back(node: Node, holes: Holes) -> bool:
    """Whether it is what a call of the statement's brought back, to which the statement has handed a derivative."""
    return _called(node, holes) and any(one.op == "argument" for one in holes.inner)


def _called(node: Node, holes: Holes) -> bool:
    for source in node.inputs:
        call = source.call
        while call is not None and call is not node.call:
            if call.place.statement is holes.statement:
                return True
            call = call.outer
    return False


def _is_total(node: Node, source: Node) -> bool:
    """Whether it is the sum so far, to which the node adds."""
    return node.place is not None and node.place.kind == "augment" and source is node.inputs[0]
