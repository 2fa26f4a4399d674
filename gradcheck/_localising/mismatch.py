"""What is wrong with the gradients: the difference between the true and the reported ones, seen through projections."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from gradcheck._localising.solving import TOLERANCE
from gradcheck._localising.tape import Array, Place, TapedRun

#: the most gradient entries that are looked at one by one; of more, random combinations are
MOST_ENTRIES = 256


class Mismatch:
    """The difference r between the true and the reported gradients of one run, block by block.

    Each block is scaled by its largest true entry, so that a small block counts as much as a large one. Blocks that
    are not wrong have the difference zero: they must stay what they are.

    Args:
        run: The run.
        wrong: The names of the gradients that are wrong.
    """

    def __init__(self, run: TapedRun, wrong: Collection[str]) -> None:
        self.run = run
        self.true = run.true_gradients
        #: blocks that can be compared: returned, in the right shape, and calculated from something
        self.names = [
            name
            for name, value in self.true.items()
            if run.sinks.get(name) is not None and name in run.gradients and run.gradients[name].shape == value.shape
        ]
        self.wrong = [name for name in self.names if name in wrong]
        #: wrong blocks that nothing on the tape was returned for
        self.unreached = [name for name in self.true if name in wrong and name not in self.names]
        scales = [_scale(self.true[name], run.gradients[name]) for name in self.names]
        self.scales = dict(zip(self.names, scales, strict=True))
        ends = np.cumsum([0, *(self.true[name].size for name in self.names)])
        self._spans = {name: (int(a), int(b)) for name, a, b in zip(self.names, ends[:-1], ends[1:], strict=True)}
        #: the number of gradient entries
        self.entries = int(ends[-1])
        self.difference = np.zeros(self.entries)
        for name in self.wrong:
            a, b = self._spans[name]
            self.difference[a:b] = ((self.true[name] - run.gradients[name]) / self.scales[name]).ravel()

    @property
    def is_wrong(self) -> bool:
        """Whether any of the gradients differs by more than rounding."""
        return bool(np.max(np.abs(self.difference), initial=0.0) > TOLERANCE)

    def restricted(self, names: Collection[str]) -> Mismatch:
        """The same where only these blocks are asked to become right, and the other wrong ones do not count."""
        result = Mismatch(self.run, names)
        ignored = [name for name in self.wrong if name not in names]
        result._drop(ignored)
        return result

    def _drop(self, names: Collection[str]) -> None:
        self.names = [name for name in self.names if name not in names]

    def combinations(self, count: int, seed: int) -> Array:
        """Random combinations of all entries (count, entries), or each entry by itself if there are no more of them."""
        counted = np.zeros(self.entries, bool)
        for name in self.names:
            a, b = self._spans[name]
            counted[a:b] = True
        if counted.sum() <= count:
            return np.eye(self.entries)[counted]
        drawn: Array = np.random.default_rng(seed).standard_normal((count, self.entries))
        drawn *= counted / np.sqrt(count)
        return drawn

    def projections(self, combinations: Array) -> dict[str, Array]:
        """The combinations in the form that the tape takes."""
        return {
            name: combinations[:, slice(*self._spans[name])].reshape(-1, *self.true[name].shape) / self.scales[name]
            for name in self.names
        }

    def is_mended(self, values: Mapping[tuple[Place, int], Array]) -> bool:
        """Whether all gradients are right if some executions of some places have other values."""
        try:
            with np.errstate(all="ignore"):
                found = self.run.overrides(values)
        except Exception:  # the user's code, with values it was not written for
            return False
        return all(
            np.shape(found.get(name)) == self.true[name].shape  # type: ignore[arg-type]
            and np.max(np.abs(found[name] - self.true[name]), initial=0.0) <= TOLERANCE * self.scales[name]
            for name in self.names
        )

    def sensitivities(
        self, combinations: Array, cut: Collection[int] = (), kept: Collection[int] | None = None
    ) -> dict[int, Array]:
        """How combinations of the scaled gradients move with each value (of some): (m, its size) by the node's index.

        What the gradients calculate again of the forward is given, as nodes in `cut` are.
        """
        found = self.run.sensitivities(self.projections(combinations), {*cut, *self.run.twins}, kept)
        return {index: g for index, g in found.items() if np.any(g)}


def _scale(true: Array, reported: Array) -> float:
    largest = float(np.max(np.abs(true), initial=0.0)) or float(np.max(np.abs(reported), initial=0.0))
    return largest if np.isfinite(largest) and largest > 0 else 1.0
