"""A right derivative where that of another value belongs, or more of it: a carry without its gate, say.

What is added up has to be derivatives of one value. Where all terms are derivatives and the sum is none, one of them
is of something else, or has less than it should; the forward's tape tells what the others leave for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck._localising.ground import Ground
from gradcheck._localising.spoiling import Spoiling, Wanted
from gradcheck._localising.standing import EQUAL, Standing, origin
from gradcheck._localising.tape import KEEPS, MOVES, Array, Node, Statement, TapedRun

#: terms of one sum
MOST_TERMS = 6


def misplaced(run: TapedRun) -> list[Spoiling]:
    """The statements that give such a term, with what belongs there; in the order of their executions."""
    found: dict[int, tuple[Statement, dict[int, Wanted], set[int]]] = {}
    for giver, wanted, shows_in in run.once(_Sums).misfits():
        assert giver.place is not None
        statement = giver.place.statement
        _, of_one, sums = found.setdefault(id(statement), (statement, {}, set()))
        of_one.setdefault(giver.execution, wanted)
        sums |= shows_in
    return [
        Spoiling(
            statement,
            tuple(sorted(wanted)),
            (),
            frozenset(),
            wanted=tuple(wanted[k] for k in sorted(wanted)),
            shows_in=frozenset(sums - {id(statement)}),
        )
        for statement, wanted, sums in found.values()
    ]


class _Sums:
    """Sums of derivatives that are none, and the terms that do not fit."""

    def __init__(self, run: TapedRun) -> None:
        self.run, self.standings = run, run.once(Ground).standings
        self._readers: dict[int, set[int]] = {}
        for node in run.nodes:
            for one in node.inputs:
                self._readers.setdefault(one.index, set()).add(node.index)

    def misfits(self) -> Iterator[tuple[Node, Wanted, set[int]]]:
        """Who gives a term that does not fit, what belongs there, and the statements that add it up."""
        for node in self.run.backward:
            if node.op == "add" and self.standings.carries[node.index] and not self._goes_on(node):
                yield from self._misfits(node)

    def _misfits(self, node: Node) -> Iterator[tuple[Node, Wanted, set[int]]]:
        statements: set[int] = set()
        terms = list(self._terms(node, statements))
        if self.standings.of(node) is Standing.FULL or not 1 < len(terms) <= MOST_TERMS:
            return
        of_each = [self._sources(one) for one in terms]
        if not all(of_each) or any(one.shape != node.shape for one in terms):
            return
        for number, term in enumerate(terms):
            common = set.intersection(*(found for k, found in enumerate(of_each) if k != number))
            is_whole = self.standings.of(term) is Standing.FULL
            wanted = self._left_for(term, terms, common - of_each[number] if is_whole else common & of_each[number])
            giver = None if wanted is None else self._giver(term, statements)
            if giver is not None and wanted is not None:
                yield giver, wanted, statements

    def _terms(self, node: Node, statements: set[int]) -> Iterator[Node]:
        """The terms of a sum: where one is a sum that is no derivative, its terms; notes who adds them up."""
        if node.place is not None:
            statements.add(id(node.place.statement))
        for one in node.inputs:
            if not np.any(one.value):
                continue
            is_alone = len(self._readers.get(one.index, ())) == 1
            if one.op == "add" and is_alone and self.standings.of(one) is Standing.UNKNOWN:
                yield from self._terms(one, statements)
            else:
                yield one

    def _goes_on(self, node: Node) -> bool:
        """Whether more is added to a sum."""
        readers = [self.run.nodes[number] for number in self._readers.get(node.index, ())]
        return any(one.op == "add" for one in readers)

    def _sources(self, node: Node) -> set[int]:
        """What in the forward it could be the derivative of, through all uses or some."""
        value: Array = np.asarray(node.value, np.float64)
        if not self.standings.carries[node.index]:
            return set()
        return {origin(self.standings.node_of(number)).index for number in self.standings.any.find_all(value)}

    def _left_for(self, term: Node, terms: list[Node], sources: set[int]) -> Wanted | None:
        """What all other terms leave of the derivative of one of these values, if it is another than the term is."""
        others = sum(np.asarray(one.value, np.float64) for one in terms if one is not term)
        for source in sorted(sources):
            whole = self.standings.full_derivatives.get(source)
            if whole is None or whole.size != term.size:
                continue
            left = whole.reshape(term.shape) - others
            size = EQUAL * float(np.max(np.abs(whole)))
            if np.max(np.abs(left)) > size and np.max(np.abs(left - np.asarray(term.value))) > size:
                return Wanted(source, left)
        return None

    def _giver(self, term: Node, sums: set[int]) -> Node | None:
        """Where a term that others read as well was first handed on, or what calculated it; none of the sum itself."""
        found, node = None, term
        while node.op in MOVES | KEEPS and node.inputs:
            if node.place is not None and node.place.kind in ("value", "element", "argument"):
                found = node
            node = node.inputs[0]
        if self._count_of_readers(node) == 1 and node.op not in MOVES | KEEPS:
            found = node
        if found is None or found.place is None or self.run.is_forward(found) or id(found.place.statement) in sums:
            return None
        return found

    def _count_of_readers(self, node: Node) -> int:
        """How many calculate with a value; under another name that nobody reads it goes nowhere."""
        readers = (self.run.nodes[number] for number in self._readers.get(node.index, ()))
        return sum(self._count_of_readers(one) if one.op in MOVES | KEEPS else 1 for one in readers)
