"""Functions of a backward that hand on a derivative as it is, though what they go back through changes its values.

A `backward` that returns what it is given is the right one of a `forward` that adds a constant, and no other. What it
hands on is a right derivative, so that nothing is wrong where it stands: it is the derivative of what comes out of the
`forward`, in the place of that of what goes in.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck._localising.ground import Ground
from gradcheck._localising.spoiling import Spoiling, Wanted
from gradcheck._localising.standing import EQUAL, Standing, origin
from gradcheck._localising.tape import MOVES, Array, Node, Statement, TapedRun

#: letters that the names of two functions begin with alike, where they belong together
ALIKE = 3


def unchanged(run: TapedRun) -> list[Spoiling]:
    """The statements that return such, with what belongs there, in the order in which they were first executed."""
    found: dict[int, tuple[Statement, dict[int, Wanted]]] = {}
    for node in run.backward:
        wanted = _wanted(run, node) if node.op == "return" and node.place is not None else None
        if wanted is not None and node.place is not None:
            statement = node.place.statement
            found.setdefault(id(statement), (statement, {}))[1].setdefault(node.execution, wanted)
    return [
        Spoiling(statement, tuple(sorted(of_one)), (), frozenset(), wanted=tuple(of_one[k] for k in sorted(of_one)))
        for statement, of_one in found.values()
    ]


def _wanted(run: TapedRun, returned: Node) -> Wanted | None:
    """The derivative of what goes into the function of the forward, where that of what comes out is handed on."""
    standings = run.once(Ground).standings
    if not _is_handed_through(returned) or standings.of(returned) is not Standing.FULL:
        return None
    source = standings.source(returned)
    outcome = None if source is None else origin(source)
    if outcome is None or outcome.call is None or not _belong_together(outcome, returned):
        return None
    going_in = list({one.index: (one, before) for one, before in _going_in(outcome)}.values())
    if len(going_in) != 1 or not run.is_forward(outcome):
        return None
    ((handed, before),) = going_in
    value = run.derivative(handed)  # through this call alone: others may use what it is handed as well
    given = np.asarray(returned.value, np.float64)
    if value is None or value.shape != given.shape or _agree(value, given):
        return None
    return Wanted(before.index, value)


def _is_handed_through(returned: Node) -> bool:
    """Whether it is what the function was handed."""
    node = returned
    while node.call is returned.call and node.op in MOVES and len(node.inputs) == 1:
        node = node.inputs[0]
    return node.call is not returned.call and node.size == returned.size


def _belong_together(outcome: Node, returned: Node) -> bool:
    """Whether both are of one class, or of functions whose names begin alike."""
    if outcome.place is None or returned.place is None or outcome.place.function == returned.place.function:
        return False
    forward, backward = outcome.place.function.rpartition("."), returned.place.function.rpartition(".")
    return forward[0] == backward[0] and (bool(forward[0]) or forward[2][:ALIKE] == backward[2][:ALIKE])


def _going_in(outcome: Node) -> Iterator[tuple[Node, Node]]:
    """What a call is handed to calculate a value from, each with what was calculated before and is handed to it."""
    waiting, seen = [outcome], {outcome.index}
    while waiting:
        for one in waiting.pop().inputs:
            if one.index in seen:
                continue
            seen.add(one.index)
            if one.call is outcome.call:
                waiting.append(one)
            elif (before := origin(one)).inputs:
                yield one, before


def _agree(one: Array, other: Array) -> bool:
    return bool(np.max(np.abs(one - other), initial=0.0) <= EQUAL * np.max(np.abs(other), initial=0.0))
