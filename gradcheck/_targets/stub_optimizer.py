"""An optimizer that changes nothing and keeps what it is handed: for code that hands its gradients to an optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradcheck._common.arrays import Array


class StubOptimizer:
    """Give it to the code in the place of its optimizer, and to ``Target.from_update(..., optimizer=)``.

    ``update(w, grad)`` and ``stub(w, grad, ...)`` keep the pair and return `w` as it is; both may be arrays, lists or
    mappings of arrays. Copies of it are the same one, since code makes one optimizer for each weight. Other methods
    that optimizers have (`step`, `zero_grad`) do nothing.
    """

    def __init__(self) -> None:
        #: the weights and their gradients, in the order in which they came
        self.handed: list[tuple[Array, Array]] = []

    def update(self, weights: Any, gradients: Any, *_: object, **__: object) -> Any:
        """Keep the gradients; the weights are returned as they are."""
        if isinstance(weights, np.ndarray):
            self.handed.append((weights, gradients))
        elif isinstance(weights, Mapping):
            for key, weight in weights.items():
                self.update(weight, gradients[key])
        elif isinstance(weights, (list, tuple)):
            for weight, gradient in zip(weights, gradients, strict=True):
                self.update(weight, gradient)
        return weights

    __call__ = update

    def step(self, *_: object, **__: object) -> None:
        """Count a step, as others do; here nothing is counted."""

    def zero_grad(self, *_: object, **__: object) -> None:
        """Forget gradients, as others do; here the check decides when."""

    def __copy__(self) -> StubOptimizer:
        """The same one."""
        return self

    def __deepcopy__(self, _: object) -> StubOptimizer:
        """The same one."""
        return self
