"""Which execution of the forward a value of the backward belongs to: that whose values it hands on or reads."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from gradcheck._localising.standing import MOVES
from gradcheck._localising.tape import Array, Node, Place, TapedRun

#: a place of the forward in the calls around it, and the operation there
Series = tuple[tuple[Place, ...], Place, str]

#: how often a value may have been handed on
_MOST_MOVES = 100


class Provenance:
    """The values of the forward as series over the executions of their places."""

    def __init__(self, run: TapedRun) -> None:
        self.run = run
        self._series: dict[Series, list[Node]] = defaultdict(list)
        self._where: dict[int, tuple[Series, int]] = {}
        for node in run.nodes:
            if node.place is None or node.value is None or node.index in run.twins or not run.is_forward(node):
                continue
            key = (node.call.stack if node.call is not None else (), node.place, node.op)
            self._where[node.index] = key, len(self._series[key])
            self._series[key].append(node)

    def step(self, node: Node) -> tuple[Series, int] | None:
        """The series of the forward that a value was handed on from, and which of it: 0 for the first execution."""
        for _ in range(_MOST_MOVES):
            node = self.run.twins.get(node.index, node)
            if node.op not in MOVES or len(node.inputs) != 1 or node.inputs[0].size != node.size:
                break
            node = node.inputs[0]
        return self._where.get(node.index)

    def hands_on_forward(self, nodes: list[Node]) -> bool:
        """Whether these are values of the forward."""
        return any(self.step(node) is not None for node in nodes)

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
                chosen = [number + shift for number in numbers]
                if min(chosen) >= 0 and max(chosen) < len(series):
                    yield [np.asarray(series[one].value) for one in chosen]
