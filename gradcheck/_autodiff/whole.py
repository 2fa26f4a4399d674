"""A whole target whose forward and backward are written in torch or JAX, with no rule in between."""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np

from gradcheck._autodiff.case import Case
from gradcheck._autodiff.jax_library import JaxLibrary
from gradcheck._autodiff.library import Library
from gradcheck._autodiff.torch_library import TorchLibrary
from gradcheck._common.arrays import Array, Values
from gradcheck._common.libraries import as_numpy, is_jax_array, is_tensor
from gradcheck._targets.modules import ModuleProblem
from gradcheck._targets.problems import InPlaceProblem
from gradcheck._targets.pure_problems import FunctionProblem, VjpProblem
from gradcheck._targets.target import Target

#: the part of a gradient that may be rounding, in double and in single precision
DOUBLE, SINGLE = 1e-7, 3e-5


def whole_case(target: Target) -> Case | None:
    """The case of a target that is open; None if it does not calculate in torch or JAX from end to end."""
    problem = target.problem
    if isinstance(problem, VjpProblem):
        return _of_vjp(problem)
    if isinstance(problem, FunctionProblem):
        return _of_function(problem)
    return _of_arrays(problem) if isinstance(problem, InPlaceProblem) else None


def _library(name: str) -> Library | None:
    return TorchLibrary() if name == "torch" else JaxLibrary() if name == "jax" else None


def _of_vjp(problem: VjpProblem) -> Case | None:
    """forward, then backward, of arrays of the library; the functions may have been handed NumPy's."""
    values = problem.arrays()
    outputs, _ = problem.outputs_and_grads_of(values, problem.cotangents)
    library = _library(problem.library or _library_of(outputs))
    if library is None:
        return None

    def run(arrays: list[Any]) -> tuple[Any, list[Any]]:
        cotangents = [library.array(one) for one in problem.cotangents]
        outputs, gradients = problem.outputs_and_grads_of(dict(zip(values, arrays, strict=True)), cotangents)
        loss = sum((one * ct).sum() for one, ct in zip(outputs, cotangents, strict=True))
        return loss, [gradients[name] for name in values]

    return Case(library, "", list(values), _doubles(values), run, returns=inspect.unwrap(problem.backward))


def _of_function(problem: FunctionProblem) -> Case | None:
    """One function that returns loss and gradients."""
    values = problem.arrays()
    library = _library(problem.library or _library_of([problem.loss_and_grads_of(values)[0]]))
    if library is None:
        return None

    def run(arrays: list[Any]) -> tuple[Any, list[Any]]:
        loss, gradients = problem.loss_and_grads_of(dict(zip(values, arrays, strict=True)))
        return loss, [gradients[name] for name in values]

    return Case(library, "", list(values), _doubles(values), run)


def _doubles(values: Values) -> list[Array]:
    return [np.array(array, dtype=np.float64) for array in values.values()]


def _of_arrays(problem: InPlaceProblem) -> Case | None:
    """A loss of tensors that are changed in place: they are differentiated where they are."""
    live = _tensors_of(problem)
    if live is None:
        return None
    values, library = {name: np.array(array) for name, array in problem.arrays().items()}, TorchLibrary()

    def run(_: list[Any]) -> tuple[Any, list[Any]]:
        for tensor in live:
            tensor.requires_grad_(True)  # the target puts it back when it is closed
        with closing(problem.loss_then_grads_at(values)) as asked:
            loss, gradients = next(asked), next(asked)
            return loss, [library.behind(gradients[name]) for name in values]

    def along(step: float) -> tuple[float, list[Array]]:
        rng = np.random.default_rng(4)
        direction = [rng.standard_normal(one.shape) for one in values.values()]
        moved = {
            name: (one + step * way).astype(one.dtype)
            for (name, one), way in zip(values.items(), direction, strict=True)
        }
        return float(np.asarray(as_numpy(problem.loss_at(moved)))), direction

    rounding = DOUBLE if all(array.dtype.itemsize >= 8 for array in values.values()) else SINGLE
    return Case(library, "", list(values), [], run, live=live, rounding=rounding, along=along)


def _tensors_of(problem: InPlaceProblem) -> list[Any] | None:
    """The tensor behind each parameter: itself, or one that shares its memory; None if one has none."""
    if "torch" not in sys.modules or isinstance(problem, ModuleProblem):
        return None
    named, arrays = problem.tensors(), problem.arrays()
    by_memory = {} if set(named) == set(arrays) else _tensors_by_memory()
    found = [named.get(name, by_memory.get((array.ctypes.data, array.shape))) for name, array in arrays.items()]
    return None if any(one is None for one in found) else found


def _tensors_by_memory() -> dict[tuple[int, tuple[int, ...]], Any]:
    """The leaves that anybody holds, by where their memory begins and their shape; parameters before others."""
    parameter = sys.modules["torch"].nn.Parameter
    leaves = [one for one in gc.get_objects() if type(one).__name__ in ("Tensor", "Parameter") and is_tensor(one)]
    leaves = [one for one in leaves if one.is_leaf and one.device.type == "cpu" and not one.is_sparse]
    leaves.sort(key=lambda one: isinstance(one, parameter))
    return {(one.data_ptr(), tuple(one.shape)): one for one in leaves}


def _library_of(values: Sequence[Any]) -> str:
    if any(map(is_jax_array, values)):
        return "jax"
    return "torch" if any(map(is_tensor, values)) else ""
