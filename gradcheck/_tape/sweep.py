"""Going back over the tape."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from gradcheck._common.cells import format_place
from gradcheck._common.clock import look
from gradcheck._tape.nodes import MOVES, Array, Node, TapeError

#: nodes between two looks at the clock
NODES_A_LOOK = 256
#: terms of a loss that are told apart
MOST_TERMS = 32
_ADDS = frozenset({"add", "subtract", "sum", "mean"})
_SCALES = frozenset({"negative", "multiply", "divide", "float", "astype"})
#: what is told of each use of a value: the consumer's index, which of its inputs, and what comes back through it
Use = Callable[[int, int, Array], None]


def sweep(
    nodes: list[Node],
    seeds: Mapping[int, Array],
    told: Use | None = None,
    cut: Collection[int] = (),
    kept: Collection[int] | None = None,
) -> list[Array | None]:
    """The derivative with respect to each node, (m, *its shape), given those with respect to some; None if m is 0.

    Nodes in `cut` count as given values: nothing is carried back beyond them. If some are `kept`, only those come back.
    """
    found: list[Array | None] = [None] * len(nodes)
    if not any(len(seed) for seed in seeds.values()):
        return found
    for index, seed in seeds.items():
        found[index] = np.asarray(seed, np.float64)
    with np.errstate(all="ignore"):
        for index in range(max(seeds), min(kept, default=0) - 1 if kept is not None else -1, -1):
            if not index % NODES_A_LOOK:
                look()
            g = found[index]
            if g is None:
                continue
            if kept is not None and index not in kept:
                found[index] = None
            if index in cut:
                continue
            node = nodes[index]
            for operand, (source, pull) in enumerate(zip(node.inputs, node.pulls, strict=True)):
                try:
                    part = pull(g).reshape(len(g), *source.shape)
                except Exception as error:
                    raise _failed(node, error) from error
                if told is not None:
                    told(index, operand, part)
                before = found[source.index]
                found[source.index] = part if before is None else before + part
    return found


def seeds_of_terms(loss: Node, derivative: float) -> dict[int, Array]:
    """The derivatives with respect to the values that a loss adds up, each term by itself; of an array that it sums
    each step or sample is one. Nothing where there are too many, or one alone.
    """
    told: list[tuple[Node, Array]] = []
    waiting = [(loss, np.full((1, *loss.shape), derivative))]
    while waiting and len(told) + len(waiting) <= MOST_TERMS:
        node, seed = waiting.pop()
        of_tape = list(zip(node.inputs, node.pulls, strict=True))
        if node.op in _ADDS and of_tape:
            waiting += [(source, pull(seed).reshape(1, *source.shape)) for source, pull in of_tape]
        elif node.op in _SCALES | MOVES and len(of_tape) == 1:
            ((source, pull),) = of_tape
            waiting.append((source, pull(seed).reshape(1, *source.shape)))
        else:
            told += [(node, one) for one in _each(seed)]
    if waiting or not 1 < len(told) <= MOST_TERMS:
        return {}
    result: dict[int, Array] = {}
    for number, (node, seed) in enumerate(told):
        result.setdefault(node.index, np.zeros((len(told), *node.shape)))[number] += seed[0]
    return result


def _each(seed: Array) -> list[Array]:
    """The parts of it along its first axis."""
    if seed.ndim < 2:
        return [seed]
    parts = []
    for number in range(seed.shape[1]):
        part = np.zeros_like(seed)
        part[:, number] = seed[:, number]
        parts.append(part)
    return parts


def _failed(node: Node, error: Exception) -> TapeError:
    place = node.place
    where = "" if place is None else f" ({format_place(place.file, place.line)})"
    return TapeError(f"the tape cannot go back through {node.op}{where}: {type(error).__name__}: {error}")


def seeds_of(sinks: Mapping[str, Node | None], projections: Mapping[str, Array]) -> dict[int, Array]:
    """Where a sweep begins for projections of values, (m, *their shape) each: by the index of the value's node."""
    seeds: dict[int, Array] = {}
    for name, projection in projections.items():
        sink = sinks.get(name)
        if sink is not None:
            seed = np.asarray(projection, np.float64).reshape(len(projection), *sink.shape)
            seeds[sink.index] = seeds[sink.index] + seed if sink.index in seeds else seed
    return seeds


def ancestors(*starts: Node) -> set[int]:
    """The indices of all that values were calculated from, and their own."""
    result, waiting = {start.index for start in starts}, list(starts)
    while waiting:
        for source in waiting.pop().inputs:
            if source.index not in result:
                result.add(source.index)
                waiting.append(source)
    return result


def numbered(node: Node) -> Array:
    """The entries of a value counted from one, as derivatives: pulled back they tell where each of them comes from."""
    return np.arange(1.0, node.size + 1).reshape(1, *node.shape)


def entries_of(view: Node) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Which entries of its array a view takes, in its order; those that it takes twice, once."""
    taken = np.ravel(view.pulls[0](numbered(view)))
    held = np.flatnonzero(taken)
    return held[np.argsort(taken[held])]
