"""Loops of the backward that go through the executions of the forward in the order of the forward."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

from gradcheck._localising.ground import Ground
from gradcheck._localising.provenance import Provenance
from gradcheck._localising.standing import Standing, Standings, origin
from gradcheck._localising.tape import MOVES, Node, Place, Statement, TapedRun


def out_of_order(run: TapedRun) -> list[Statement]:
    """The loops that carry derivatives, and read what the forward has left in the order in which it was left."""
    standings, loops = run.once(Ground).standings, _loops(run)
    fetched, read = _steps_fetched(run, standings), _steps_read(run)
    forwards = {head: any(_rises(one) for one in found) for head, found in _by_loop(fetched, loops).items()}
    forwards |= {head: all(_rises(one) for one in found) for head, found in _by_loop(read, loops).items() if found}
    return [head for head, found in forwards.items() if found and _carries_back(head, standings, loops)]


#: by a place, and the call that it was executed in: the numbers of the steps of the forward, one after the other
Steps: TypeAlias = dict[tuple[Place, int], list[int]]


def _steps_fetched(run: TapedRun, standings: Standings) -> Steps:
    """Of what is fetched by a name from where the forward has left it."""
    provenance = Provenance(run)
    steps: dict[tuple[Place, int], list[int]] = defaultdict(list)
    for node in run.nodes[run.boundary :] or run.nodes:  # both in one function
        if node.place is None or node.place.kind != "bind" or node.op not in MOVES:
            continue
        step = provenance.step(node)
        if step is not None and not standings.carries[node.index]:
            steps[_executed_in(node, node.place)].append(step[1])
    return steps


def _steps_read(run: TapedRun) -> Steps:
    """Of what calculations read of the forward, where that is of one expression there."""
    steps: dict[tuple[Place, int], list[int]] = defaultdict(list)
    made: dict[tuple[Place, int], set[Place]] = defaultdict(set)
    for node in run.backward:
        sources = [one for one in map(origin, node.inputs) if run.is_forward(one) and one.place is not None]
        if node.place is None or node.op in MOVES or len(sources) != 1 or sources[0].place is None:
            continue
        key = _executed_in(node, node.place)
        steps[key].append(sources[0].execution)
        made[key].add(sources[0].place)
    return {key: numbers for key, numbers in steps.items() if len(made[key]) == 1}


def _executed_in(node: Node, place: Place) -> tuple[Place, int]:
    """The place, and which call of its function it was executed in."""
    return place, -1 if node.call is None else node.call.index


def _by_loop(steps: Steps, loops: Mapping[Place, Statement]) -> dict[Statement, list[list[int]]]:
    """The numbers by the loop around them, as far as they differ."""
    result: dict[Statement, list[list[int]]] = defaultdict(list)
    for (place, _), numbers in steps.items():
        if place in loops and len(set(numbers)) == len(numbers) > 1:
            result[loops[place]].append(numbers)
    return result


def _rises(numbers: list[int]) -> bool:
    return numbers == sorted(numbers)


def _loops(run: TapedRun) -> dict[Place, Statement]:
    """The innermost loop around each place, its head included."""
    result: dict[Place, Statement] = {}
    heads = [one for one in run.statements if one.kind in ("For", "While")]
    ends = {one: _ends(one.source.text).get(one.line, one.end_line) for one in heads}
    for place in run.places:
        around = [one for one in heads if one.file == place.file and one.line <= place.line <= ends[one]]
        if around:
            result[place] = max(around, key=lambda one: one.line)
    return result


@lru_cache(maxsize=8)
def _ends(text: str) -> dict[int, int]:
    """The last lines of the loops of a file, by the first."""
    loops = (node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.For, ast.While)))
    return {node.lineno: node.end_lineno or node.lineno for node in loops}


def _carries_back(head: Statement, standings: Standings, loops: dict[Place, Statement]) -> bool:
    """Whether some value of the loop depends on one of an earlier execution, other than by adding up."""
    run = standings.run
    inside = [node for node in run.nodes if node.place is not None and loops.get(node.place) is head]
    if any(run.is_forward(node) for node in inside):
        return False
    own = {node.index: node.execution for node in inside}
    return any(
        own.get(source.index, node.execution) < node.execution
        and standings.carries[source.index]
        and standings.of(source) is not Standing.ZERO
        and not _adds_up(node)
        for node in inside
        for source in node.inputs
    )


def _adds_up(node: Node) -> bool:
    return node.op in ("store", "add.at") or (node.place is not None and node.place.kind == "augment")
