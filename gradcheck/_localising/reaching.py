"""Which gradients a value goes into: of an array that holds several, each reads its own entries and no others."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradcheck._localising.tape import Node, TapedRun

#: of the weights by which the entries of gradients are summed, so that none cancel
SEED = 20
#: gradients that are gone back from at once: each takes as much memory as all values of the backward
AT_ONCE = 8


class Reaching:
    """The values of the backward behind each gradient; not those that are multiplied by nothing but zeros."""

    def __init__(self, run: TapedRun) -> None:
        sinks = {name: sink for name, sink in run.sinks.items() if sink is not None}
        self._behind: dict[str, set[int]] = {name: {sink.index} for name, sink in sinks.items()}
        backward = {node.index for node in run.backward}
        rng, names = np.random.default_rng(SEED), list(sinks)
        for first in range(0, len(names), AT_ONCE):
            group = names[first : first + AT_ONCE]
            projections = {name: np.zeros((len(group), *sinks[name].shape)) for name in group}
            for number, name in enumerate(group):
                projections[name][number] = rng.uniform(1.0, 2.0, sinks[name].shape)
            for index, moved in run.sensitivities(projections, kept=backward).items():
                for name, is_moved in zip(group, np.any(moved, axis=1), strict=True):
                    if is_moved:
                        self._behind[name].add(index)

    def behind(self, name: str) -> set[int]:
        """The indices of the values that a gradient moves with."""
        return self._behind.get(name, set())

    def reached(self, nodes: Iterable[Node]) -> set[str]:
        """The gradients that any of these values goes into."""
        given = {node.index for node in nodes}
        return {name for name, behind in self._behind.items() if given & behind}
