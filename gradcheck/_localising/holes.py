"""Where the backward's values can be thought to be others: all that a statement gives away, over all executions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from gradcheck._localising.tape import MOVES, Array, Node, Statement, TapedRun


@dataclass
class Holes:
    """The values of one statement that can be others."""

    statement: Statement
    #: what it gives to other statements, or writes, in the order in which they came about
    given: list[Node] = field(default_factory=list)
    #: the memory after its writes: every entry of it, those that it did not mean to write as well
    memory: list[Node] = field(default_factory=list)
    #: all of its values
    inner: list[Node] = field(default_factory=list)

    @property
    def first(self) -> int:
        """When it was first executed."""
        return self.inner[0].index if self.inner else 0

    @property
    def only_hands_on(self) -> bool:
        """Whether it calculates nothing."""
        return all(node.op in MOVES for node in self.inner)


def matrix(nodes: list[Node], sensitivities: dict[int, Array], rows: int) -> Array:
    """How the projections move with the values of these nodes side by side."""
    found = [sensitivities[node.index] for node in nodes if node.index in sensitivities]
    return np.hstack(found) if found else np.zeros((rows, 0))


def holes_of(run: TapedRun) -> list[Holes]:
    """The holes of every statement of the backward, in the order in which they were first executed."""
    consumers: dict[int, list[Node]] = defaultdict(list)
    for node in run.nodes:
        for source in node.inputs:
            consumers[source.index].append(node)
    sinks = {sink.index for sink in run.sinks.values() if sink is not None}
    owner = _constants(run)
    found: dict[int, Holes] = {}
    for node in run.nodes:
        statement = node.place.statement if node.place is not None else owner.get(node.index)
        if statement is None or run.is_forward(node):
            continue
        holes = found.setdefault(id(statement), Holes(statement))
        holes.inner.append(node)
        readers = list(_readers(node, consumers))
        outside = [one for one in readers if _is_outside(one, node, statement)]
        if node.op in ("store", "add.at") or node.value is None:
            holes.memory.append(node)
        elif outside or node.index in sinks or _is_written(node, readers):
            holes.given.append(node)
    return list(found.values())


def _is_outside(reader: Node, node: Node, statement: Statement) -> bool:
    """Whether another statement reads a value; the rounds of a loop over values that stand in its head are others."""
    if reader.place is None or reader.place.statement is not statement:
        return True
    return reader.op in MOVES and statement.kind == "For" and reader.execution != node.execution


def _readers(node: Node, consumers: dict[int, list[Node]]) -> Iterator[Node]:
    """What reads a value, also through the memory behind it, where that is an array of another shape."""
    for one in consumers[node.index]:
        if one.op == "pack" and one.place is None:
            yield from (each for other in consumers[one.index] for each in _through_view(other, consumers))
        else:
            yield one


def _through_view(node: Node, consumers: dict[int, list[Node]]) -> list[Node]:
    return consumers[node.index] if node.op == "view" and node.place is None else [node]


def _is_written(node: Node, readers: list[Node]) -> bool:
    return any((one.op in ("store", "add.at") and one.inputs[0] is not node) or one.value is None for one in readers)


def _constants(run: TapedRun) -> dict[int, Statement]:
    """The statements that bound constant arrays, by the array's node."""
    result: dict[int, Statement] = {}
    for binding in run.bindings:
        node = binding.node
        if node is not None and node.op == "leaf" and node.label is None and binding.place.kind in ("bind", "store"):
            result.setdefault(node.index, binding.place.statement)
    return result
