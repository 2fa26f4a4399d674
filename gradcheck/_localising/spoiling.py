"""Statements that read right derivatives and give none: where several are at fault on one way, each shows here.

Where a backward begins, nothing is read yet; there a value shows that is a multiple of a derivative.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck._localising.blame import SUMS, read_by, running_totals, slot_of, sums_by_name
from gradcheck._localising.ground import Ground
from gradcheck._localising.holes import Holes
from gradcheck._localising.standing import EQUAL, Known, Standing, Standings, origin
from gradcheck._localising.tape import KEEPS, MOVES, Array, Node, Span, Statement, TapedRun

_WHOLE = frozenset({Standing.FULL, Standing.ZERO})
_BEGUN = _WHOLE | {Standing.PARTIAL}


@dataclass(frozen=True, eq=False)
class Wanted:
    """What belongs in the place of a value: the derivative of this value of the forward, or a part of that."""

    source: int
    value: Array


@dataclass(frozen=True)
class Spoiling:
    """A statement that spoils derivatives.

    Attributes:
        statement: The statement.
        executions: Those at which all derivatives that it reads are right, and what it gives is none.
        idle: Those at which it gives zero though it reads others: that can be right, where a value is zero.
        sources: The indices of the values of the forward whose derivatives it reads.
        kept: Those at which it reads right derivatives and gives nothing but such: what it gives then is to stay.
        of: The gradient that it has to give a term of, where what it gives is one of another's; empty otherwise.
        wanted: What belongs there at each of the executions, where that is known.
        at: Where the expression begins and ends that is to give that, where it is not all that the statement gives.
        shows_in: The identities of other statements, in which it shows.
    """

    statement: Statement
    executions: tuple[int, ...]
    idle: tuple[int, ...]
    sources: frozenset[int]
    kept: tuple[int, ...] = ()
    of: str = ""
    wanted: tuple[Wanted, ...] = ()
    at: Span | None = None
    shows_in: frozenset[int] = frozenset()


def spoiling(run: TapedRun) -> list[Spoiling]:
    """All of them, in the order in which they were first executed."""
    ground = run.once(Ground)
    calculating = [holes for holes in ground.holes if not holes.only_hands_on]
    found = [one for holes in calculating if (one := _spoiling(holes, ground.standings)) is not None]
    if any(one.executions for one in found):
        return found
    from_parts = (_spoiling(holes, ground.standings, from_parts=True) for holes in calculating)
    return [*found, *(one for one in from_parts if one is not None and one.executions and one.kept)]


def spoiling_further_on(run: TapedRun) -> list[Spoiling]:
    """Statements that make no derivative of what others calculate from right ones: the others may be steps on the way.

    A derivative that takes several statements goes wrong in the last of them where an earlier one lacks nothing. What
    several statements read is no step, but meant to be a derivative: who spoils that is at fault, and no reader of it.
    """
    ground, known = run.once(Ground), {id(one.statement): one for one in run.once(spoiling) if one.executions}
    steps: set[int] = set()
    found: list[Spoiling] = []
    for holes in ground.holes:  # in the order in which they were first executed
        if holes.only_hands_on:
            continue
        told = known.get(id(holes.statement)) or (_spoiling(holes, ground.standings, steps) if steps else None)
        if told is None or not told.executions:
            continue
        given = {node.index for node in holes.inner if node.execution in told.executions}
        if len(readers_of(run, given) - {id(holes.statement)}) == 1:
            steps |= given
        if id(holes.statement) not in known:
            found.append(told)
    return found


def readers_of(run: TapedRun, given: Collection[int]) -> set[int]:
    """The identities of the statements of the backward that calculate with values, by their indices."""
    reached, result = set(given), set[int]()
    for node in run.backward:
        if any(one.index in reached for one in node.inputs):
            if node.op in MOVES:
                reached.add(node.index)
            elif node.place is not None:
                result.add(id(node.place.statement))
    return result


def without_right_consequences(run: TapedRun, found: Sequence[Spoiling]) -> list[Spoiling]:
    """Those of whose values nothing right is calculated: others are a step on the way to a derivative."""
    standings = run.once(Ground).standings
    leads: set[int] = set()  # values from which something right was calculated
    for node in reversed(run.backward):
        if node.index in leads or (node.op not in MOVES and standings.of(node) <= Standing.PARTIAL):
            leads.update(one.index for one in node.inputs)
    on_the_way = {
        (id(statement), node.execution)
        for statement, node in standings.calculated
        if node.index in leads and standings.of(node) is Standing.UNKNOWN
    }
    return [one for one in found if not any((id(one.statement), number) in on_the_way for number in one.executions)]


def _spoiling(
    holes: Holes, standings: Standings, steps: Collection[int] = (), *, from_parts: bool = False
) -> Spoiling | None:
    """One of them, if it spoils derivatives.

    Args:
        holes: The statement.
        standings: What values are.
        steps: Values that are no derivatives, and may be read like right ones.
        from_parts: Whether parts of derivatives are right to read: what gives derivatives at other executions reads
            what it should there.
    """
    inner: dict[int, list[Node]] = defaultdict(list)
    for node in holes.inner:
        inner[node.execution].append(node)
    by_name = sums_by_name(holes)
    totals = running_totals(holes) | by_name
    executions: list[int] = []
    idle: list[int] = []
    kept: list[int] = []
    sources: set[int] = set()
    for number, nodes in sorted(inner.items()):
        read = [*_calculated_from(nodes, holes, totals), *_before(nodes, by_name, among=False)]
        read = [one for one in read if standings.carries[one.index]]
        begun = list(_before(nodes, by_name, among=True))
        given = _given(nodes, holes, totals, by_name)
        right = _BEGUN if from_parts else _WHOLE
        is_right = all(standings.of(one) in right or _is_step(one, steps) for one in read)
        if not read or not (is_right or _make_a_whole(read, standings)):
            continue
        if not all(standings.of(one) in _BEGUN for one in begun) or _adds_what_is_none(nodes, standings):
            continue
        # of a sum that goes on, a part is all there can be
        goes_on = any(_changed(node, by_name) is not None for node in nodes)
        gives = {standings.of(one) for one in given if standings.carries[one.index]}
        # what it reads a part of may be what it gives the whole derivative of
        wholes = [one for one in read if not (from_parts and standings.of(one) is Standing.PARTIAL)]
        reads = {origin(one).index for node in wholes if (one := standings.source(node)) is not None}
        if Standing.UNKNOWN in gives:
            executions.append(number)
        elif gives == {Standing.ZERO} and reads:
            idle.append(number)
        elif gives == {Standing.FULL} or (goes_on and gives == {Standing.PARTIAL}):
            kept.append(number)
            continue
        else:
            continue
        sources |= reads
    if not executions and (kept or not idle or _gives_derivatives(holes, standings)):
        return None  # what gives derivatives elsewhere may well meet zeros
    return Spoiling(holes.statement, tuple(executions), tuple(idle), frozenset(sources), tuple(kept))


def _make_a_whole(read: Sequence[Node], standings: Standings) -> bool:
    """Whether what is read are the parts of one derivative: what comes from outside, and what later steps hand on."""
    parts = list({one.index: one for one in read if standings.of(one) is Standing.PARTIAL}.values())
    if len(parts) < 2 or len({one.shape for one in parts}) > 1:
        return False
    rest = [one for one in read if standings.of(one) is not Standing.PARTIAL]
    total = np.sum([np.asarray(one.value, np.float64) for one in parts], axis=0)
    return all(standings.of(one) in _WHOLE for one in rest) and standings.match(total)[0] is Standing.FULL


def _is_step(node: Node, steps: Collection[int]) -> bool:
    return node.index in steps or origin(node).index in steps


def _adds_what_is_none(nodes: list[Node], standings: Standings) -> bool:
    """Whether something is added that another statement of the backward calculated, and no derivative went into it.

    Where the backward begins with a mistake, all that follows is such: whoever adds it to derivatives is innocent.
    """
    own, run = {node.index for node in nodes}, standings.run
    sums = (node for node in nodes if node.op in SUMS and standings.carries[node.index])
    terms = (one for node in sums for one in node.inputs if one.index not in own)
    plain = (origin(one) for one in terms if standings.of(one) is Standing.PLAIN)
    return any(one.inputs and not run.is_forward(one) and one.index not in run.twins for one in plain)


def _gives_derivatives(holes: Holes, standings: Standings) -> bool:
    """Whether derivatives come about at some executions, read or not."""
    values = (node for node in holes.inner if node.op not in MOVES and standings.carries[node.index])
    return any(standings.of(node) <= Standing.PARTIAL for node in values)


@dataclass(frozen=True)
class Multiple:
    """A statement that gives a multiple of a derivative, and reads none.

    Attributes:
        statement: The statement.
        executions: Those at which it does.
        factor: How many times the derivative.
    """

    statement: Statement
    executions: tuple[int, ...]
    factor: float


def multiples(run: TapedRun) -> list[Multiple]:
    """All statements that give the same multiple of derivatives each time, in the order in which they were executed.

    Not those behind which another makes another multiple of it in place: that may be who takes a factor out.
    """
    standings = run.once(Ground).standings
    known = Known()
    derivatives = {index: value for index, value in standings.full_derivatives.items() if value.size > 1}
    for index, value in derivatives.items():
        known.add(_scaled(value), index)
    found: dict[int, tuple[Statement, dict[int, set[float]]]] = {}
    sources: dict[int, set[int]] = defaultdict(set)
    for node in _given_away(run):
        if run.is_forward(node) or standings.carries[node.index] or node.value is None or node.size < 2:
            continue
        value, giver = np.asarray(node.value, np.float64), _giver(node)
        number = known.find(_scaled(value)) if np.any(value) else None
        if number is None or giver.place is None or run.is_forward(giver) or not giver.inputs:
            continue
        factor = float(np.linalg.norm(value) / np.linalg.norm(derivatives[number]))
        statement = giver.place.statement
        found.setdefault(id(statement), (statement, {}))[1].setdefault(giver.execution, set()).add(factor)
        sources[id(statement)].add(number)
    last: list[int] = []
    made_in_place: list[set[int]] = []  # by those that come later
    for one in reversed(found):
        if sources[one] not in made_in_place:
            last.insert(0, one)
        if found[one][0].kind == "AugAssign":
            made_in_place.append(sources[one])
    told = [(found[one][0], sorted(found[one][1]), [f for fs in found[one][1].values() for f in fs]) for one in last]
    return [
        Multiple(statement, tuple(executions), factors[0])
        for statement, executions, factors in told
        if max(factors) - min(factors) <= EQUAL * max(factors) and abs(factors[0] - 1) > EQUAL
    ]


def _given_away(run: TapedRun) -> list[Node]:
    """What one statement has calculated and another reads."""
    read: set[int] = set()
    for node in run.nodes:
        own = None if node.place is None else node.place.statement
        for source in node.inputs:
            if source.place is not None and source.place.statement is not own:
                read.add(source.index)
    return [node for node in run.nodes if node.index in read]


def _scaled(value: Array) -> Array:
    """With its largest entry at one."""
    flat = np.ravel(value)
    largest = flat[np.argmax(np.abs(flat))]
    return value / largest if largest and np.isfinite(largest) else np.zeros_like(value)


def _giver(node: Node) -> Node:
    """What calculated or wrote a value that was handed on."""
    while node.op in (MOVES - {"store"}) | KEEPS and node.inputs:
        node = node.inputs[0]
    return node


def _calculated_from(nodes: list[Node], holes: Holes, totals: set[tuple[int, int]]) -> Iterator[Node]:
    """What an execution calculates with: of an array of which it takes a part, that part."""
    own = {node.index: node for node in nodes}
    for node in nodes:
        if node.op in MOVES:
            continue
        for source in read_by([node], holes, totals):
            begin = source
            while begin.op in MOVES and begin.index in own and begin.inputs:
                begin = begin.inputs[0]
            if begin.index not in own:
                yield source


def _given(nodes: list[Node], holes: Holes, totals: set[tuple[int, int]], by_name: set[tuple[int, int]]) -> list[Node]:
    """What an execution calculates and gives away; of a sum that it goes on with, what it adds."""
    own = {node.index for node in nodes}
    outside = {node.index for node in holes.given}
    result: dict[int, Node] = {}
    for node in nodes:
        terms = [one for number, one in enumerate(node.inputs) if slot_of(node, number) not in totals]
        goes_on = len(terms) < len(node.inputs) and _changed(node, by_name) is None
        if not goes_on and node.index not in outside:
            continue
        for term in terms if goes_on else [node]:
            while term.op in MOVES and len(term.inputs) == 1 and term.inputs[0].index in own:
                term = term.inputs[0]
            if term.op not in MOVES and term.index in own:
                result[term.index] = term
    return list(result.values())


def _changed(node: Node, by_name: set[tuple[int, int]]) -> int | None:
    """Which of its inputs is what the statement changes, in place or by its name."""
    if len(node.inputs) < 2 or node.place is None:
        return None
    if node.place.kind == "augment":
        return 0
    return next((number for number in range(len(node.inputs)) if slot_of(node, number) in by_name), None)


def _before(nodes: list[Node], by_name: set[tuple[int, int]], *, among: bool) -> Iterator[Node]:
    """What an execution changes, by sums (or by other operations)."""
    for node in nodes:
        number = _changed(node, by_name)
        if number is not None and node.op not in MOVES and (node.op in SUMS) is among:
            yield node.inputs[number]
