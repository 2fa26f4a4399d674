"""Which execution of the forward a value of the backward belongs to: that whose values it hands on or reads."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from functools import cached_property
from itertools import combinations

import numpy as np

from gradcheck._localising.standing import origin
from gradcheck._localising.tape import MOVES, Array, Node, Place, TapedRun

#: a place of the forward in the calls around it, and the operation there
Series = tuple[tuple[Place, ...], Place, str]

#: how far back a value is followed
_MOST_MOVES = 100
#: of how many operations a function of one operand may consist
_DEEPEST = 8


class Provenance:
    """The values of the forward as series over the executions of their places."""

    def __init__(self, run: TapedRun) -> None:
        self.run = run
        self._series: dict[Series, list[Node]] = defaultdict(list)
        self._where: dict[int, tuple[Series, int]] = {}
        self._by_value: dict[tuple[tuple[int, ...], bytes], tuple[Series, int]] = {}
        for node in run.nodes:
            if node.place is None or node.value is None or node.index in run.twins or not run.is_forward(node):
                continue
            key = (node.call.stack if node.call is not None else (), node.place, node.op)
            self._where[node.index] = key, len(self._series[key])
            self._series[key].append(node)
            if node.op not in MOVES and node.size > 1:  # it may be read from memory that it was written into
                value = (node.shape, np.asarray(node.value).tobytes())
                self._by_value.setdefault(value, self._where[node.index])

    def step(self, node: Node) -> tuple[Series, int] | None:
        """The series of the forward that a value was handed on from, and which of it: 0 for the first execution."""
        node = origin(self.run.twins.get(node.index, node))
        node = origin(self.run.twins.get(node.index, node))
        found = self._where.get(node.index)
        return found or self._by_value.get((node.shape, np.asarray(node.value).tobytes()))

    def hands_on_forward(self, nodes: list[Node]) -> bool:
        """Whether these are values of the forward, or what it was given."""
        return any(self.step(node) is not None or self.run.is_forward(origin(node)) for node in nodes)

    def local_derivatives(self, nodes: list[Node]) -> Iterator[list[Array]]:
        """The derivatives of elementwise functions of the forward at the values that these were calculated from.

        A value belongs to the function whose result, or whose operand, is a value that was read for it.
        """
        read = [self._read(node) for node in nodes]
        for output in (True, False):
            table: dict[int, list[Array]] = defaultdict(list)
            for result, operand, slope in self._slopes:
                table[(result if output else operand).index].append(slope)
            found = [
                [slope for one in each for slope in table.get(one.index, ()) if slope.shape == node.shape]
                for node, each in zip(nodes, read, strict=True)
            ]
            if all(found):
                yield from ([each[k] for each in found] for k in range(min(map(len, found))))

    def _read(self, node: Node) -> list[Node]:
        """The values of the forward that a value was calculated from, by way of the calculations next to it."""
        result, waiting, seen = list[Node](), [node], set[int]()
        while waiting and len(seen) < _MOST_MOVES:
            one = waiting.pop()
            if one.index in seen:
                continue
            seen.add(one.index)
            handed = origin(self.run.twins.get(one.index, one))
            handed = self.run.twins.get(handed.index, handed)
            if handed.index in self._where:
                result.append(handed)
            else:
                waiting.extend(one.inputs)
        return result

    @cached_property
    def _slopes(self) -> list[tuple[Node, Node, Array]]:
        """Of elementwise functions: the result, the one operand, and the derivative of the one by the other."""
        result = []
        for series in self._series.values():
            for start in series:
                node, slope = start, np.ones((1, *start.shape))
                if start.is_complex:
                    slope[..., 1] = 0
                for _ in range(_DEEPEST):
                    if len(node.inputs) != 1 or node.inputs[0].shape != start.shape or node.op == "matmul":
                        break
                    slope = np.asarray(node.pulls[0](slope)).reshape(slope.shape)
                    moves = node.op in MOVES
                    node = node.inputs[0]
                    if not moves:
                        result.append((origin(start), origin(node), self.run.as_carried(node, slope[0])))
        return result

    def alternatives(self, nodes: list[Node]) -> Iterator[list[Array]]:
        """Other values of the forward in the place of some that are handed on: of another step, or another series."""
        steps = [self.step(node) for node in nodes]
        shapes = {node.shape for node in nodes}
        if len(shapes) != 1 or not any(steps):
            return
        usual = Counter(step[0] for step in steps if step is not None).most_common(1)[0][0]
        # what is of no such series was there before it began
        numbers = [step[1] if step is not None and step[0] == usual else -1 for step in steps]
        shape = shapes.pop()
        same = [usual, *(key for key, series in self._series.items() if key != usual and series[0].shape == shape)]
        for key in same:
            series = self._series[key]
            for shift in (0, 1, -1):
                if shift == 0 and key == usual:
                    continue
                chosen = [number + shift if number >= 0 or shift > 0 else None for number in numbers]
                if all(one is None or 0 <= one < len(series) for one in chosen):
                    yield [
                        np.asarray(node.value if one is None else series[one].value)
                        for node, one in zip(nodes, chosen, strict=True)
                    ]


def neighbours_first(count: int) -> list[tuple[int, int]]:
    """All pairs of so many things in a row, by their numbers: what is exchanged mostly stands beside each other."""
    return sorted(combinations(range(count), 2), key=lambda pair: pair[1] - pair[0])


def each_others(nodes: list[Node], needed: Collection[Place | None] = ()) -> Iterator[list[Array]]:
    """The values of two places exchanged at all executions, of neighbours first; those that are needed among them."""
    by_place: dict[int, list[int]] = defaultdict(list)
    for position, node in enumerate(nodes):
        by_place[-1 if node.place is None else node.place.number].append(position)
    places = [by_place[number] for number in sorted(by_place)]
    for one, other in neighbours_first(len(places)):
        if not {*needed} <= {nodes[places[each][0]].place for each in (one, other)}:
            continue
        pairs_of_nodes = list(zip(places[one], places[other], strict=False))
        if len(places[one]) == len(places[other]) and all(nodes[a].shape == nodes[b].shape for a, b in pairs_of_nodes):
            exchanged = {a: b for pair in pairs_of_nodes for a, b in (pair, pair[::-1])}
            yield [np.asarray(nodes[exchanged.get(number, number)].value) for number in range(len(nodes))]
