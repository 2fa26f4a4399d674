"""The values that a hole would need for all gradients to be right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gradcheck._localising.solving import range_of
from gradcheck._mending.residual import TOLERANCE, Residual
from gradcheck._mending.series import Series, orders
from gradcheck._tape import Node, TapedRun
from gradcheck._tape.nodes import Array

#: values of a hole that are solved for
MOST_UNKNOWN = 600


@dataclass(frozen=True)
class Known:
    """A series of derivatives that the hole needs: their values, which of the series each is, and what they make right.

    Where there is another fault, that is not all that is wrong.
    """

    series: Series
    values: list[Array]
    which: list[int]
    right: frozenset[str]


def as_derivatives(
    residual: Residual, nodes: list[Node], held: Mapping[int, Array], everywhere: list[Node]
) -> Known | None:
    """Derivatives of one value of the forward that the hole needs at its executions; None if they are of no one.

    Those that make most gradients right: what makes any right, and none wrong, is no chance. Of those that make as many
    right, the ones that leave most as it is: what a mask holds back need not be right for any gradient, but it is read.

    Args:
        residual: What the gradients lack.
        nodes: The values of the hole that matter to them.
        held: How the projections move with these.
        everywhere: The values of the hole at all executions.
    """
    if len({node.shape for node in nodes}) != 1:
        return None
    live = {node.index for node in nodes}
    calls = {id(node.call) for node in nodes}
    of_calls = [node for node in everywhere if id(node.call) in calls and node.shape == nodes[0].shape]
    best, reached = None, (0, 0)
    for series in residual.series:
        if series.shape != nodes[0].shape:
            continue
        for places in (nodes, of_calls) if len(of_calls) > len(nodes) else (nodes,):
            for order in orders([node.call for node in series.nodes], [node.call for node in places]):
                pairs = zip(places, order, strict=True)
                given = {node.index: series.values[j] for node, j in pairs if node.index in live}
                wanted = [given[node.index] for node in nodes]
                moved = [(value - node.value).ravel() for node, value in zip(nodes, wanted, strict=True)]
                changes = [held[node.index] @ move for node, move in zip(nodes, moved, strict=True)]
                change = np.sum(changes, axis=0)
                judgement = residual.judged(change)
                kept = len(judgement.right), -sum(map(_entries_moved, moved, wanted))
                if judgement.broken or not judgement.right or (best is not None and kept <= reached):
                    continue
                which = {node.index: j for node, j in zip(places, order, strict=True)}
                best, reached = Known(series, wanted, [which[node.index] for node in nodes], judgement.right), kept
    return best


def _entries_moved(by: Array, wanted: Array) -> int:
    """How many entries are others than they have to be."""
    return int(np.sum(np.abs(by) > TOLERANCE * np.max(np.abs(wanted), initial=0.0)))


def are_known(run: TapedRun, nodes: list[Node]) -> bool:
    """Whether all gradients are right if values are the derivatives of one value of the forward, at its executions."""
    residual = run.once(Residual)
    is_memory = any(node.value is None for node in nodes)  # after a write
    if is_memory or not residual.wrong or not residual.wrong <= set(residual.names):
        return False
    held = residual.held({node.index for node in nodes})
    moving = [node for node in nodes if np.any(held.get(node.index, 0.0))]
    known = as_derivatives(residual, moving, held, nodes)
    return known is not None and known.right == residual.wrong


def by_least_squares(residual: Residual, nodes: list[Node]) -> tuple[list[Array], bool] | None:
    """The smallest change of the values after which all gradients are right, and whether it is the only one."""
    unknown = sum(node.size for node in nodes)
    if not 0 < unknown <= MOST_UNKNOWN:
        return None
    count = min(unknown + 8, sum(residual.truth[name].size for name in residual.names))
    projections, lacking = residual.dense(count)
    slopes = residual.held({node.index for node in nodes}, projections)
    if any(node.index not in slopes for node in nodes):
        return None
    matrix = np.hstack([slopes[node.index] for node in nodes])
    if not np.all(np.isfinite(matrix)):
        return None
    found, _, rank, _ = np.linalg.lstsq(matrix, lacking, rcond=1e-10)
    if not np.linalg.norm(matrix @ found - lacking) <= 1e-6 * np.linalg.norm(lacking):
        return None
    ends = np.cumsum([0, *(node.size for node in nodes)])
    values = [
        node.value + found[first:last].reshape(node.shape)
        for node, first, last in zip(nodes, ends, ends[1:], strict=False)
    ]
    return values, int(rank) == unknown


def needed_elements(residual: Residual, by_element: list[list[Node]]) -> list[int]:
    """Of the elements of a tuple, each with its values, those that are enough for all gradients to be right.

    All are kept where that is not worked out.
    """
    sizes = [sum(node.size for node in nodes) for nodes in by_element]
    if not sum(sizes) <= MOST_UNKNOWN:
        return list(range(len(by_element)))
    rows = min(sum(sizes) + 8, sum(residual.truth[name].size for name in residual.names))
    projections, lacking = residual.dense(rows)
    slopes = residual.held((), projections, beside={node.index for nodes in by_element for node in nodes})
    columns = [[slopes[node.index] for node in nodes if node.index in slopes] for nodes in by_element]

    def suffice(elements: list[int]) -> bool:
        found = [column for one in elements for column in columns[one]]
        return bool(found) and range_of(np.hstack(found)).holds(lacking)

    kept = list(range(len(sizes)))
    for one in sorted(kept, key=lambda one: -sizes[one]):
        others = [each for each in kept if each != one]
        if suffice(others):
            kept = others
    return kept
