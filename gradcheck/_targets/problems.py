"""The kinds of problem: code that works on its own arrays, a pure function, a forward and its backward.

Each kind answers the same questions: the parameters as they are, the loss at other values, the gradients there. A
`Target` asks nothing else of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from gradcheck._common.arrays import Array, Values
from gradcheck._common.errors import TargetError, call_user_code
from gradcheck._common.libraries import as_numpy, is_jax_array, is_tensor, shared_with_numpy
from gradcheck._common.silence import muted
from gradcheck._common.surely import surely
from gradcheck._targets.attributes import Attributes
from gradcheck._targets.global_generator import seed_global_generator
from gradcheck._targets.structure import gradients_by_name, leaves, slots
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
        #: what is to be said of its precision, even if all is right
        self.remark = ""
        #: what the user's code was handed by the last call, as it should have left it
        self._expected: Values = {}
        #: the parameters as they were when the last `preserved` that is not left was entered
        self._kept: Values = {}
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

    def written_arrays(self) -> Values:
        """The arrays that values are written into before each call: none here."""
        return {}

    def losses_at(self, values: Values, name: str, copies: Array) -> Any:  # noqa: ARG002 - a pure function has the others
        """What ``batched(name, copies)`` returns with the other parameters at `values`."""
        return asked(f"batched({name!r}, copies)", self._the_batched(), name, copies)

    def note_precision(self, result: Any) -> None:
        """Remark that a library calculates in less than double precision."""
        if not (is_jax_array(result) or is_tensor(result)) or self.remark:
            return
        kind = str(result.dtype).removeprefix("torch.")
        if kind == "float64" or not kind.startswith(("float", "bfloat")):
            return
        mend = "build the module in float64, as in module.double()"
        if is_jax_array(result):
            mend = 'begin the file with jax.config.update("jax_enable_x64", True)'
        self.remark = f"low precision: the loss is calculated in {kind}; for a sharper check {mend}"

    def names_changed_by_last_call(self) -> list[str]:
        """The names of the arrays that the last call did not leave as they were handed to it."""
        return [
            name
            for name, array in self.handed_out().items()
            if name in self._expected and not _are_same(array, self._expected[name])
        ]

    def values(self) -> Values:
        """The parameters as they are, in arrays that nobody writes into: those that are kept for putting them back."""
        live, kept = self.arrays(), self._kept
        same = kept.keys() == live.keys() and all(_are_same(array, kept[name]) for name, array in live.items())
        return dict(kept) if same else copies_of(live)

    @contextmanager
    def preserved(self) -> Iterator[None]:
        """Put every array back at the end, whatever happens in between."""
        inputs, outer, self._kept = copies_of(self.inputs), self._kept, copies_of(self.arrays())
        put_parameters_back = self.bring_back(self._kept)

        def put_back() -> None:
            for name, array in inputs.items():
                self.inputs[name][...] = array
            put_parameters_back()

        try:
            yield
        finally:
            self._kept = outer
            surely(put_back)

    def bring_back(self, kept: Values | None = None) -> Callable[[], None]:
        """What makes the parameters as they are now again; of these copies, if there are some already."""
        live = self.arrays()
        before = copies_of(live) if kept is None else kept

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
            if array is not values[name]:
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
        #: whether the names are known to be apart
        self._is_checked = False
        plain = isinstance(params, Mapping) and not isinstance(params, Attributes)
        self._holds_callables = callable(params) or (plain and any(map(callable, params.values())))
        super().__init__(name_inputs(inputs), batched)
        self.takes_complex = (
            isinstance(params, MutableMapping)
            and not any(map(callable, params.values()))
            and all(slot.is_writable for slot in slots(params))
            and (not isinstance(params, Attributes) or params.is_settable)
            and not self._has_tensors()
        )

    def arrays(self) -> Values:
        found: Values = {}
        for key, value in self._values().items():
            for name, array in ((str(key), value),) if isinstance(value, np.ndarray) else leaves(str(key), value):
                if name in found:
                    raise TargetError(f"params: two arrays are both called {name!r}; rename one")
                found[name] = shared_with_numpy(array)
        return found

    def written_arrays(self) -> Values:
        return self.arrays()

    def tensors(self) -> dict[str, Any]:
        """The parameters that are tensors of torch, by name: what shares its memory with `arrays`."""
        found = (leaf for key, value in self._values().items() for leaf in leaves(str(key), value))
        return {name: value for name, value in found if is_tensor(value)}

    def _has_tensors(self) -> bool:
        return bool(self.tensors())

    def handed_out(self) -> Values:
        return {**self.arrays(), **self.inputs}

    def functions(self) -> list[object]:
        params = self._params
        if callable(params) or isinstance(params, Attributes):  # which may not be there just now
            of_params: list[object] = [params]
        else:
            of_params = [value for value in params.values() if callable(value)]
            of_params += self.tensors().values()
            of_params += self.tensors().values()
        return [self.loss, self.grads, self._reset, self.batched, *of_params]

    def run_loss(self) -> Any:
        """What ``loss()`` returns with the parameters as they are."""
        return as_numpy(self._asked_loss())

    def _asked_loss(self) -> Any:
        result = asked("loss()", self.loss)
        self.note_precision(result)
        return result

    def run_grads(self) -> Any:
        """What ``grads()`` returns after a loss, by the names of the parameters."""
        return self.by_name(asked("grads()", self.grads))

    def bring_back(self, kept: Values | None = None) -> Callable[[], None]:
        params, put_entries_back = self._params, super().bring_back(kept)
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
        if mapping is not params or not self._is_checked:
            check_names("params", mapping)
            self._is_checked = True
        if not self._holds_callables:
            return mapping
        return {
            name: call_user_code(f"params[{name!r}]()", value) if callable(value) else value
            for name, value in mapping.items()
        }

    def _call_reset(self) -> None:
        if self._reset is not None:
            asked("reset()", self._reset)


def asked(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What the user's function returns; what it draws from NumPy's global generator is the same each time.

    What it prints is not heard, unless somebody listens (`heard`).
    """
    seed_global_generator()
    with muted():
        return call_user_code(what, function, *arguments)


def _are_same(array: Array, expected: Array) -> bool:
    """Whether they hold the same numbers; those that are none are looked for only where something differs."""
    return np.array_equal(array, expected) or (
        array.dtype.kind in "fc" and np.array_equal(array, expected, equal_nan=True)
    )


def copies_of(arrays: Values) -> Values:
    """Copies, by the same names."""
    return {name: np.array(array) for name, array in arrays.items()}
