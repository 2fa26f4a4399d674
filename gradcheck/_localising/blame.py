"""What speaks against a statement that could be at fault: what it makes of inputs that are right."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from gradcheck._localising.holes import Holes
from gradcheck._localising.standing import Standing, Standings, origin
from gradcheck._localising.suspects import Need, Solvable
from gradcheck._localising.tape import MOVES, Node
from gradcheck._usercode.sums import going_on

#: what goes on adding to a value, which can be right in part
SUMS = frozenset({"add", "subtract"})


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
        self._executions: dict[int, list[Execution]] = {}

    def executions(self, suspect: Solvable) -> list[Execution]:
        """Each execution that gives something, in order."""
        if id(suspect) not in self._executions:
            self._executions[id(suspect)] = self._executed(suspect)
        return self._executions[id(suspect)]

    def _executed(self, suspect: Solvable) -> list[Execution]:
        holes = suspect.holes
        inner: dict[int, list[Node]] = defaultdict(list)
        for node in holes.inner:
            inner[node.execution].append(node)
        given: dict[int, list[Node]] = defaultdict(list)
        places = {node.place for node in suspect.nodes}
        for node in holes.given:
            if node.place in places and not _comes_back(node, holes):
                given[node.execution].append(node)
        result, served, totals = [], self.served(suspect), running_totals(holes)
        for number, nodes in sorted(inner.items()):
            found = [(self._gives(node, suspect, totals), node.op in MOVES) for node in given[number]]
            if found:
                carrying = [one for one in found if one[0] != Standing.PLAIN] or found
                right = all(served[one.index] for one in read_by(nodes, holes, totals))
                result.append(Execution(number, right, *max(carrying)))
        return result

    def role(self, suspect: Solvable) -> Role:
        """What it does with what it reads."""
        if suspect.elsewhere:
            return Role.SPOILS
        tried = [one for one in self.executions(suspect) if one.reads_right]
        if tried and all(one.gives is Standing.FULL and not one.hands_on for one in tried):
            return Role.RIGHT
        changing = {node.execution for node in suspect.nodes if node.index in suspect.needs}
        tried = [one for one in tried if not changing or one.number in changing]
        if not tried:
            return Role.CONSUMES
        spoils = {Standing.UNKNOWN, Standing.PLAIN} if suspect.need is Need.KNOWN else {Standing.UNKNOWN}
        return Role.SPOILS if any(one.gives in spoils for one in tried) else Role.INCOMPLETE

    def reads_known(self, suspect: Solvable) -> bool:
        """Whether at executions at which it reads nothing wrong all that it reads is known to be right."""
        holes, totals = suspect.holes, running_totals(suspect.holes)
        numbers = {one.number for one in self.executions(suspect) if one.reads_right}
        inner: dict[int, list[Node]] = defaultdict(list)
        for node in holes.inner:
            inner[node.execution].append(node)
        return all(
            self.standings.of(one) is not Standing.UNKNOWN
            for number in numbers
            for one in read_by(inner[number], holes, totals)
        )

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
            elif standing is Standing.UNKNOWN or (standing is Standing.PARTIAL and node.op in MOVES):
                result[node.index] = all(result[source.index] for source in node.inputs)
        return result

    def _continues(self, node: Node, giver: Solvable, reader: Solvable) -> bool:
        """Whether an open value is right for a reader: a sum that lacks a part is, for those who go on adding to it."""
        standing = self.standings.of(node)
        if standing is Standing.PARTIAL and giver is not reader:
            source = self.standings.source(node)
            return source is not None and origin(source).index in giver.sources & reader.sources
        if standing is Standing.FULL:  # of something else, if it was only handed on and has to change
            return node.index not in giver.needs or not self.standings.is_doubtful(node)
        return standing is Standing.ZERO

    def _gives(self, node: Node, suspect: Solvable, totals: set[tuple[int, int]]) -> Standing:
        """The standing of a value; of a sum that goes on over executions, that of what is added.

        The derivative of something else, where another is needed, is nothing.
        """
        found = self.standings.of(node)
        if found is Standing.FULL and node.index in suspect.needs and self.standings.is_doubtful(node):
            return Standing.UNKNOWN
        added = [one for k, one in enumerate(node.inputs) if slot_of(node, k) not in totals]
        if found is Standing.FULL or len(added) == len(node.inputs) or len(added) != 1:
            return found
        standing = self.standings.of(added[0])
        if standing is Standing.PLAIN and added[0].op not in MOVES:
            return Standing.UNKNOWN
        return Standing.PARTIAL if standing is not Standing.UNKNOWN else Standing.UNKNOWN


def _outweighs(giver: Solvable, reader: Solvable) -> bool:
    if reader.holes.only_hands_on:
        return giver is reader or giver.weight[:2] <= reader.weight[:2]
    return giver is reader or giver.weight <= reader.weight


def slot_of(node: Node, number: int) -> tuple[int, int]:
    """An operand of a place: which place, and which operand."""
    operand = node.operands[number] if node.operands else number
    return (-1 if node.place is None else node.place.number), operand


def sums_by_name(holes: Holes) -> set[tuple[int, int]]:
    """The operands x of `x = x + y` and `x = y + x`, which change x as `x += y` does.

    Not where x is what the statement itself gave before, as in a loop.
    """
    found = {
        (node.place.number, operand)
        for node in holes.inner
        if node.place is not None and node.op in SUMS and node.place.kind == "operation"
        if (operand := _summed(node.place.statement.text, node.place.text)) is not None
    }
    return found - _totals(holes) if holes.statement.kind == "Assign" else set()


@lru_cache(maxsize=1024)
def _summed(statement: str, expression: str) -> int | None:
    """Which operand of a sum that a statement assigns to a variable is that variable."""
    with suppress(SyntaxError):
        match ast.parse(statement).body:
            case [ast.Assign(targets=[ast.Name()], value=value) as tree]:
                told = going_on(tree)
                is_all = ast.get_source_segment(statement, value) == expression
                return told.operand if told is not None and is_all else None
    return None


def running_totals(holes: Holes) -> set[tuple[int, int]]:
    """The operands of sums that go on: what the statement changes, or gave itself before."""
    changed = {
        slot_of(node, 0)
        for node in holes.inner
        if node.place is not None and node.place.kind == "augment" and len(node.inputs) > 1
    }
    return changed | _totals(holes)


def _totals(holes: Holes) -> set[tuple[int, int]]:
    """The operands of sums that are what the statement itself gave before."""
    own = {node.index: node.execution for node in holes.inner}
    result = set()
    for node in holes.inner:
        for number, source in enumerate(node.inputs if node.op in SUMS else ()):
            while source.op in MOVES and source.inputs and own.get(source.index, node.execution) >= node.execution:
                source = source.inputs[0]
            if own.get(source.index, node.execution) < node.execution:
                result.add(slot_of(node, number))
    return result


def read_by(nodes: list[Node], holes: Holes, totals: set[tuple[int, int]]) -> Iterator[Node]:
    """What an execution takes from other statements, or from itself before; not what its calls bring back."""
    inside = {node.index for node in nodes}
    for node in nodes:
        if node.op in ("store", "add.at") or _comes_back(node, holes):
            continue
        for number, source in enumerate(node.inputs):
            if source.index not in inside and slot_of(node, number) not in totals:
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
