"""Differentiation by torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from gradcheck._autodiff.library import Differentiated
from gradcheck._common.arrays import Array


class TorchLibrary:
    """torch, which records a graph while it runs."""

    name = "torch"

    def __init__(self) -> None:
        """Whoever has tensors has imported it."""
        self._torch: Any = sys.modules["torch"]

    def is_float(self, value: object) -> bool:
        """Whether it is a tensor of floating point, not empty, in the memory of the CPU."""
        return (
            isinstance(value, self._torch.Tensor)
            and value.is_floating_point()  # type: ignore[attr-defined]
            and value.numel() > 0  # type: ignore[attr-defined]
            and value.device.type == "cpu"  # type: ignore[attr-defined]
        )

    def array(self, array: Array) -> Any:
        """A tensor with these numbers."""
        return self._torch.from_numpy(np.array(array))

    def numpy(self, value: Any) -> Array:
        """The numbers in float64, or as they are."""
        return np.array(value.detach().to(self._torch.float64).numpy())

    def differentiating(self) -> AbstractContextManager[object]:
        """With a graph, whatever the mode around it is."""
        found: AbstractContextManager[object] = self._torch.enable_grad()
        return found

    def differentiate(
        self, f: Callable[[list[Any]], list[Any]], at: Sequence[Array], live: Sequence[Any] = ()
    ) -> Differentiated:
        """Run it once; each pull goes back through the graph."""
        arguments = [self.array(one).requires_grad_(True) for one in at]
        outputs = f(arguments)
        sources = [*arguments, *live]

        def pull(number: int, rows: Array) -> list[Array | None]:
            output = outputs[number]
            if not (isinstance(output, self._torch.Tensor) and output.requires_grad):
                return [None] * len(sources)
            found = [self._pulled(output, row, sources) for row in rows]
            return [self._stacked([one[i] for one in found]) for i in range(len(sources))]

        return Differentiated([self.numpy(self._torch.as_tensor(one)) for one in outputs], pull)

    def _pulled(self, output: Any, row: Array, sources: list[Any]) -> Any:
        cotangent = self.array(row).to(output.dtype).reshape(output.shape)
        return self._torch.autograd.grad(output, sources, cotangent, retain_graph=True, allow_unused=True)

    def _stacked(self, parts: list[Any]) -> Array | None:
        if all(one is None for one in parts):
            return None
        like = next(one for one in parts if one is not None)
        return np.stack([np.zeros(tuple(like.shape)) if one is None else self.numpy(one) for one in parts])
