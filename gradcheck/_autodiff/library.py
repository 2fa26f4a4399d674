"""What is asked of an array library: its arrays, and its own differentiation of a function of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from gradcheck._common.arrays import Array


@dataclass(frozen=True)
class Differentiated:
    """The values of a function, and what pulls cotangents back to its arguments.

    `pull(number, rows)`: the derivatives of these linear combinations, (m, size of the value of that number), with
    respect to each argument: (m, *shape), or None where it does not move that value.
    """

    values: list[Array]
    pull: Callable[[int, Array], list[Array | None]]


class Library(Protocol):
    """torch or JAX."""

    name: str

    def is_float(self, value: object) -> bool:
        """Whether it is an array of its own, of floating point and not empty."""

    def array(self, array: Array) -> Any:
        """An array of its own with these numbers."""

    def numpy(self, value: Any) -> Array:
        """The numbers as a NumPy array of their own."""

    def like(self, value: Any, other: Any) -> Any:
        """The value in the precision of the other one."""

    def kept(self, value: Any) -> Any:
        """A variable's value as expressions are tried on it later: of its own, whatever is done in place meanwhile."""

    def kept_globals(self, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """The variables of a module as expressions are tried with them."""

    def trying(self) -> AbstractContextManager[object]:
        """Around expressions that are tried on kept values."""

    def differentiating(self) -> AbstractContextManager[object]:
        """Around runs that are differentiated: every operation one by one, in double precision where possible."""

    def differentiate(
        self, f: Callable[[list[Any]], list[Any]], at: Sequence[Array], live: Sequence[Any] = ()
    ) -> Differentiated:
        """The values of `f` at these arguments, and their derivatives; `live`: arrays that it reads by itself."""
