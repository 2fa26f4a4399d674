"""Edits after which a statement that spoils derivatives gives one, here and at another point."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeAlias

import numpy as np

from gradcheck._common.errors import TargetError
from gradcheck._localising.ground import Ground
from gradcheck._localising.misdirected import TermsOfParameters, spoiling_or_misdirected
from gradcheck._localising.spoiling import Spoiling
from gradcheck._localising.standing import Known, Standing, origin, shares
from gradcheck._mending import Again
from gradcheck._mending.derivatives import EditsToDerivatives, Look
from gradcheck._mending.residual import agree
from gradcheck._tape import MOVES, Node, Statement, TapedRun
from gradcheck._tape.nodes import Array
from gradcheck._usercode.source import Edit

#: values of the forward that are looked at before those whose derivatives are read
MOST_NEAR = 60

#: a statement with the executions at which it gives no derivative: file, line, text, executions
Tried: TypeAlias = tuple[str, int, str, tuple[int, ...]]


def edits_to_derivatives(
    run: TapedRun,
    wrong: Sequence[Spoiling],
    again: Sequence[Again],
    fruitless: set[Tried],
    all_wrong: Callable[[TapedRun], list[Spoiling]] = spoiling_or_misdirected,
) -> list[list[tuple[Edit, ...]]]:
    """For each statement, edits after which it gives a derivative, here and at the first other point where it can.

    Args:
        run: The loss and the gradients, on the tape.
        wrong: The statements, with the executions that are looked at.
        again: Where else.
        fruitless: Those for which nothing was found in the same search; new ones are added.
        all_wrong: Finds the same statements in another run.
    """
    found = [None if _tried(one) in fruitless else EditsToDerivatives(_look(run, one)) for one in wrong]
    confirmed = [False] * len(wrong)
    for make in again if any(found) else ():
        if all(confirmed):
            break
        with suppress(TargetError), make() as other:
            keys = run.once(Ground).keys, other.once(Ground).keys
            there = {keys[1][id(one.statement)]: one for one in all_wrong(other)}
            for number, (one, edits) in enumerate(zip(wrong, found, strict=True)):
                same = there.get(keys[0][id(one.statement)])
                if edits and same is not None and not confirmed[number]:
                    edits.keep(_look(other, same))
                    confirmed[number] = True
    result = [one.nearest if one and is_confirmed else [] for one, is_confirmed in zip(found, confirmed, strict=True)]
    fruitless.update(_tried(one) for one, edits in zip(wrong, result, strict=True) if not edits)
    return result


def _tried(one: Spoiling) -> Tried:
    return one.statement.file, one.statement.line, one.statement.text, one.executions


def _look(run: TapedRun, one: Spoiling) -> Look:
    if one.wanted:
        return _look_for_wanted(run, one)
    return _look_at_term(run, one) if one.of else _look_at_derivative(run, one)


def _looking(run: TapedRun, one: Spoiling) -> Callable[..., Look]:
    """A look at the statement, at its executions; it has to be told what is looked for."""
    return partial(Look, run, one.statement, one.executions, one.idle, one.kept)


def _look_for_wanted(run: TapedRun, one: Spoiling) -> Look:
    """Where it is known what belongs there."""
    wanted = Known()
    for each in one.wanted:
        wanted.add(each.value, each.source)

    def told(value: Array) -> Sequence[Node]:
        return [run.nodes[number] for number in wanted.find_all(value)]

    return _looking(run, one)(
        is_known=lambda value: wanted.find(value) is not None,
        lookup=told,
        parts=told,
        shares=told,
        near=[],
        wanted=[(run.nodes[each.source], each.value) for each in one.wanted],
        at=one.at,
    )


def _look_at_term(run: TapedRun, one: Spoiling) -> Look:
    """Where a term of one gradient is asked for."""
    terms, parameter = run.once(TermsOfParameters).of(one.of), run.leaves[one.of]

    def is_term(value: Array) -> bool:
        return terms is not None and bool(np.any(value)) and terms.find(value) is not None

    def told(value: Array) -> Sequence[Node]:
        return [parameter] if is_term(value) else []

    return _looking(run, one)(is_known=is_term, lookup=told, parts=told, shares=told, near=[])


def _look_at_derivative(run: TapedRun, one: Spoiling) -> Look:
    standings, calculated = run.once(Ground).standings, run.once(_Calculated)
    taken = one.sources | calculated.sources_of_others(one.statement)

    def known(value: Array, numbers: Callable[[Array], list[int]]) -> Sequence[Node]:
        if not np.any(value) or calculated.is_of_another(value, one.statement):
            return []
        found = [node for number in numbers(value) if not _is_constant(node := standings.node_of(number))]
        return [] if any(origin(node).index in taken for node in found) else found

    def parts(value: Array) -> Sequence[Node]:
        return known(value, standings.partial.find_all)

    return _looking(run, one)(
        is_known=lambda value: standings.any.find(value) is not None,
        lookup=lambda value: known(value, standings.full.find_all),
        parts=parts,
        shares=lambda value: [node for node in parts(value) if calculated.gives_rest(node, value, one.statement)],
        near=list(_near(run, one)),
    )


def _is_constant(node: Node) -> bool:
    """Whether it comes from outside, as a mask does, and is no parameter: nobody means to give its derivative."""
    begin = origin(node)
    return begin.op in ("leaf", "view", "item") and not begin.inputs and begin.label is None


class _Calculated:
    """What statements of the backward calculate from derivatives: no two calculate the same."""

    def __init__(self, run: TapedRun) -> None:
        standings = run.once(Ground).standings
        self._known, self._handed_on, self._uses = Known(), Known(), standings.uses
        for node in run.backward:
            if node.op in MOVES and node.value is not None and standings.carries[node.index]:
                self._handed_on.add(np.asarray(node.value, np.float64), node.index)
        self._givers: dict[int, Statement] = {}
        #: by the index of a value of the forward: the identities of statements that calculate its whole derivative
        self._of_source: dict[int, set[int]] = defaultdict(set)
        for statement, node in standings.calculated:
            value = np.asarray(node.value, np.float64)
            self._known.add(value, node.index)
            self._givers[node.index] = statement
            if standings.of(node) is Standing.FULL:
                # of equal derivatives, as of the terms of a sum, it is not known which is meant
                for number in standings.full.find_all(value):
                    self._of_source[origin(standings.node_of(number)).index].add(id(statement))

    def is_of_another(self, value: Array, statement: Statement) -> bool:
        """Whether another statement calculates it."""
        return any(self._givers[number] is not statement for number in self._known.find_all(value))

    def gives_rest(self, node: Node, value: Array, statement: Statement) -> bool:
        """Whether others calculate what comes back to a value of the forward through each use but some, through which
        this comes."""
        uses = self._uses.get(node.index, [])
        is_one_shape = all(one.shape == value.shape for one in uses)  # what reads more brings back more
        for some, others in shares(uses) if is_one_shape else ():
            if agree(np.sum(some, axis=0), value):
                return all(self._is_handed_on(one) or self.is_of_another(one, statement) for one in others)
        return False

    def _is_handed_on(self, value: Array) -> bool:
        """Whether it is a part of a derivative that is taken as it is, as that of one step."""
        return self._handed_on.find(value) is not None

    def sources_of_others(self, statement: Statement) -> frozenset[int]:
        """The indices of values of the forward whose derivatives other statements calculate."""
        return frozenset(index for index, givers in self._of_source.items() if givers != {id(statement)})


def _near(run: TapedRun, one: Spoiling) -> Iterator[Node]:
    """What the values whose derivatives are read were calculated from, the nearest first."""
    seen: dict[int, Node] = {}
    standings = run.once(Ground).standings
    layer: list[Node] = [standings.node_of(index) for index in sorted(one.sources)]
    while layer and len(seen) < MOST_NEAR:
        inputs = (each for node in layer for each in node.inputs)
        layer = list({each.index: each for node in inputs for each in _same(node) if each.index not in seen}.values())
        seen.update((node.index, node) for node in layer)
    yield from seen.values()


def _same(node: Node) -> Iterator[Node]:
    """A value, and what it was before it was handed on."""
    yield node
    while node.op in MOVES and len(node.inputs) == 1:
        node = node.inputs[0]
        yield node
