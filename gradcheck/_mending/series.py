"""Derivatives of the loss that the forward's tape knows, each as a series over the executions of a place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradcheck._tape import Call, Node, TapedRun
from gradcheck._tape.nodes import Array

#: kinds of uses of one value that are left out by turns
MOST_KINDS = 6
#: by this much larger and back again, a number loses 20 of its 53 binary digits (T. J. Dekker, 1971)
_ROUNDING = 2.0**20 + 1
#: the place and the operation of what uses a value
Kind = tuple[int, str]


def kind_of(consumer: Node) -> Kind:
    """Of which kind a use is."""
    return (-1 if consumer.place is None else consumer.place.number, consumer.op)


@dataclass(frozen=True)
class Series:
    """The derivative with respect to one value of the forward, at each execution of its place.

    Attributes:
        nodes: The values, or those that use them.
        operand: Which operand of the nodes is meant; None for the nodes themselves.
        partial: Whether only that use counts.
        values: The derivatives.
        without: The kind of use that does not count.
    """

    nodes: tuple[Node, ...]
    operand: int | None
    partial: bool
    values: tuple[Array, ...]
    without: Kind | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of each derivative."""
        return self.values[0].shape

    @property
    def sources(self) -> list[Node]:
        """The values whose derivatives they are."""
        return [node if self.operand is None else node.inputs[self.operand] for node in self.nodes]


def all_series(run: TapedRun) -> list[Series]:
    """Every series of the forward, each once."""
    groups: dict[tuple[int, str, int], list[Node]] = {}
    seen: dict[tuple[int, str, int], int] = {}
    found = run.derivatives
    for node in run.nodes:
        if node.place is None or found[node.index] is None or node.index in run.twins:
            continue
        here = (node.place.number, node.op, node.execution)
        nth = seen[here] = seen.get(here, -1) + 1
        groups.setdefault((node.place.number, node.op, nth), []).append(node)
    result: list[Series] = []
    known: set[bytes] = set()
    parts = _by_kind(run)
    whole = [one for nodes in groups.values() for one in _of_group(run, nodes)]
    less = [one for series in whole if not series.partial for one in _less_one_kind(series, parts)]
    for one in [*whole, *less]:
        key = b"".join(_rounded(value).tobytes() for value in one.values)
        if key not in known:
            known.add(key)
            result.append(one)
    return result


def _rounded(value: Array) -> Array:
    """Without its last digits, which differ where the same is calculated in two ways, or lies elsewhere in memory."""
    scaled = np.ascontiguousarray(value, np.float64) * _ROUNDING
    return np.asarray(scaled - (scaled - value) + 0.0)


def _of_group(run: TapedRun, nodes: list[Node]) -> Iterator[Series]:
    shapes = {node.shape for node in nodes}
    if len(shapes) == 1:
        own = [run.derivatives[node.index] for node in nodes]
        yield Series(tuple(nodes), None, False, tuple(value for value in own if value is not None))
    for operand in range(min(len(node.inputs) for node in nodes)):
        inputs = [node.inputs[operand] for node in nodes]
        if len({node.shape for node in inputs}) > 1:
            continue
        whole = [run.derivatives[node.index] for node in inputs]
        part = [run.contributions.get((node.index, operand)) for node in nodes]
        if all(value is not None for value in whole):
            yield Series(tuple(nodes), operand, False, tuple(value for value in whole if value is not None))
        if all(value is not None for value in part):
            yield Series(tuple(nodes), operand, True, tuple(value for value in part if value is not None))


def _by_kind(run: TapedRun) -> dict[int, dict[Kind, Array]]:
    """What comes back to each value through its uses of each kind."""
    result: dict[int, dict[Kind, Array]] = {}
    for (consumer, operand), part in run.contributions.items():
        node = run.nodes[consumer]
        kinds = result.setdefault(node.inputs[operand].index, {})
        kind = kind_of(node)
        kinds[kind] = kinds[kind] + part if kind in kinds else part
    return result


def _less_one_kind(series: Series, parts: dict[int, dict[Kind, Array]]) -> Iterator[Series]:
    """The same without what comes back through one kind of use: what a carry brings to the step before."""
    sources = series.sources
    kinds = {kind: None for source in sources for kind in parts.get(source.index, {})}
    for kind in kinds if 1 < len(kinds) <= MOST_KINDS else ():
        pairs = zip(sources, series.values, strict=True)
        values = [whole - parts.get(source.index, {}).get(kind, 0.0) for source, whole in pairs]
        if any(np.any(value) for value in values):
            yield Series(series.nodes, series.operand, False, tuple(np.asarray(value) for value in values), kind)


def orders(forward: list[Call | None], backward: list[Call | None]) -> list[list[int]]:
    """Which execution of the forward each one of the backward may belong to: by calls, in either direction."""
    first, second = _blocks(forward), _blocks(backward)
    count = len(backward)
    result: list[list[int]] = []
    if len(forward) == count:
        result += [list(range(count - 1, -1, -1)), list(range(count))]
    if [len(one) for one in first] == [len(one) for one in second[::-1]] and len(first) > 1:
        result.append([j for block, _ in zip(first[::-1], second, strict=True) for j in block])
    if [len(one) for one in first] == [len(one) for one in second] and len(first) > 1:
        result.append([j for block in first for j in block[::-1]])
    return [one for k, one in enumerate(result) if one not in result[:k]]


def _blocks(calls: list[Call | None]) -> list[list[int]]:
    """Consecutive executions in the same call."""
    result: list[list[int]] = []
    last: object = result
    for number, call in enumerate(calls):
        if call is not last:
            result.append([])
            last = call
        result[-1].append(number)
    return result
