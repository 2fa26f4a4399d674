"""Statements that give a gradient what belongs to another one: the right derivative, of the wrong parameter.

Where two gates' names are mixed up, what is added is a derivative like any other. But each term of the gradient of a
parameter has to come back through a use of that parameter, and the forward's tape knows all of these.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck._localising.blame import SUMS
from gradcheck._localising.ground import Ground
from gradcheck._localising.misplaced import misplaced
from gradcheck._localising.reaching import Reaching
from gradcheck._localising.spoiling import Spoiling, spoiling
from gradcheck._localising.standing import Known, Standing, begun
from gradcheck._localising.tape import MOVES, Array, Node, Statement, TapedRun, scaled
from gradcheck._localising.unchanged import unchanged

#: operations by which a gradient is put together from its terms
_GATHERS = MOVES | SUMS | {"sum", "stack", "concatenate"}


def spoiling_or_misdirected(run: TapedRun) -> list[Spoiling]:
    """What gives no derivative, and what gives one to the wrong gradient, to a sum of others, or for that of others.

    Where it shows in other statements, these are told as well.
    """
    wrongly_given, spoils = run.once(misdirected), run.once(spoiling)
    told = {id(one.statement) for one in wrongly_given}
    known = {id(one.statement) for one in spoils}
    to_sums = [one for one in run.once(misplaced) if id(one.statement) not in known]
    handed_on = [one for one in run.once(unchanged) if id(one.statement) not in known]
    return [*handed_on, *(one for one in spoils if id(one.statement) not in told), *wrongly_given, *to_sums]


def misdirected(run: TapedRun) -> list[Spoiling]:
    """All of them, in the order in which they were first executed; each with the name of the gradient."""
    standings = run.once(Ground).standings
    reaching = run.once(Reaching)
    found: dict[tuple[int, str], tuple[Statement, set[int]]] = {}
    for name, sink in run.sinks.items():
        terms = run.once(TermsOfParameters).of(name)
        if sink is None or terms is None:
            continue
        others = [reaching.behind(other) for other in run.sinks if other != name]
        for term, first in _terms(run, sink, others):
            value = np.asarray(term.value, np.float64)
            if _is_unpacked(first):
                continue  # the names were mixed up before, where that was packed
            if standings.of(term) <= Standing.PARTIAL and term.shape == sink.shape and terms.find(value) is None:
                assert first.place is not None
                statement = first.place.statement
                found.setdefault((id(statement), name), (statement, set()))[1].add(first.execution)
    return [
        Spoiling(statement, _told(statement, sorted(executions)), (), frozenset(), of=name)
        for (_, name), (statement, executions) in found.items()
    ]


def _told(statement: Statement, executions: list[int]) -> tuple[int, ...]:
    """Of a sum that goes on only the first: what is added later is added to a wrong one."""
    return tuple(executions[:1] if statement.kind == "AugAssign" else executions)


def _is_unpacked(node: Node) -> bool:
    """Whether it only gives a name to an element of what a call gave back."""
    while node.op in ("pass", "element"):
        if node.op == "element" or not node.inputs:
            return True
        node = node.inputs[0]
    return False


def _terms(run: TapedRun, sink: Node, others: list[set[int]]) -> Iterator[tuple[Node, Node]]:
    """The terms of a gradient, each with the first value on its way that goes into this gradient alone."""
    seen = {sink.index}
    waiting: list[tuple[Node, Node | None]] = [(sink, None)]
    while waiting:
        node, first = waiting.pop()
        if node.place is not None and not any(node.index in nodes for nodes in others):
            first = node
        gathered = list(node.inputs) if node.op in _GATHERS else []
        if run.inner != 1.0:  # a factor that all gradients are freed of at the end
            gathered += [one for one, _ in scaled(node)]
        if gathered:
            for one in gathered:
                if one.index not in seen:
                    seen.add(one.index)
                    waiting.append((one, first))
        elif first is not None and node.value is not None and np.any(node.value):
            yield node, first


class TermsOfParameters:
    """By parameter: what comes back through each of its uses, and sums of these."""

    def __init__(self, run: TapedRun) -> None:
        standings = run.once(Ground).standings
        self._run, self._uses, self._of_terms = run, standings.uses, standings.parts_of_terms
        self._known: dict[str, Known | None] = {}

    def of(self, name: str) -> Known | None:
        """Those of the parameter of this name; None where the loss does not depend on it."""
        if name not in self._known:
            leaf = self._run.leaves.get(name)
            own = None if leaf is None else self._run.derivative(leaf)
            self._known[name] = None if leaf is None or own is None else self._terms_of(leaf, own)
        return self._known[name]

    def _terms_of(self, leaf: Node, own: Array) -> Known:
        result = Known()
        result.add(np.asarray(own), leaf.index)
        result.add(np.asarray(own) / self._run.inner, leaf.index)
        for number in self._handed_on(leaf):
            parts = self._uses.get(number, [])
            for part in (*parts, *begun(parts), *self._of_terms.get(number, [])):
                result.add(part, leaf.index)
        return result

    def _handed_on(self, leaf: Node) -> list[int]:
        """The parameter, and all that it is handed on as."""
        result = {leaf.index: None}
        for node in self._run.nodes[: self._run.boundary]:
            if node.op in MOVES and any(one.index in result for one in node.inputs):
                result[node.index] = None
        return list(result)
