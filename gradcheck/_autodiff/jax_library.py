"""Differentiation by JAX."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from gradcheck._autodiff.library import Differentiated
from gradcheck._common.arrays import Array


class JaxLibrary:
    """JAX, which traces a function with values that stand for others."""

    name = "jax"

    def __init__(self) -> None:
        """Whoever has its arrays has imported it."""
        self._jax: Any = sys.modules["jax"]

    def is_float(self, value: object) -> bool:
        """Whether it is an array, or stands for one, of floating point and not empty."""
        return (
            isinstance(value, self._jax.Array)
            and self._jax.numpy.issubdtype(value.dtype, self._jax.numpy.floating)
            and value.size > 0
        )

    def array(self, array: Array) -> Any:
        """An array with these numbers."""
        return self._jax.numpy.asarray(array)

    def numpy(self, value: Any) -> Array:
        """The numbers."""
        return np.array(value, dtype=np.float64)

    def like(self, value: Any, other: Any) -> Any:
        """The value in the precision of the other one."""
        return value.astype(other.dtype)

    def kept(self, value: Any) -> Any:
        """As NumPy has it, which is quick where many expressions are tried."""
        return self.numpy(value) if self.is_float(value) else value

    def kept_globals(self, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """With NumPy in the place of jax.numpy; what NumPy lacks is no expression that is found."""
        return {name: np if value is self._jax.numpy else value for name, value in variables.items()}

    def trying(self) -> AbstractContextManager[object]:
        """In float64."""
        return self.differentiating()

    @contextmanager
    def differentiating(self) -> Iterator[None]:
        """Operation by operation, in float64."""
        with self._jax.disable_jit(), self._jax.enable_x64(True):
            yield

    def differentiate(
        self,
        f: Callable[[list[Any]], list[Any]],
        at: Sequence[Array],
        live: Sequence[Any] = (),  # noqa: ARG002 - arrays of JAX are handed on, never read where they are
    ) -> Differentiated:
        """Trace it once; each pull is the transpose of what was traced."""
        outputs, pull_one = self._jax.vjp(lambda *arguments: f(list(arguments)), *map(self.array, at))
        zeros = [self._jax.numpy.zeros_like(one) for one in outputs]

        def pull(number: int, rows: Array) -> list[Array | None]:
            def along(row: Any) -> Any:
                cotangents = list(zeros)
                cotangents[number] = row.reshape(outputs[number].shape).astype(outputs[number].dtype)
                return pull_one(cotangents)

            return [self.numpy(one) for one in self._jax.vmap(along)(self.array(rows))]

        return Differentiated([self.numpy(one) for one in outputs], pull)
