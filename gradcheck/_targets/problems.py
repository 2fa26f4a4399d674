"""The kinds of problem: code that works on its own arrays, a pure function, a forward and its backward.

Each kind answers the same questions: the parameters as they are, the loss at other values, the gradients there. A
`Target` asks nothing else of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from gradcheck._common.arrays import Array, Values
from gradcheck._common.errors import TargetError, call_user_code
from gradcheck._common.silence import muted
from gradcheck._common.surely import surely
from gradcheck._targets.attributes import Attributes
from gradcheck._targets.global_generator import seed_global_generator
from gradcheck._targets.structure import gradients_by_name, leaves, rebuilt, slots
from gradcheck._targets.validation import (
    check_callable,
    check_inputs,
    check_names,
    check_parameters,
    describe,
    name_inputs,
)

#: the loss for many copies of the parameter of this name
Batched: TypeAlias = Callable[[str, Array], Any]
#: arrays, or lists, tuples and mappings of them; each of them, or the whole mapping, may be a callable that returns it
Params: TypeAlias = Mapping[str, Any] | Callable[[], Mapping[str, Any]]


class Problem(ABC):
    """Parameters, inputs, a loss and its gradients, in whatever form the user's code has them."""

    #: whether complex values can reach the loss at all; whether it then behaves is found out by a probe
    takes_complex = True
    #: the attribute that holds the function of the gradients alone; None where one call gives the loss as well
    asks_gradients_with: str | None = None

    def __init__(self, inputs: Values, batched: Batched | None = None) -> None:
        if batched is not None:
            check_callable("batched", batched, "batched(name, copies) -> losses")
        self.inputs = inputs
        self.batched = batched
        #: what the user's code was handed by the last call, as it should have left it
        self._expected: Values = {}
        check_parameters(self.arrays())
        check_inputs(inputs)

    @abstractmethod
    def arrays(self) -> Values:
        """The live parameters."""

    @abstractmethod
    def loss_at(self, values: Values) -> Any:
        """What the user's loss is with the parameters at `values`, untouched."""

    @abstractmethod
    def loss_then_grads_at(self, values: Values) -> Generator[Any, None, None]:
        """What the user's loss is with the parameters at `values`, and then what the gradients are; to be closed."""

    @abstractmethod
    def handed_out(self) -> Values:
        """The live arrays that the last call was handed."""

    @abstractmethod
    def functions(self) -> list[object]:
        """The user's functions, through which all of their state is reached."""

    def losses_at(self, values: Values, name: str, copies: Array) -> Any:  # noqa: ARG002 - a pure function has the others
        """What ``batched(name, copies)`` returns with the other parameters at `values`."""
        return asked(f"batched({name!r}, copies)", self._the_batched(), name, copies)

    def names_changed_by_last_call(self) -> list[str]:
        """The names of the arrays that the last call did not leave as they were handed to it."""
        return [
            name
            for name, array in self.handed_out().items()
            if name in self._expected
            and not np.array_equal(array, self._expected[name], equal_nan=array.dtype.kind in "fc")
        ]

    @contextmanager
    def preserved(self) -> Iterator[None]:
        """Put every array back at the end, whatever happens in between."""
        inputs = copies_of(self.inputs)
        put_parameters_back = self.bring_back()

        def put_back() -> None:
            for name, array in inputs.items():
                self.inputs[name][...] = array
            put_parameters_back()

        try:
            yield
        finally:
            surely(put_back)

    def bring_back(self) -> Callable[[], None]:
        """What makes the parameters as they are now again."""
        live = self.arrays()
        before = copies_of(live)

        def put_back() -> None:
            for name, array in live.items():
                array[...] = before[name]
            for name, array in self.arrays().items():  # code may have bound its weights anew since then
                if array is not live.get(name) and np.shape(array) == before[name].shape:
                    array[...] = before[name]

        return put_back

    def write(self, values: Values) -> None:
        """Set the arrays of the parameters."""
        for name, array in self.arrays().items():
            array[...] = values[name]

    def _the_batched(self) -> Batched:
        assert self.batched is not None  # nobody asks for losses who was not told of it
        return self.batched


