"""Derivatives that get lost: they come about, have a name, and no gradient depends on them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from gradcheck._localising.ground import Ground
from gradcheck._localising.standing import origin
from gradcheck._localising.tape import Array, Binding, Statement, TapedRun, ancestors


@dataclass(frozen=True)
class Lost:
    """A derivative that no gradient depends on.

    Attributes:
        name: The variable that holds it.
        statement: The statement that bound it.
        value: What it is.
        is_always: Whether that goes for all values that the statement bound.
        parameters: The names of those that what it is the derivative of depends on.
    """

    name: str
    statement: Statement
    value: Array
    is_always: bool
    parameters: tuple[str, ...]


def lost_derivatives(run: TapedRun) -> list[Lost]:
    """Those of values that depend on a parameter; what comes back to data or to a state of zeros is nobody's.

    Of the values that a variable was given one after the other, as those of a carry, the last is of interest.
    """
    standings = run.once(Ground).standings
    reached = set[int]().union(*(ancestors(sink) for sink in run.sinks.values() if sink is not None))
    leaves = {name: run.leaves[name].index for name in run.true_gradients if name in run.leaves}
    by_place: dict[int, list[Binding]] = defaultdict(list)
    for one in run.bindings:
        if one.node is not None and one.place.name is not None and not run.is_forward(one.node):
            by_place[one.place.number].append(one)

    def parameters_of(one: Binding) -> tuple[str, ...]:
        source = None if one.node is None else standings.source(one.node)
        behind = set() if source is None else ancestors(origin(source))
        return tuple(name for name, index in leaves.items() if index in behind)

    result = []
    for bindings in by_place.values():
        is_always = all(one.node is not None and one.node.index not in reached for one in bindings)
        asked = bindings if is_always else bindings[-1:]
        lost = next((one for one in asked if parameters_of(one)), None)
        if lost is not None and lost.node is not None and lost.node.index not in reached:
            place = lost.place
            result.append(Lost(str(place.name), place.statement, lost.node.value, is_always, parameters_of(lost)))
    return result
