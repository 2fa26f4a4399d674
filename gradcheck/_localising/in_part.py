"""Places that give a part of a derivative that nothing gives the whole of: what one use brings back is left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from gradcheck._localising.ground import Ground
from gradcheck._localising.incomplete import by_place, by_place_of_forward, given_whole, incomplete
from gradcheck._localising.joined_in_part import joined_in_part
from gradcheck._localising.lost import parameters_behind
from gradcheck._localising.spoiling import Wanted
from gradcheck._localising.standing import EQUAL, Known, Standings
from gradcheck._localising.tape import Array, Node, Place, Statement, TapedRun, entries_of


@dataclass(frozen=True)
class InPart:
    """A place that gives a part of derivatives.

    Attributes:
        place: The expression.
        wanted: The whole derivatives, by execution.
        without_added: What the sum that the place stands in has to give, by execution, where others are added to parts
            of those that are given elsewhere; none where that is the whole.
        of_stack: Whether that is what a stack brings back alone: what is added beside the place is another part.
    """

    place: Place
    wanted: dict[int, Wanted]
    of_stack: bool = False
    without_added: dict[int, Wanted] = field(default_factory=dict)

    @property
    def statement(self) -> Statement:
        """The statement that it stands in."""
        return self.place.statement


def in_part(run: TapedRun, wrong: Collection[str]) -> list[InPart]:
    """Those that are right in part, at whatever step, each where a part of that derivative is given first.

    A value of the forward may be used for several things: by the next step and by the output, as a query and as a key.
    Where what comes back through each is taken on by itself, nothing is lost: then gradients of what the value was
    calculated from are right.

    Args:
        run: The loss and the gradients, on the tape.
        wrong: The names of the gradients that are wrong.
    """
    standings, whole = run.once(Ground).standings, run.once(given_whole)
    depending = run.once(parameters_behind)
    told = {id(one.statement) for one in run.once(incomplete)}
    places = run.once(by_place)
    parts = {
        node.index: by_place_of_forward(node, standings, standings.partial) for _, nodes in places for node in nodes
    }
    first, added = _first_given(places, parts), run.once(_added)
    # what is known of a part of what a value brings back says more than what is known of all of that
    of_joined = (InPart(place, wanted, of_stack=True) for place, wanted in joined_in_part(run, wrong))
    result = {id(one.statement): one for one in of_joined}
    for place, nodes in places:
        found: dict[int, dict[int, Wanted]] = defaultdict(dict)
        for node in nodes if id(place.statement) not in told else ():
            for of_forward, sources in parts[node.index].items():
                mine = all(first[one] == place.number for one in sources)
                if mine and not sources & whole and all(depending[one] <= set(wrong) for one in sources):
                    wanted = _wanted(node, min(sources), standings)
                    if wanted and added.find(wanted.value - np.asarray(node.value, np.float64)) is None:
                        found[of_forward][node.execution] = wanted
        if found:
            most = max(found.values(), key=len)
            given = {node.execution: node for node in nodes}
            less = {k: _without_added(run, given[k], one, added) for k, one in most.items()}
            differs = any(not _is_same(less[k].value, one.value) for k, one in most.items())
            result.setdefault(id(place.statement), InPart(place, most, without_added=less if differs else {}))
    return list(result.values())


def _added(run: TapedRun) -> Known:
    """What is added to something: where that is what lacks, it is added later."""
    result = Known()
    for node in run.backward:
        for one in node.inputs if node.op == "add" else ():
            result.add(np.asarray(one.value, np.float64), one.index)
    return result


def _first_given(
    places: Collection[tuple[Place, list[Node]]], parts: Mapping[int, Mapping[int, set[int]]]
) -> dict[int, int]:
    """Of values of the forward, the number of the place where a part of their derivative is given first."""
    result: dict[int, int] = {}
    given = ((node, place.number) for place, nodes in places for node in nodes)
    for node, number in sorted(given, key=lambda one: one[0].index):
        for sources in parts[node.index].values():
            result |= {one: number for one in sources if one not in result}
    return result


def _wanted(node: Node, source: int, standings: Standings) -> Wanted | None:
    """The derivative of a value; if that is no more than what is given, that of the entries that it is a view of, and
    in the end of what was handed on as this value. None where what is given is a single entry of it."""
    given = np.asarray(node.value, np.float64)
    for value in _derivatives(standings.run, standings.run.nodes[source]):
        if value.size == given.size:
            whole = value.reshape(given.shape)
            if not _is_same(given, whole):
                return Wanted(source, whole)
    found = standings.full_derivatives[source]
    return Wanted(source, found.reshape(given.shape)) if found.size == given.size else None


def _without_added(run: TapedRun, node: Node, wanted: Wanted, added: Known) -> Wanted:
    """What the sum around has to give, if what comes back through some uses is added to it elsewhere."""
    uses = run.once(Ground).standings.uses.get(wanted.source, [])
    if any(one.shape != node.shape for one in uses):
        return wanted
    lacking = [one for one in uses if added.find(one) is None]
    if not 0 < len(lacking) < len(uses):
        return wanted
    sums, top = run.once(_sums_of_terms), node
    while top.index in sums:
        top = sums[top.index]
    return Wanted(wanted.source, np.sum([np.asarray(top.value), *lacking], axis=0))


def _sums_of_terms(run: TapedRun) -> dict[int, Node]:
    """By the index of a value: the sum that it is a term of in the same statement, the first one."""
    result: dict[int, Node] = {}
    for node in run.backward:
        for one in node.inputs if node.op == "add" else ():
            if one.place is not None and node.place is not None and one.place.statement is node.place.statement:
                result.setdefault(one.index, node)
    return result


def _is_same(one: Array, other: Array) -> bool:
    return bool(np.max(np.abs(one - other)) <= EQUAL * np.max(np.abs(other)))


def _derivatives(run: TapedRun, node: Node) -> Iterator[Array]:
    own = run.derivatives[node.index]
    if own is not None:
        yield np.asarray(own, np.float64)
    behind = run.derivatives[node.inputs[0].index] if node.op == "view" and len(node.inputs) == 1 else None
    if behind is not None:
        yield np.ravel(np.asarray(behind, np.float64))[entries_of(node)]
