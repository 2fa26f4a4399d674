"""Differentiation by torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from gradcheck._autodiff.library import Differentiated
from gradcheck._common.arrays import Array
from gradcheck._common.surely import surely
from gradcheck._common.thread_filters import ignoring


class TorchLibrary:
    """torch, which records a graph while it runs."""

    name = "torch"

    def __init__(self) -> None:
        """Whoever has tensors has imported it."""
        self._torch: Any = sys.modules["torch"]
        #: tensors by the memory of the NumPy arrays that were made of them while it differentiates
        self._behind: dict[tuple[int, tuple[int, ...]], Any] = {}

    def is_float(self, value: object) -> bool:
        """Whether it is a tensor of floating point, not empty, in the memory of the CPU."""
        return (
            isinstance(value, self._torch.Tensor)
            and value.is_floating_point()
            and value.numel() > 0
            and value.device.type == "cpu"
        )

    def array(self, array: Array) -> Any:
        """A tensor with these numbers."""
        return self._torch.from_numpy(np.array(array))

    def numpy(self, value: Any) -> Array:
        """The numbers in float64, or as they are."""
        return np.array(value.detach().to(self._torch.float64).numpy())

    def like(self, value: Any, other: Any) -> Any:
        """The value in the precision of the other one."""
        return value.to(other.dtype)

    def kept(self, value: Any) -> Any:
        """A copy without a graph."""
        return value.detach().clone() if self.is_float(value) else value

    def kept_globals(self, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """As they are."""
        return variables

    def trying(self) -> AbstractContextManager[object]:
        """Without a graph."""
        found: AbstractContextManager[object] = self._torch.no_grad()
        return found

    @contextmanager
    def differentiating(self) -> Iterator[None]:
        """With a graph, whatever the mode around it is; what goes over to NumPy meanwhile is remembered."""
        kind, over = self._torch.Tensor, self._torch.Tensor.numpy

        def numpy(tensor: Any, **keywords: Any) -> Any:
            array = over(tensor.detach(), **keywords)
            self._behind[array.ctypes.data, array.shape] = tensor
            return array

        def put_back() -> None:
            kind.numpy = over
            self._behind.clear()

        try:
            kind.numpy = numpy
            with self._torch.enable_grad():
                yield
        finally:
            surely(put_back)

    def behind(self, value: Any) -> Any:
        """The tensor that a NumPy array was made of just now; anything else as it is."""
        if isinstance(value, np.ndarray):
            return self._behind.get((value.ctypes.data, value.shape), value)
        return value

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
            if not sources:
                return []
            cotangents = self.array(rows).to(output.dtype).reshape(len(rows), *output.shape)
            found = self._pulled_together(output, cotangents, sources)
            return [None if one is None else self.numpy(one) for one in found]

        return Differentiated([self.numpy(self._torch.as_tensor(one)) for one in outputs], pull)

    def _pulled_together(self, output: Any, cotangents: Any, sources: list[Any]) -> Sequence[Any]:
        """All rows at once; one by one, where an operation cannot take them so."""
        grad = self._torch.autograd.grad
        with ignoring():  # of operations that take them one by one
            try:
                found: Sequence[Any] = grad(
                    output, sources, cotangents, retain_graph=True, allow_unused=True, is_grads_batched=True
                )
                return found
            except (RuntimeError, ValueError):
                rows = [grad(output, sources, one, retain_graph=True, allow_unused=True) for one in cotangents]
        used = [next((row[i] for row in rows if row[i] is not None), None) for i in range(len(sources))]
        return [None if one is None else self._stacked(one, rows, i) for i, one in enumerate(used)]

    def _stacked(self, like: Any, rows: Sequence[Sequence[Any]], number: int) -> Any:
        zeros = self._torch.zeros_like(like)
        return self._torch.stack([zeros if row[number] is None else row[number] for row in rows])