class InPlaceProblem(Problem):
    """loss() and grads() that read the user's own arrays: values are written into them."""

    asks_gradients_with: str | None = "grads"

    def __init__(
        self,
        params: Params,
        loss: Callable[[], Any],
        grads: Callable[[], Any],
        inputs: Any = None,
        reset: Callable[[], object] | None = None,
        batched: Batched | None = None,
    ) -> None:
        check_callable("loss", loss, "without arguments")
        check_callable("grads", grads, "without arguments")
        if reset is not None:
            check_callable("reset", reset, "without arguments")
        self.loss = loss
        self.grads = grads
        self._params = params
        self._reset = reset
        super().__init__(name_inputs(inputs), batched)
        self.takes_complex = (
            isinstance(params, MutableMapping)
            and not any(map(callable, params.values()))
            and all(slot.is_writable for slot in slots(params))
            and (not isinstance(params, Attributes) or params.is_settable)
        )

    def arrays(self) -> Values:
        found: Values = {}
        for key, value in self._values().items():
            for name, array in leaves(str(key), value):
                if name in found:
                    raise TargetError(f"params: two arrays are both called {name!r}; rename one")
                found[name] = array
        return found

    def handed_out(self) -> Values:
        return {**self.arrays(), **self.inputs}

    def functions(self) -> list[object]:
        params = self._params
        if callable(params) or isinstance(params, Attributes):  # which may not be there just now
            of_params: list[object] = [params]
        else:
            of_params = [value for value in params.values() if callable(value)]
        return [self.loss, self.grads, self._reset, self.batched, *of_params]

    def run_loss(self) -> Any:
        """What ``loss()`` returns with the parameters as they are."""
        return asked("loss()", self.loss)

    def run_grads(self) -> Any:
        """What ``grads()`` returns after a loss, by the names of the parameters."""
        return self.by_name(asked("grads()", self.grads))

    def bring_back(self) -> Callable[[], None]:
        params, put_entries_back = self._params, super().bring_back()
        bound = [] if callable(params) else [(one, one.container[one.key]) for one in slots(params) if one.is_writable]

        def put_back() -> None:
            for slot, array in bound:
                if slot.container[slot.key] is not array:
                    slot.container[slot.key] = array
            put_entries_back()

        return put_back

    def by_name(self, raw: Any, what: str = "grads()") -> Any:
        """Gradients in the order of the parameters, or of the same structure, by name."""
        return gradients_by_name(raw, self._values(), what)

    def loss_at(self, values: Values) -> Any:
        with self.placed_at(values):
            return self.run_loss()

    def losses_at(self, values: Values, name: str, copies: Array) -> Any:
        with self.placed_at(values):
            return super().losses_at(values, name, copies)

    def loss_then_grads_at(self, values: Values) -> Generator[Any, None, None]:
        with self.placed_at(values):
            yield self.run_loss()
            yield self.run_grads()

    @contextmanager
    def placed_at(self, values: Values, *, before: Callable[[], None] = lambda: None) -> Iterator[None]:
        """The parameters at `values`, and hidden state as at the start; arrays of a wider dtype replace the entries.

        `before` is called when the parameters are there, and the user's reset() was not called yet.
        """
        self._expected = {**values, **copies_of(self.inputs)}
        live = self.arrays()
        if all(array.dtype == live[name].dtype for name, array in values.items()):
            self.write(values)
            before()
            self._call_reset()
            yield
            return
        with self._replaced_by(values):
            before()
            self._call_reset()
            yield

    @contextmanager
    def _replaced_by(self, values: Values) -> Iterator[None]:
        """Other arrays in the place of the user's."""
        assert isinstance(self._params, MutableMapping)  # takes_complex said so
        originals = [(slot, slot.container[slot.key]) for slot in slots(self._params)]

        def put_back() -> None:
            for slot, array in originals:
                slot.container[slot.key] = array

        try:
            for slot, _ in originals:
                slot.container[slot.key] = values[slot.name]
            yield
        finally:
            surely(put_back)

    def _values(self) -> Mapping[str, Any]:
        """The parameters by the user's names: arrays, or structures of them."""
        params = self._params
        mapping = call_user_code("params()", params) if callable(params) else params
        if not isinstance(mapping, Mapping):
            raise TargetError(f"params must be a mapping from names to arrays, got {describe(mapping)}")
        check_names("params", mapping)
        return {
            name: call_user_code(f"params[{name!r}]()", value) if callable(value) else value
            for name, value in mapping.items()
        }

    def _call_reset(self) -> None:
        if self._reset is not None:
            asked("reset()", self._reset)


