"""Derivatives that get lost: they come about, have a name, and no gradient depends on them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from gradcheck._localising.ground import Ground
from gradcheck._localising.standing import origin
from gradcheck._localising.tape import KEEPS, Array, Binding, Node, Statement, TapedRun, ancestors


@dataclass(frozen=True)
class Lost:
    """A derivative that no gradient depends on.

    Attributes:
        name: The variable that holds it.
        statement: The statement that bound it.
        value: What it is.
        is_always: Whether that goes for all values that the statement bound.
        parameters: The names of those that what it is the derivative of depends on.
        source: The index of that value of the forward.
    """

    name: str
    statement: Statement
    value: Array
    is_always: bool
    parameters: tuple[str, ...]
    source: int


def lost_derivatives(run: TapedRun) -> list[Lost]:
    """Those of values that depend on a parameter; what comes back to data or to a state of zeros is nobody's.

    Of the values that a variable was given one after the other, as those of a carry, the last is of interest.
    """
    standings = run.once(Ground).standings
    reached = ancestors(*(sink for sink in run.sinks.values() if sink is not None))
    depending = run.once(parameters_behind)
    by_place: dict[int, list[Binding]] = defaultdict(list)
    for one in run.bindings:
        if one.node is not None and one.place.name is not None and not run.is_forward(one.node):
            by_place[one.place.number].append(one)

    def lost_in(one: Binding, *, is_always: bool) -> Lost | None:
        source = None if one.node is None else standings.source(one.node)
        if one.node is None or source is None or one.node.index in reached:
            return None
        begin, place = _without_copies(source), one.place
        names = tuple(sorted(depending[begin.index])) if begin.index < len(depending) else ()
        told = Lost(str(place.name), place.statement, one.node.value, is_always, names, begin.index)
        return told if names else None

    result: list[Lost] = []
    for bindings in by_place.values():
        is_always = all(one.node is not None and one.node.index not in reached for one in bindings)
        asked = bindings if is_always else bindings[-1:]
        result += [lost for one in asked if (lost := lost_in(one, is_always=is_always)) is not None][:1]
    return result


def parameters_behind(run: TapedRun) -> list[frozenset[str]]:
    """By the index of a value: the names of the parameters that it was calculated from."""
    own = {run.leaves[name].index: frozenset({name}) for name in run.true_gradients if name in run.leaves}
    result: list[frozenset[str]] = []
    for node in run.nodes:
        result.append(own.get(node.index, frozenset()).union(*(result[one.index] for one in node.inputs)))
    return result


def _without_copies(node: Node) -> Node:
    """What a value was before it was handed on and copied, as a parameter that a state begins with."""
    node = origin(node)
    while node.op in KEEPS and len(node.inputs) == 1:
        node = origin(node.inputs[0])
    return node
