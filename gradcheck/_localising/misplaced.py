"""A right derivative where that of another value belongs: a carry that is handed on without its gate, say.

What is added up has to be derivatives of one value. Where all terms are derivatives and the sum is none, one of them
is of something else, and the forward's tape tells what the others leave for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck._localising.ground import Ground
from gradcheck._localising.spoiling import Spoiling, Wanted
from gradcheck._localising.standing import EQUAL, Standing, Standings, origin
from gradcheck._localising.tape import MOVES, Array, Node, Statement, TapedRun

#: terms of one sum
MOST_TERMS = 6


def misplaced(run: TapedRun) -> list[Spoiling]:
    """The statements that hand such a derivative on, with what belongs there; in the order of their executions."""
    standings = run.once(Ground).standings
    found: dict[int, tuple[Statement, dict[int, Wanted]]] = {}
    for term, wanted in _terms_of_others(run, standings):
        first = _first_handed_on(term)
        if first is not None and first.place is not None and not run.is_forward(first):
            statement = first.place.statement
            found.setdefault(id(statement), (statement, {}))[1].setdefault(first.execution, wanted)
    return [
        Spoiling(statement, tuple(sorted(wanted)), (), frozenset(), wanted=tuple(wanted[k] for k in sorted(wanted)))
        for statement, wanted in found.values()
    ]


def _terms_of_others(run: TapedRun, standings: Standings) -> Iterator[tuple[Node, Wanted]]:
    for node in run.backward:
        if node.op == "add" and standings.carries[node.index] and standings.of(node) is Standing.UNKNOWN:
            found = _misfit(node, standings)
            if found is not None:
                yield found


def _misfit(node: Node, standings: Standings) -> tuple[Node, Wanted] | None:
    """The one term that is the whole derivative of something else than the other terms, and what belongs there."""
    terms = list(_terms(node, standings))
    known = (Standing.FULL, Standing.PARTIAL)
    if not 1 < len(terms) <= MOST_TERMS or not all(standings.of(one) in known for one in terms):
        return None
    for term in terms:
        others = [one for one in terms if one is not term]
        if standings.of(term) is not Standing.FULL or any(one.shape != term.shape for one in others):
            continue
        for source in sorted(set.intersection(*(_sources(one, standings) for one in others)) - _sources(term, standings)):
            whole = standings.full_derivatives.get(source)
            if whole is None or whole.size != term.size:
                continue
            left = whole.reshape(term.shape) - sum(np.asarray(one.value, np.float64) for one in others)
            if np.max(np.abs(left)) > EQUAL * np.max(np.abs(whole)):
                return term, Wanted(source, left)
    return None


def _terms(node: Node, standings: Standings) -> Iterator[Node]:
    """The terms of a sum: where one is a sum that is no derivative, its terms."""
    for one in node.inputs:
        if not np.any(one.value):
            continue
        is_sum = one.op == "add" and one.place is not None and node.place is not None
        if is_sum and one.place.statement is node.place.statement and standings.of(one) is Standing.UNKNOWN:
            yield from _terms(one, standings)
        else:
            yield one


def _sources(node: Node, standings: Standings) -> set[int]:
    """What in the forward it could be the derivative of, through all uses or some."""
    value: Array = np.asarray(node.value, np.float64)
    numbers = [*standings.full.find_all(value), *standings.partial.find_all(value)]
    return {origin(standings.node_of(number)).index for number in numbers}


def _first_handed_on(term: Node) -> Node | None:
    """Where a value was first handed on that was calculated in another statement; None where it never was."""
    found = None
    node = term
    while node.op in MOVES and node.inputs:
        if node.place is not None and node.place.kind in ("value", "element", "argument"):
            found = node
        node = node.inputs[0]
    calculated = None if node.place is None else node.place.statement
    return None if found is None or found.place is None or found.place.statement is calculated else found
