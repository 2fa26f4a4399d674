"""One backward to be looked at: a function with a derivative rule of its own, or a whole target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck._autodiff.library import Library
from gradcheck._common.arrays import Array


@dataclass
class Case:
    """A forward and its backward, run one after the other.

    Args:
        library: The library that it calculates in.
        name: What the rule is called ("LSTMPointwise"); empty of a whole target.
        names: What each gradient is of.
        inputs: Where it is run, one array for each gradient; none of these if `live`.
        run: ``run(arrays) -> (loss, gradients)``, in arrays of the library; the loss is the outputs contracted with
            cotangents that stay the same. It is handed the inputs as arrays of the library.
        live: The arrays that it reads by itself, one for each gradient, in the place of inputs.
        returns: The function whose return hands the gradients back.
    """

    library: Library
    name: str
    names: Sequence[str]
    inputs: Sequence[Array]
    run: Callable[[list[Any]], tuple[Any, list[Any]]]
    live: Sequence[Any] = ()
    returns: Any = None
    #: of arrays that it reads by itself: the loss so far along one direction through all of them
    along: Callable[[float], tuple[float, Sequence[Array]]] | None = None
    #: the same at other values, where edits are tried once more
    others: list[Case] = field(default_factory=list)
    #: the part of a gradient that rounding may be of it
    rounding: float = 1e-7

    def loss_along(self, step: float) -> tuple[float, Sequence[Array]]:
        """The loss so far along a direction through all inputs, and that direction; the same at each call."""
        if self.along is not None:
            return self.along(step)
        rng = np.random.default_rng(4)
        direction = [rng.standard_normal(one.shape) for one in self.inputs]
        moved = [one + step * way for one, way in zip(self.inputs, direction, strict=True)]
        loss, _ = self.run([self.library.array(one) for one in moved])
        return float(self.library.numpy(loss) if self.library.is_float(loss) else loss), direction
