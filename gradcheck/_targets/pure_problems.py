"""Problems that are handed fresh arrays: a pure function, a forward and its backward."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck._common.arrays import Array, Values
from gradcheck._common.errors import TargetError
from gradcheck._common.libraries import (
    all_as_numpy,
    as_numpy,
    is_array,
    is_jax_array,
    library_of,
    of_library,
    why_not_shared,
)
from gradcheck._targets.jax_rules import are_rule, is_custom_vjp, rule_of
from gradcheck._targets.problems import Batched, Problem, asked, copies_of
from gradcheck._targets.structure import gradients_by_name, leaves, rebuilt
from gradcheck._targets.validation import check_callable, check_names, describe


class FunctionProblem(Problem):
    """f(params) -> (loss, grads): nothing to restore, since f is handed fresh arrays."""

    def __init__(self, f: Callable[[Values], Any], params: Mapping[str, Any], batched: Batched | None = None) -> None:
        check_callable("f", f, "f(params) -> (loss, grads)")
        if not isinstance(params, Mapping):
            raise TargetError(f"params must be a mapping from names to arrays, got {describe(params)}")
        self._f = f
        check_names("params", params)
        self._structure = {str(name): value for name, value in params.items()}
        found = dict(leaf for name, value in self._structure.items() for leaf in leaves(name, value))
        self._arrays, self.library = own_arrays(found), library_of(found.values())
        self._passed: Values = {}
        super().__init__({}, batched)

    def arrays(self) -> Values:
        return self._arrays

    def handed_out(self) -> Values:
        return self._passed

    def functions(self) -> list[object]:
        return [self._f, self.batched]

    def loss_at(self, values: Values) -> Any:
        return self.loss_and_grads(values)[0]

    def loss_then_grads_at(self, values: Values) -> Generator[Any, None, None]:
        yield from self.loss_and_grads(values)

    def loss_and_grads(self, values: Values) -> tuple[Any, Any]:
        """What ``f(params)`` returns, of copies of these values."""
        self._expected = dict(values)
        self._passed = copies_of(values)
        arrays = {name: of_library(array, self.library) for name, array in self._passed.items()}
        handed = {name: rebuilt(name, value, arrays) for name, value in self._structure.items()}
        result = asked("f(params)", self._f, handed)
        if not is_pair(result):
            raise TargetError(f"f(params) must return a pair (loss, grads), got {describe(result)}")
        loss, grads = result
        self.note_precision(loss)
        return as_numpy(loss), gradients_by_name(grads, self._structure, "f(params)")

    def loss_and_grads_of(self, arrays: Mapping[str, Any]) -> tuple[Any, Any]:
        """What ``f(params)`` returns of these arrays of any library: nothing is copied or brought to NumPy."""
        handed = {name: rebuilt(name, value, dict(arrays)) for name, value in self._structure.items()}
        loss, grads = asked("f(params)", self._f, handed)
        return loss, gradients_by_name(grads, self._structure, "f(params)")


class VjpProblem(Problem):
    """forward and backward: the loss is the outputs contracted with cotangents that stay fixed through a check."""

    asks_gradients_with = "backward"

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[[Any, Any], Any] | None,
        inputs: Mapping[str, Any] | Sequence[Any] | None,
    ) -> None:
        is_rule = is_custom_vjp(forward) and backward is None
        if is_rule:
            forward, backward = rule_of(forward)
        if not (callable(forward) and callable(backward)):
            raise TargetError(
                "from_vjp takes forward(*arrays) and backward(cotangents, cache) as its first two arguments, or a "
                'jax.custom_vjp as the first and the inputs by name, as in from_vjp(f, inputs={"x": x})'
            )
        if isinstance(inputs, np.ndarray) or not isinstance(inputs, (Mapping, Sequence)):
            raise TargetError(f"inputs must be a mapping or a sequence of arrays, got {describe(inputs)}")
        arrays = own_arrays(
            inputs if isinstance(inputs, Mapping) else {f"inputs[{i}]": array for i, array in enumerate(inputs)}
        )
        integers = {name for name, array in arrays.items() if not isinstance(array, list) and array.dtype.kind in "iub"}
        self.library = library_of(inputs.values() if isinstance(inputs, Mapping) else inputs)
        self.backward = backward
        #: whether it is the rule of a `jax.custom_vjp`: backward(residuals, cotangents), with None for zeros
        self.is_jax_rule = is_rule or are_rule(forward, backward)
        if self.is_jax_rule:
            self.library = "jax"
        self.cotangents: list[Array] = []
        self._forward = forward
        self._order = list(arrays)
        self._arrays = {name: array for name, array in arrays.items() if name not in integers}
        self._passed: Values = {}
        super().__init__({name: arrays[name] for name in self._order if name in integers})

    def arrays(self) -> Values:
        return self._arrays

    def handed_out(self) -> Values:
        return self._passed

    def functions(self) -> list[object]:
        return [self._forward, self.backward]

    def draw_cotangents(self, rng: np.random.Generator) -> None:
        outputs, _ = self.run_forward(copies_of(self._arrays))
        self.cotangents = []
        for i, output in enumerate(flatten(outputs)):
            self.note_precision(output)
            dtype = np.asarray(output).dtype
            if dtype.kind not in "fc":
                raise TargetError(f"output {i} of forward has dtype {dtype}: expected floating point")
            self.cotangents.append(np.asarray(rng.standard_normal(np.shape(output)), dtype=dtype))

    def loss_at(self, values: Values) -> Any:
        return self.dot_cotangents(self.run_forward(values)[0])

    def loss_then_grads_at(self, values: Values) -> Generator[Any, None, None]:
        outputs, cache = self.run_forward(values)
        yield self.dot_cotangents(outputs)
        yield self.run_backward(outputs, cache, self.cotangents)

    def pull_back(self, values: Values, cotangents: Sequence[Array]) -> dict[str, Any]:
        """The vector-Jacobian product of these cotangents."""
        return self.run_backward(*self.run_forward(values), cotangents)

    def dot_cotangents(self, outputs: Any) -> Any:
        """The loss: the outputs contracted with the cotangents."""
        found = flatten(outputs)
        if len(found) != len(self.cotangents):
            raise TargetError(f"forward returned {len(found)} outputs, and {len(self.cotangents)} the first time")
        return sum(np.sum(cotangent * output) for cotangent, output in zip(self.cotangents, found, strict=True))

    def run_backward(self, outputs: Any, cache: Any, cotangents: Sequence[Array]) -> dict[str, Any]:
        """The gradients by name, of copies of these cotangents."""
        copies = [np.array(cotangent) for cotangent in cotangents]
        for i, (copy, cotangent) in enumerate(zip(copies, cotangents, strict=True)):
            self._passed[f"cotangent[{i}]"], self._expected[f"cotangent[{i}]"] = copy, cotangent
        handed = self._handed(unflatten(outputs, copies))
        if self.is_jax_rule:
            found = asked("bwd(residuals, cotangents)", self.backward, cache, handed)
            return self._gradients_by_name(self._with_zeros(found))
        return self._gradients_by_name(asked("backward(cotangents, cache)", self.backward, handed, cache))

    def _with_zeros(self, grads: Any) -> Any:
        """The gradients with zeros where a rule of JAX returned None for them."""
        if not isinstance(grads, (tuple, list)) or len(grads) != len(self._order):
            return grads
        pairs = zip(self._order, grads, strict=True)
        return [np.zeros_like(self._arrays[name]) if g is None and name in self._arrays else g for name, g in pairs]

    def run_forward(self, values: Values) -> tuple[Any, Any]:
        """(outputs, cache) at these values."""
        self._expected = {name: np.array(values.get(name, self.inputs.get(name))) for name in self._order}
        self._passed = copies_of(self._expected)
        result = asked("forward(*inputs)", self._forward, *self._handed(tuple(self._passed.values())))
        if not is_pair(result):
            raise TargetError(f"forward must return a pair (outputs, cache), got {describe(result)}")
        outputs, cache = result
        return all_as_numpy(outputs), cache

    def outputs_and_grads_of(
        self, arrays: Mapping[str, Any], cotangents: Sequence[Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """The outputs and the gradients of arrays of any library: nothing is copied or brought to NumPy."""
        everything = {**self.inputs, **arrays}
        outputs, cache = asked("forward(*inputs)", self._forward, *(everything[name] for name in self._order))
        upstream = unflatten(outputs, cotangents)
        if self.is_jax_rule:
            found = self._with_zeros(asked("bwd(residuals, cotangents)", self.backward, cache, upstream))
        else:
            found = asked("backward(cotangents, cache)", self.backward, upstream, cache)
        return flatten(outputs), self._gradients_by_name(found)

    def _handed(self, arrays: Any) -> Any:
        """Arrays, nested in tuples or alone, as the library has them that the inputs are of."""
        if isinstance(arrays, tuple):
            return tuple(map(self._handed, arrays))
        return of_library(arrays, self.library)

    def _gradients_by_name(self, grads: Any) -> dict[str, Any]:
        if isinstance(grads, Mapping):
            check_names("the gradients", grads)
            return {str(name): grad for name, grad in grads.items() if str(name) not in self.inputs or grad is not None}
        if is_array(grads) and len(self._arrays) == 1:
            grads = (grads,)
        if not isinstance(grads, (tuple, list)):
            raise TargetError(f"backward must return the gradients as a tuple or a mapping, got {describe(grads)}")
        names = list(self._arrays)
        if len(grads) == len(self._order):
            names = self._order
        elif len(grads) != len(names):
            raise TargetError(
                f"backward returned {len(grads)} gradients, expected {len(names)}: one for each of {', '.join(names)}"
            )
        pairs = zip(names, grads, strict=True)
        return {name: grad for name, grad in pairs if grad is not None and name not in self.inputs}


def own_arrays(arrays: Mapping[str, Any]) -> Values:
    """Copies of the user's arrays; a list is no array, and is left for the validation to refuse."""
    check_names("params", arrays)
    own: dict[str, Any] = {
        str(name): array if isinstance(array, list) else np.array(_taken(str(name), array))
        for name, array in arrays.items()
    }
    return own


def _taken(name: str, array: Any) -> Any:
    """The array where NumPy can have it.

    Raises:
        TargetError: If it is one of another device, or of numbers that NumPy lacks.
    """
    found = as_numpy(array)
    if not isinstance(found, np.ndarray) and not is_jax_array(found) and (why := why_not_shared(name, found)):
        raise TargetError(why)
    return found


def is_pair(result: Any) -> bool:
    """Whether what the user's code returned is a tuple of two."""
    return isinstance(result, tuple) and len(result) == 2


def flatten(structure: Any) -> list[Any]:
    """The arrays of a nested tuple or list, in order; a lone array is a list of one."""
    if isinstance(structure, (tuple, list)):
        return [leaf for part in structure for leaf in flatten(part)]
    return [structure]


def unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    """`leaves` in the nesting of `structure`."""
    remaining = iter(leaves)

    def build(part: Any) -> Any:
        return tuple(build(child) for child in part) if isinstance(part, (tuple, list)) else next(remaining)

    return build(structure)
