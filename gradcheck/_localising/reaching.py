"""Which gradients a value goes into: of an array that holds several, each reads its own entries and no others."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradcheck._localising.tape import Node, TapedRun

#: of the weights by which the entries of gradients are summed, so that none cancel
SEED = 20


class Reaching:
    """The values of the backward behind each gradient; not those that are multiplied by nothing but zeros."""

    def __init__(self, run: TapedRun) -> None:
        sinks = [(name, sink) for name, sink in run.sinks.items() if sink is not None]
        rng = np.random.default_rng(SEED)
        projections = {}
        for number, (name, sink) in enumerate(sinks):
            projections[name] = np.zeros((len(sinks), *sink.shape))
            projections[name][number] = rng.uniform(1.0, 2.0, sink.shape)
        found = run.sensitivities(projections, kept={node.index for node in run.backward}) if sinks else {}
        self._behind: dict[str, set[int]] = {name: {sink.index} for name, sink in sinks}
        for index, moved in found.items():
            for (name, _), is_moved in zip(sinks, np.any(moved, axis=1), strict=True):
                if is_moved:
                    self._behind[name].add(index)

    def behind(self, name: str) -> set[int]:
        """The indices of the values that a gradient moves with."""
        return self._behind.get(name, set())

    def reached(self, nodes: Iterable[Node]) -> set[str]:
        """The gradients that any of these values goes into."""
        given = {node.index for node in nodes}
        return {name for name, behind in self._behind.items() if given & behind}
