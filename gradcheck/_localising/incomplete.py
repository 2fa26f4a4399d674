"""Statements whose derivatives are whole at the last step and lack a part before: what comes back is left out."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from gradcheck._localising.ground import Ground
from gradcheck._localising.standing import MOVES, Standing, Standings, origin
from gradcheck._localising.tape import Node, Statement, TapedRun


def incomplete(run: TapedRun) -> list[Statement]:
    """Statements that give dL/d(value) at one step at least, and at all others only what comes through some uses.

    Nothing else in the backward gives the whole of it there. A state is used at its own step and by the next one:
    where the second way is left out, the last step is right all the same.
    """
    standings = run.once(Ground).standings
    whole: set[int] = set()
    last: dict[int, dict[int, Node]] = defaultdict(dict)
    for node in run.backward:
        if _is_known(node, standings, Standing.FULL):
            whole |= _sources(node, standings, Standing.FULL)
        if node.place is not None and node.op not in MOVES and standings.carries[node.index]:
            last[id(node.place.statement)][node.execution] = node
    found = ([of_one[number] for number in sorted(of_one)] for of_one in last.values())
    return [one[0].place.statement for one in found if one[0].place is not None and _lacks(one, standings, whole)]


def _lacks(given: list[Node], standings: Standings, whole: set[int]) -> bool:
    """Whether the first is whole, as a backward begins with the last step, and all others are parts."""
    first, *others = given
    return (
        bool(others)
        and _is_known(first, standings, Standing.FULL)
        and all(_is_known(one, standings, Standing.PARTIAL) for one in others)
        and not any(_sources(one, standings, Standing.PARTIAL) & whole for one in others)
        and all(_sources(one, standings, Standing.PARTIAL) for one in others)
    )


def _is_known(node: Node, standings: Standings, standing: Standing) -> bool:
    return node.value is not None and standings.carries[node.index] and standings.of(node) is standing


def _sources(node: Node, standings: Standings, standing: Standing) -> set[int]:
    """What in the forward it could be a derivative of, other than parameters: values that were calculated."""
    known = standings.full if standing is Standing.FULL else standings.partial
    numbers = known.find_all(np.asarray(node.value, np.float64))
    found = (origin(standings.node_of(number)) for number in numbers)
    return {one.index for one in found if one.inputs}
