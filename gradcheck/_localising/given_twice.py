"""Derivatives that are given twice, where a reader of the second makes none of it: meant is that of something else.

In a GRU that resets after its product, what goes back through the inputs and what goes back through the state differ by
the reset gate. Who forgets it gives the one for the other, and whoever goes on with it seems to be at fault.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck._localising.ground import Ground
from gradcheck._localising.spoiling import Spoiling, spoiling
from gradcheck._localising.standing import Standing, origin
from gradcheck._localising.tape import MOVES, Node, Statement, TapedRun


def given_twice(run: TapedRun) -> list[Spoiling]:
    """Statements that calculate a derivative which another has calculated before, and a reader of which spoils it."""
    standings = run.once(Ground).standings
    first: dict[bytes, Statement] = {}
    again: dict[int, tuple[Statement, Node]] = {}
    for statement, node in standings.calculated:
        if standings.of(node) is Standing.FULL and node.size > 1:
            key = node.value.tobytes()
            if first.setdefault(key, statement) is not statement:
                again[node.index] = statement, node
    found: dict[int, tuple[Statement, set[int]]] = {}
    for spoils in run.once(spoiling):
        for node in _read_by(run, spoils):
            if node.index in again:
                statement, given = again[node.index]
                found.setdefault(id(statement), (statement, set()))[1].add(given.execution)
    return [Spoiling(one, tuple(sorted(executions)), (), frozenset()) for one, executions in found.values()]


def _read_by(run: TapedRun, spoils: Spoiling) -> Iterator[Node]:
    """The values that a statement goes on with where it spoils derivatives, each as it was calculated."""
    for node in run.backward:
        if node.place is None or node.place.statement is not spoils.statement or node.op in MOVES:
            continue
        if node.execution in spoils.executions:
            yield from (_calculated(one) for one in node.inputs)


def _calculated(node: Node) -> Node:
    """What was handed on, and written into a part of an array, as this value."""
    node = origin(node)
    while node.op in MOVES and node.inputs:
        node = origin(node.inputs[-1])
    return node
