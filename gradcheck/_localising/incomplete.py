"""Statements whose derivatives are whole at the last step and lack a part before: what comes back is left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from gradcheck._localising.ground import Ground
from gradcheck._localising.spoiling import SUMS
from gradcheck._localising.standing import Known, Standing, Standings, origin
from gradcheck._localising.tape import MOVES, Node, Statement, TapedRun


def incomplete(run: TapedRun) -> list[Statement]:
    """Statements that give dL/d(value) at one step at least, and at all others only what comes through some uses.

    Nothing else in the backward gives the whole of it there. A state is used at its own step and by the next one:
    where the second way is left out, the last step is right all the same.
    """
    standings = run.once(Ground).standings
    whole: set[int] = set()
    for node in run.backward:
        if standings.of(node) is Standing.FULL:
            whole |= _sources(node, standings, standings.full)
    added_to = _added_to(run, standings)
    result: dict[int, Statement] = {}
    for statement, (first, *others) in _by_place(run, standings):
        if not others or standings.of(first) is not Standing.FULL or standings.of(others[0]) is not Standing.PARTIAL:
            continue
        lacking = [one for one in others if standings.of(one) is Standing.PARTIAL]
        # where it goes back into itself, later ones are none at all
        unknown = [one for one in others if standings.of(one) is Standing.UNKNOWN]
        if len(lacking) + len(unknown) < len(others) or any(one.index in added_to for one in others):
            continue
        sources = [_sources(one, standings, standings.partial) for one in lacking]
        if all(found and not found & whole for found in sources):
            result[id(statement)] = statement
            whole.update(*sources)  # told once
    return list(result.values())


def _by_place(run: TapedRun, standings: Standings) -> Iterator[tuple[Statement, list[Node]]]:
    """What is calculated, or taken from what was handed over, at each place: the statement, then its values in turn."""
    values: dict[int, dict[int, Node]] = defaultdict(dict)
    statements: dict[int, Statement] = {}
    taken = [
        (one.place, one.node)
        for one in run.bindings
        if one.node is not None
        and one.node.op in MOVES
        and standings.carries[one.node.index]
        and _is_handed_over(one.node)
    ]
    calculated = [(node.place, node) for _, node in standings.calculated if node.place is not None]
    for place, node in (*calculated, *taken):
        statements[place.number] = place.statement
        values[place.number][node.execution] = node
    for number, found in values.items():
        yield statements[number], [found[execution] for execution in sorted(found)]


def _is_handed_over(node: Node) -> bool:
    """Whether it is a part of what the backward was given."""
    *_, first = _handed_on(node)
    return first.op == "leaf"


def _added_to(run: TapedRun, standings: Standings) -> set[int]:
    """Values to which others that derivatives went into are added: what these lack, or should, is brought by those."""
    result: set[int] = set()
    for node in run.backward:
        terms = [one for one in node.inputs if standings.carries[one.index]] if node.op in SUMS else []
        if len(terms) > 1 and all(np.any(one.value) for one in terms):
            result.update(one.index for term in terms for one in _handed_on(term))
    return result


def _handed_on(node: Node) -> Iterator[Node]:
    """A value, and what it was before it was only handed on."""
    yield node
    while node.op in MOVES and node.inputs:
        node = node.inputs[0]
        yield node


def _sources(node: Node, standings: Standings, known: Known) -> set[int]:
    """What in the forward it could be a derivative of, other than parameters: values that were calculated."""
    numbers = known.find_all(np.asarray(node.value, np.float64))
    found = (origin(standings.node_of(number)) for number in numbers)
    return {one.index for one in found if one.inputs}
