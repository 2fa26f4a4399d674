"""Places whose derivatives are whole at the last step and lack a part before: what comes back is left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck._localising.blame import SUMS
from gradcheck._localising.ground import Ground
from gradcheck._localising.standing import Known, Standing, Standings, origin
from gradcheck._localising.tape import MOVES, Array, Binding, Node, Place, Statement, TapedRun, scaled

#: instead of the number of a place: what was only handed on
NOWHERE = -1


@dataclass(frozen=True)
class Incomplete:
    """A place whose derivatives lack what comes back from later steps.

    Attributes:
        place: The expression.
        lacking: By execution: of which value of the forward it gives a part of the derivative, and the rest; of each
            sequence at the first step that lacks something, where all that comes back is right.
    """

    place: Place
    lacking: dict[int, tuple[int, Array]]

    @property
    def statement(self) -> Statement:
        """The statement that it stands in."""
        return self.place.statement


def incomplete(run: TapedRun) -> list[Incomplete]:
    """Places that give dL/d(value) at one step at least, and at all others only what comes through some uses.

    Nothing else in the backward gives the whole of it there. A state is used at its own step and by the next one:
    where the second way is left out, the last step is right all the same.
    """
    standings, whole = run.once(Ground).standings, set(run.once(given_whole))
    added_to = _added_to(run)
    result: dict[int, Incomplete] = {}
    for place, nodes in run.once(by_place):
        if len(nodes) < 2 or any(one.index in added_to for one in nodes[1:]) or id(place.statement) in result:
            continue
        for seen in _seen(nodes, standings):
            lacking = [found for standing, found in seen if standing is Standing.PARTIAL]
            if _is_whole_at_first_alone([one for one, _ in seen]) and not any(found & whole for found in lacking):
                result[id(place.statement)] = Incomplete(place, _rests(nodes, seen, standings))
                whole.update(*lacking)  # told once
                break
    return list(result.values())


#: how a value stands as a derivative of what one place of the forward gives, and of which of its values
_Seen = tuple[Standing, set[int]]


def _seen(nodes: Sequence[Node], standings: Standings) -> Iterator[list[_Seen]]:
    """How the values of a place stand, for each place of the forward of which the first is the whole derivative.

    What is the whole derivative of `y - target` need not be that of `y`.
    """
    if not (first := by_place_of_forward(nodes[0], standings, standings.full)):
        return
    full = [first, *(by_place_of_forward(one, standings, standings.full) for one in nodes[1:])]
    partial = [by_place_of_forward(one, standings, standings.partial) for one in nodes]
    for place in first:
        yield [_seen_as(place, *one, standings) for one in zip(nodes, full, partial, strict=True)]


def _seen_as(
    place: int, node: Node, full: dict[int, set[int]], partial: dict[int, set[int]], standings: Standings
) -> _Seen:
    if place in full:
        return Standing.FULL, full[place]
    if place in partial:
        return Standing.PARTIAL, partial[place]
    is_none = standings.of(node) in (Standing.PARTIAL, Standing.UNKNOWN)
    return (Standing.UNKNOWN if is_none else Standing.PLAIN), set()


def by_place_of_forward(node: Node, standings: Standings, known: Known) -> dict[int, set[int]]:
    """The values of the forward that it could be a derivative of, by where they were calculated."""
    result: dict[int, set[int]] = defaultdict(set)
    nodes = standings.run.nodes
    for index in _sources(node, standings, known):
        if index < len(nodes):  # else it is a part of a value
            place = nodes[index].place
            result[NOWHERE if place is None else place.number].add(index)
    return result


def _is_whole_at_first_alone(found: Sequence[Standing]) -> bool:
    """Whether derivatives are whole at the last step and parts before; for one sequence, or one after the other.

    Where what is incomplete goes back into itself, those of steps before it are none at all. Where a step hands nothing
    on, as one that is masked, the next is whole again.
    """
    begins = [k for k, one in enumerate(found) if one is Standing.FULL]
    if not begins or begins[0] != 0:
        return False
    sequences = [found[a + 1 : b] for a, b in zip(begins, [*begins[1:], len(found)], strict=True)]
    rest = (Standing.PARTIAL, Standing.UNKNOWN)
    lacking = [one for one in sequences if one]
    return bool(lacking) and all(one[0] is Standing.PARTIAL and all(each in rest for each in one) for one in lacking)


def _rests(nodes: Sequence[Node], seen: Sequence[_Seen], standings: Standings) -> dict[int, tuple[int, Array]]:
    """By execution, what is lacking where the one before it is whole."""
    result = {}
    for (before, _), (standing, sources), node in zip(seen, seen[1:], nodes[1:], strict=False):
        if before is Standing.FULL and standing is Standing.PARTIAL:
            result[node.execution] = _rest(node, sources, standings)
    return result


def _rest(node: Node, sources: set[int], standings: Standings) -> tuple[int, Array]:
    """Of which value it gives a part of the derivative, and what of that is left."""
    source = min(sources)
    whole = np.asarray(standings.full_derivatives[source], np.float64).reshape(node.shape)
    return source, whole - np.asarray(node.value, np.float64)


def given_whole(run: TapedRun) -> frozenset[int]:
    """The indices of the values of the forward whose whole derivatives the backward gives somewhere."""
    standings = run.once(Ground).standings
    of_each = (_sources(one, standings, standings.full) for one in run.backward if standings.of(one) is Standing.FULL)
    return frozenset().union(*of_each)


def given_whole_of_forward(run: TapedRun) -> frozenset[int]:
    """The same, but for what the backward calculates, or parts of values: these are numbered anew in each run."""
    return frozenset(index for index in run.once(given_whole) if index < run.boundary)


def by_place(run: TapedRun) -> list[tuple[Place, list[Node]]]:
    """What is calculated, or taken from what was handed over, at each place: the place, then its values in turn."""
    standings = run.once(Ground).standings
    values: dict[int, dict[int, Node]] = defaultdict(dict)
    places: dict[int, Place] = {}
    bound = [
        (one, one.node)
        for one in run.bindings
        if one.node is not None and one.node.op in MOVES and standings.carries[one.node.index]
    ]
    taken = [(one.place, node) for one, node in bound if _is_handed_over(node)]
    # where a helper gives it for several callers, who gives it a name can add what that one lacks
    named = [(one.place, node) for one, node in bound if _is_another_name(one)]
    calculated = [(node.place, node) for _, node in standings.calculated if node.place is not None]
    for place, node in (*named, *calculated, *taken):
        places[place.number] = place
        values[place.number][node.execution] = node
    return [(places[number], [found[k] for k in sorted(found)]) for number, found in values.items()]


def _is_handed_over(node: Node) -> bool:
    """Whether it is a part of what the backward was given."""
    *_, first = _handed_on(node)
    return first.op == "leaf"


def _is_another_name(binding: Binding) -> bool:
    """Whether it is a name more for what another function has given."""
    node, target = binding.node, binding.place.text
    if node is None or origin(node).call is node.call:
        return False
    left, is_assignment, right = binding.place.statement.text.partition("=")
    return bool(is_assignment) and left.strip() == target and right.strip().isidentifier()


def _added_to(run: TapedRun) -> set[int]:
    """Values to which others that derivatives went into are added: what these lack, or should, is brought by those.

    A gradient that is added up over time, as that of a bias, brings nothing.
    """
    standings, gradients = run.once(Ground).standings, _added_up(run)
    result: set[int] = set()
    for node in run.backward:
        is_sum = node.op in SUMS and node.index not in gradients
        terms = [one for one in node.inputs if standings.carries[one.index]] if is_sum else []
        if len(terms) > 1 and all(np.any(one.value) for one in terms):
            result.update(one.index for term in terms for one in _handed_on(term))
    return result


def _added_up(run: TapedRun) -> set[int]:
    """What gradients are the sums of, and multiples of such sums."""
    result: set[int] = set()
    waiting = [sink for sink in run.sinks.values() if sink is not None]
    while waiting:
        node = waiting.pop()
        if node.index not in result:
            result.add(node.index)
            waiting += node.inputs if node.op in SUMS | MOVES else [one for one, _ in scaled(node)]
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
