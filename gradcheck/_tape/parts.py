"""Parts of one gradient: what the forward takes apart, as the gates of one matrix, or parameters in one flat array.

A gradient with two faults in it is right only once both are mended. Told part by part, each fault shows by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck._tape.nodes import Array, Cell, Node
from gradcheck._tape.sweep import sweep

#: parts into which the forward takes one value, and values that are looked at
MOST_PARTS = 12
MOST_VALUES = 16
#: what stands between the name of a gradient and the number of its part
_BETWEEN = " · part "
_TAKEN = frozenset({"view", "item"})

#: by the name of a gradient, the entries of each part
Parts = Mapping[str, Sequence[Array]]


def whole_name(name: str) -> str:
    """The gradient that a part, by its name, is of."""
    return name.partition(_BETWEEN)[0]


def in_parts(gradients: Mapping[str, Any], parts: Parts) -> dict[str, Any]:
    """The gradients, those that have parts told by these; what has another shape is left as it is."""
    result: dict[str, Any] = {}
    for name, value in gradients.items():
        masks = parts.get(name, ())
        if not masks or np.shape(value) != masks[0].shape:
            result[name] = value
            continue
        result |= {f"{name}{_BETWEEN}{number}": np.asarray(value)[mask] for number, mask in enumerate(masks, 1)}
    return result


def parts_of_sink(sink: Node, masks: Sequence[Array], first: int) -> list[Node]:
    """The values of the parts of a gradient, as nodes that are numbered from `first`."""
    values = [np.asarray(sink.value)[mask] for mask in masks]
    return [
        Node(first + k, "item", (sink,), (_scattering(mask),), value.shape, Cell(value), None, 0, None)
        for k, (mask, value) in enumerate(zip(masks, values, strict=True))
    ]


def _scattering(mask: Array) -> Callable[[Array], Array]:
    def pull(g: Array) -> Array:
        result = np.zeros((len(g), *mask.shape))
        result[:, mask] = g.reshape(len(g), -1)
        return result

    return pull


def parts_of_parameters(nodes: list[Node], leaves: Mapping[str, Node]) -> dict[str, list[Array]]:
    """Of each parameter that has such, the entries that what the forward takes apart is calculated from.

    Args:
        nodes: Those of the forward.
        leaves: The parameters, by name.
    """
    result: dict[str, list[Array]] = {}
    for whole, masks, before in _taken_apart(nodes):
        rng = np.random.default_rng(0)
        seeds = np.array([np.where(mask, rng.uniform(0.5, 1.5, mask.shape), 0.0) for mask in masks])
        found = sweep(nodes[: whole.index + 1], {whole.index: seeds}, cut=before)
        for name, leaf in leaves.items():
            moved = found[leaf.index] if leaf.index < len(found) else None
            if moved is None:
                continue
            reached = [one for one in moved.reshape(len(masks), *leaf.shape) != 0 if one.any()]
            count = sum(one.astype(int) for one in reached)
            if len(reached) > max(1, len(result.get(name, ()))) and np.all(count <= 1):
                rest = count == 0
                result[name] = [*reached, rest] if np.any(rest) else reached
    return result


def _taken_apart(nodes: Sequence[Node]) -> Iterator[tuple[Node, list[Array], set[int]]]:
    """Values of which others are parts that have nothing in common; where these are, and what was calculated before.

    Of a value that is calculated at each step the last is told, in which all has mattered, and what was calculated by
    the step before: through that, each part depends on all of a parameter.
    """
    taken: dict[int, dict[bytes, Array]] = defaultdict(dict)
    for node in nodes:
        if node.op in _TAKEN and len(node.inputs) == 1:
            mask = node.pulls[0](np.ones((1, *node.shape))).reshape(node.inputs[0].shape) != 0
            taken[node.inputs[0].index][mask.tobytes()] = mask
    of_place: dict[object, list[int]] = defaultdict(list)
    for index, masks in taken.items():
        if 1 < len(masks) <= MOST_PARTS and np.all(sum(mask.astype(int) for mask in masks.values()) <= 1):
            place = nodes[index].place
            of_place[index if place is None else (place.number, nodes[index].op)].append(index)
    for indices in list(of_place.values())[:MOST_VALUES]:
        *others, last = sorted(indices)
        before = {node.index for node in nodes[: max(others, default=-1) + 1] if node.op not in _TAKEN}
        yield nodes[last], list(taken[last].values()), before
