"""Derivatives of the loss that the forward's tape knows, each as a series over the executions of a place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradcheck._tape import Call, Node, TapedRun
from gradcheck._tape.nodes import Array


@dataclass(frozen=True)
class Series:
    """The derivative with respect to one value of the forward, at each execution of its place.

    Attributes:
        nodes: The values, or those that use them.
        operand: Which operand of the nodes is meant; None for the nodes themselves.
        partial: Whether only that use counts.
        values: The derivatives.
    """

    nodes: tuple[Node, ...]
    operand: int | None
    partial: bool
    values: tuple[Array, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of each derivative."""
        return self.values[0].shape


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
    for nodes in groups.values():
        for one in _of_group(run, nodes):
            key = b"".join(np.ascontiguousarray(value).tobytes() for value in one.values)
            if key not in known:
                known.add(key)
                result.append(one)
    return result


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
