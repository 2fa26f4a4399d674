"""Each `jax.custom_vjp` of the user's that a run calls, as a case of its own.

Its forward and its backward, as `defvjp` was handed them, are called one after the other, in float64.
"""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import numpy as np

from gradcheck._autodiff.case import Case
from gradcheck._autodiff.jax_library import JaxLibrary
from gradcheck._common.arrays import Array
from gradcheck._common.errors import TargetError
from gradcheck._common.user_files import is_user_file
from gradcheck._targets.jax_rules import is_custom_vjp, rule_of
from gradcheck._usercode.profiling import run_profiled

#: calls of one function that are kept
MOST_CALLS = 2


@dataclass
class Rule:
    """A rule and its arguments; those at these places of their leaves have a gradient."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    structure: Any
    leaves: list[Any]
    differentiable: list[int]
    names: list[str]

    def run(self, arrays: Sequence[Any]) -> tuple[Any, list[Any]]:
        """The loss, which is the outputs contracted with cotangents, and the gradients that the backward returns."""
        jax = sys.modules["jax"]
        leaves = list(self.leaves)
        for index, array in zip(self.differentiable, arrays, strict=True):
            leaves[index] = array
        arguments = jax.tree_util.tree_unflatten(self.structure, leaves)
        outputs, residuals = self.forward(*arguments)
        parts, shape = jax.tree_util.tree_flatten(outputs)
        cotangents = _cotangents(parts)
        loss = sum((one * ct).sum() for one, ct in zip(parts, cotangents, strict=True))
        returned = self.backward(residuals, jax.tree_util.tree_unflatten(shape, cotangents))
        gradients = _leaves_of(returned, arguments)
        return loss, [_or_zeros(gradients[i], array) for i, array in zip(self.differentiable, arrays, strict=True)]


def jax_cases(run: Callable[[], object]) -> list[Case]:
    """A case of each function with a rule that a run of a loss and its gradients calls."""
    rules = {id(code): rule for code, rule in _rules()}  # code of another file may be equal
    called: dict[int, list[list[Any]]] = {}

    def watch(frame: FrameType, event: str, _: object) -> None:
        code = id(frame.f_code)
        if event == "call" and code in rules and len(called.setdefault(code, [])) < MOST_CALLS:
            called[code].append(_arguments(frame))

    if rules:
        sys.modules["jax"].clear_caches()  # what was traced before would not run again
        run_profiled(run, watch)
    return [case for code, calls in called.items() if (case := _case(rules[code], calls)) is not None]


def _rules() -> Iterator[tuple[CodeType, Any]]:
    """The functions of the user's that have a rule, by the code of its forward."""
    if "jax" not in sys.modules:
        return
    for one in gc.get_objects():
        if type(one).__name__ == "custom_vjp" and is_custom_vjp(one):
            code = getattr(inspect.unwrap(one.fwd), "__code__", None) if one.fwd is not None else None
            if code is not None and is_user_file(code.co_filename):
                yield code, one


def _arguments(frame: FrameType) -> list[Any]:
    code = frame.f_code
    return [frame.f_locals[name] for name in code.co_varnames[: code.co_argcount]]


def _case(function: Any, calls: Sequence[list[Any]]) -> Case | None:
    """The case of the last call, and beside it one at other values."""
    try:
        forward, backward = rule_of(function)
    except TargetError:
        return None
    library = JaxLibrary()
    rng = np.random.default_rng(2)
    with library.differentiating():
        made = [_of_call(forward, backward, call, library, rng, function.__name__) for call in calls[::-1]]
    found = [one for one in made if one is not None]
    if not found:
        return None
    first = found[0]
    moved = [one * (1 + 0.1 * rng.uniform(-1, 1, one.shape)) for one in first.inputs]
    first.others = [*found[1:], Case(library, first.name, first.names, moved, first.run, returns=first.returns)]
    return first


def _of_call(
    forward: Any, backward: Any, arguments: list[Any], library: JaxLibrary, rng: np.random.Generator, name: str
) -> Case | None:
    jax = sys.modules["jax"]
    paths, structure = jax.tree_util.tree_flatten_with_path(tuple(arguments))
    leaves = [_concrete(leaf, rng) for _, leaf in paths]
    differentiable = [i for i, leaf in enumerate(leaves) if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"]
    if not differentiable:
        return None
    argument_names = list(inspect.unwrap(forward).__code__.co_varnames)
    names = [_name(argument_names, path) for path, _ in paths]
    rule = Rule(forward, backward, structure, leaves, differentiable, [names[i] for i in differentiable])
    inputs = [np.array(leaves[i], dtype=np.float64) for i in differentiable]
    return Case(library, name, rule.names, inputs, rule.run, returns=inspect.unwrap(backward))


def _concrete(leaf: Any, rng: np.random.Generator) -> Any:
    """The numbers of an argument; drawn, where only their shape is known."""
    jax = sys.modules["jax"]
    if not isinstance(leaf, jax.core.Tracer):
        return np.asarray(leaf) if hasattr(leaf, "dtype") else leaf
    if not jax.numpy.issubdtype(leaf.dtype, jax.numpy.floating):
        return np.zeros(leaf.shape, dtype=leaf.dtype)
    return rng.standard_normal(leaf.shape)


def _name(arguments: Sequence[str], path: Sequence[Any]) -> str:
    """What a leaf of the arguments is called."""
    jax = sys.modules["jax"]
    return f"{arguments[path[0].idx]}{jax.tree_util.keystr(tuple(path[1:]))}"


def _cotangents(outputs: Sequence[Any]) -> list[Any]:
    """The same for each run."""
    jax, rng = sys.modules["jax"], np.random.default_rng(2)
    return [jax.numpy.asarray(rng.standard_normal(one.shape), dtype=one.dtype) for one in outputs]


def _leaves_of(returned: Any, arguments: Any) -> list[Any]:
    """The gradient of each leaf of the arguments; None where the rule returned None."""
    jax = sys.modules["jax"]
    found: list[Any] = []
    for gradient, argument in zip(returned, arguments, strict=True):
        count = len(jax.tree_util.tree_leaves(argument))
        leaves = jax.tree_util.tree_leaves(gradient, is_leaf=lambda one: one is None)
        found += leaves if len(leaves) == count else [None] * count
    return found


def _or_zeros(gradient: Any, array: Array) -> Any:
    return sys.modules["jax"].numpy.zeros_like(array) if gradient is None else gradient
