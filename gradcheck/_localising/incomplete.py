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
    last: dict[int, dict[int, Node]] = defaultdict(dict)
    statements: dict[int, Statement] = {}
    for statement, node in standings.calculated:
        statements[id(statement)] = statement
        last[id(statement)][node.execution] = node
    added_to = _added_to(run, standings)
    result: list[Statement] = []
    for key, of_one in last.items():
        first, *others = (of_one[number] for number in sorted(of_one))
        if not others or standings.of(first) is not Standing.FULL:
            continue
        if any(standings.of(one) is not Standing.PARTIAL or one.index in added_to for one in others):
            continue
        sources = [_sources(one, standings, standings.partial) for one in others]
        if all(found and not found & whole for found in sources):
            result.append(statements[key])
            whole.update(*sources)  # told once
    return result


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