class FunctionProblem(Problem):
    """f(params) -> (loss, grads): nothing to restore, since f is handed fresh arrays."""

    def __init__(self, f: Callable[[Values], Any], params: Mapping[str, Any], batched: Batched | None = None) -> None:
        check_callable("f", f, "f(params) -> (loss, grads)")
        if not isinstance(params, Mapping):
            raise TargetError(f"params must be a mapping from names to arrays, got {describe(params)}")
        self._f = f
        check_names("params", params)
        self._structure = {str(name): value for name, value in params.items()}
        self._arrays = own_arrays(dict(leaf for name, value in self._structure.items() for leaf in leaves(name, value)))
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
        handed = {name: rebuilt(name, value, self._passed) for name, value in self._structure.items()}
        result = asked("f(params)", self._f, handed)
        if not is_pair(result):
            raise TargetError(f"f(params) must return a pair (loss, grads), got {describe(result)}")
        loss, grads = result
        return loss, gradients_by_name(grads, self._structure, "f(params)")


class VjpProblem(Problem):
    """forward and backward: the loss is the outputs contracted with cotangents that stay fixed through a check."""

    asks_gradients_with = "backward"

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[[Any, Any], Any],
        inputs: Mapping[str, Any] | Sequence[Any],
    ) -> None:
        if not (callable(forward) and callable(backward)):
            raise TargetError(
                "from_vjp takes forward(*arrays) and backward(cotangents, cache) as its first two arguments"
            )
        if isinstance(inputs, np.ndarray) or not isinstance(inputs, (Mapping, Sequence)):
            raise TargetError(f"inputs must be a mapping or a sequence of arrays, got {describe(inputs)}")
        arrays = own_arrays(
            inputs if isinstance(inputs, Mapping) else {f"inputs[{i}]": array for i, array in enumerate(inputs)}
        )
        integers = {name for name, array in arrays.items() if not isinstance(array, list) and array.dtype.kind in "iub"}
        self.backward = backward
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
        return self._gradients_by_name(
            asked("backward(cotangents, cache)", self.backward, unflatten(outputs, copies), cache)
        )

    def run_forward(self, values: Values) -> tuple[Any, Any]:
        """(outputs, cache) at these values."""
        self._expected = {name: np.array(values.get(name, self.inputs.get(name))) for name in self._order}
        self._passed = copies_of(self._expected)
        result = asked("forward(*inputs)", self._forward, *self._passed.values())
        if not is_pair(result):
            raise TargetError(f"forward must return a pair (outputs, cache), got {describe(result)}")
        outputs, cache = result
        return outputs, cache

    def _gradients_by_name(self, grads: Any) -> dict[str, Any]:
        if isinstance(grads, Mapping):
            check_names("the gradients", grads)
            return {str(name): grad for name, grad in grads.items() if str(name) not in self.inputs or grad is not None}
        if isinstance(grads, np.ndarray) and len(self._arrays) == 1:
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


def asked(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What the user's function returns; what it draws from NumPy's global generator is the same each time.

    What it prints is not heard, unless somebody listens (`heard`).
    """
    seed_global_generator()
    with muted():
        return call_user_code(what, function, *arguments)


def own_arrays(arrays: Mapping[str, Any]) -> Values:
    """Copies of the user's arrays; a list is no array, and is left for the validation to refuse."""
    check_names("params", arrays)
    own: dict[str, Any] = {
        str(name): array if isinstance(array, list) else np.array(array) for name, array in arrays.items()
    }
    return own


def copies_of(arrays: Values) -> Values:
    """Copies, by the same names."""
    return {name: np.array(array) for name, array in arrays.items()}


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
