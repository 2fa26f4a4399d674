"""What a `jax.custom_vjp` holds: its forward and its backward, which takes the residuals first."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

from gradcheck._common.errors import TargetError


def is_custom_vjp(value: object) -> bool:
    """Whether it is a function with a derivative rule of JAX."""
    kind = getattr(sys.modules.get("jax"), "custom_vjp", None)
    return isinstance(kind, type) and isinstance(value, kind)


def rule_of(function: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The forward and the backward of a `jax.custom_vjp`, as they were handed to defvjp.

    Raises:
        TargetError: If it has none, or takes arguments that are handed to them in another way.
    """
    name = getattr(function, "__name__", "the function")
    if function.fwd is None or function.bwd is None:
        raise TargetError(f"{name} is a jax.custom_vjp without a rule: call {name}.defvjp(fwd, bwd) first")
    if function.nondiff_argnums or getattr(function, "nondiff_argnames", ()) or function.symbolic_zeros:
        raise TargetError(
            f"{name} has nondiff_argnums or symbolic_zeros: write Target.from_vjp(forward, backward, inputs) with "
            "lambdas that hand these arguments to fwd and bwd"
        )
    return function.fwd, function.bwd


def are_rule(forward: Any, backward: Any) -> bool:
    """Whether these two are the forward and the backward of a `jax.custom_vjp` that the forward's file holds."""
    return any(one.fwd is forward and one.bwd is backward for one in _rules_beside(inspect.unwrap(forward)))


def _rules_beside(function: Any) -> Iterator[Any]:
    found = list(getattr(function, "__globals__", {}).values()) if "jax" in sys.modules else []
    yield from (value for value in found if is_custom_vjp(value))
