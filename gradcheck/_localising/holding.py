"""What each statement of a backward holds, over all of its executions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from gradcheck._localising.labels import Known, Labels
from gradcheck._localising.standing import Standings
from gradcheck._localising.tape import MOVES, Node, Place, Statement, TapedRun

#: what is said of one place, at most
MOST_SAID = 3


@dataclass
class Given:
    """What a statement gives at one place, each execution; of a sum that goes on, what is added as well."""

    place: Place
    nodes: list[Node] = field(default_factory=list)
    added: list[Node] = field(default_factory=list)
    #: whether only what is read elsewhere is known of it
    is_last_only: bool = False


def given_by_statement(run: TapedRun) -> dict[Statement, list[Given]]:
    """What the statements of the backward bind, store, add and return."""
    found: dict[Statement, dict[int, Given]] = defaultdict(dict)
    others: dict[Statement, dict[int, Given]] = defaultdict(dict)
    handed_on = _handed_on(run)
    for node in run.nodes:
        place = node.place
        if place is None or run.is_forward(node):
            continue
        if place.kind == "augment" and node.op != "store":
            given = found[place.statement].setdefault(place.number, Given(place))
            given.nodes.append(node)
            given.added += node.inputs[-1:] if len(node.inputs) > 1 else []
        elif node.op in ("store", "add.at"):
            given = found[place.statement].setdefault(place.number, Given(place))
            kept = [one for one in node.inputs[1:] if one.value is not None] or list(node.inputs[-1:])
            if place.kind != "augment":
                given.nodes += kept[-1:]
        elif place.statement.kind in ("Return", "Expr") and (
            node.index in handed_on or (place.kind in ("element", "return") and place.statement.kind == "Return")
        ):
            found[place.statement].setdefault(place.number, Given(place)).nodes.append(node)
        elif node.index in handed_on:
            others[place.statement].setdefault(place.number, Given(place)).nodes.append(node)
    for binding in run.bindings:
        bound = binding.node
        if bound is None or binding.place.kind not in ("bind", "store") or run.is_forward(bound):
            continue
        if binding.place.statement.kind == "AugAssign":
            continue
        given = found[binding.place.statement].setdefault(binding.place.number, Given(binding.place))
        if bound not in given.nodes:
            given.nodes.append(bound)
    for statement, places in others.items():  # what goes into a dict or a list
        if statement not in found:
            found[statement] = places
            for given in places.values():
                given.is_last_only = len(given.nodes) < run.executions(given.place)
    return {statement: list(places.values()) for statement, places in found.items()}


def _handed_on(run: TapedRun) -> set[int]:
    """The results of calculations that other statements read, or that are returned as gradients."""
    found = {sink.index for sink in run.sinks.values() if sink is not None}
    for node in run.nodes:
        for source in node.inputs:
            if source.place is not None and (node.place is None or node.place.statement is not source.place.statement):
                found.add(source.index)
    return {index for index in found if run.nodes[index].op not in MOVES}


class Words:
    """Says what values are."""

    def __init__(self, run: TapedRun, labels: Labels, standings: Standings) -> None:
        self.run, self.labels, self.standings = run, labels, standings

    def everywhere(self, given: Given) -> Known | None:
        """The one derivative that a place gives at all of its executions, or a sum in the end; None if there is none.

        At some of them it may be a value of the forward as well: of h**2 / 2 the derivative is h at the last step.
        """
        nodes = given.nodes[-1:] if given.added or given.is_last_only else given.nodes
        known = {self.known(node) for node in nodes}
        if None in known and len(known) == 2:
            known = {None if one.value is None else self.labels.of(np.asarray(one.value, np.float64)) for one in nodes}
        return known.pop() if len(known) == 1 else None

    def of(self, given: Given) -> str:
        """What a place holds; empty where nothing is known of it, or it holds no derivative."""
        if given.added or given.is_last_only:
            return self._of_sum(given)
        known = [self.known(node) for node in given.nodes]
        if not any(known):
            return ""
        groups: dict[str, list[int]] = defaultdict(list)
        for k, one in enumerate(known):
            if one is not None:
                groups[str(one)].append(k)
        return " | ".join(_where(words, at, given.nodes) for words, at in list(groups.items())[:MOST_SAID])

    def known(self, node: Node) -> Known | None:
        """The derivative that a value is; none where it is a value of the forward."""
        if node.value is None or not self.standings.carries[node.index]:
            return None
        return self.labels.of(np.asarray(node.value, np.float64))

    def _of_sum(self, given: Given) -> str:
        """A sum that goes on: what it is in the end, and what each execution adds."""
        ends = [one for node in given.nodes if (one := self.known(node)) is not None and not one.is_part]
        end = ", ".join(list(dict.fromkeys(str(one) for one in ends))[:MOST_SAID])
        added = [self.known(node) for node in given.added]
        terms = list(dict.fromkeys(one.through for one in added if one is not None and one.through))
        if end:
            each = f"; adds the term through {_listed(terms)}" if terms else ""
            if len(given.nodes) == 1:
                return f"{end}{each}"
            return f"{end} in the end" + (f"{each} at each step" if each else "")
        names = list(dict.fromkeys(str(one) for one in added if one is not None))
        return f"adds {_listed(names)}" if names and all(added) else ""


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:MOST_SAID])


def _where(words: str, at: list[int], nodes: list[Node]) -> str:
    """The words, with the executions at which they hold if not at all of them."""
    if len(at) == len(nodes):
        return words
    numbers = ", ".join(str(k + 1) for k in at) if len(at) <= MOST_SAID else _span(at)
    return f"{words} at execution{'s' if len(at) > 1 else ''} {numbers} of {len(nodes)}"


def _span(at: list[int]) -> str:
    if at == list(range(at[0], at[-1] + 1)):
        return f"{at[0] + 1} to {at[-1] + 1}"
    return ", ".join(str(k + 1) for k in at)


def values_of(given: Given) -> Iterator[Node]:
    """All of its values."""
    yield from given.nodes
    yield from given.added
