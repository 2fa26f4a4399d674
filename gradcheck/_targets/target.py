"""What is checked: parameters, a loss, and the gradients somebody wrote by hand.

Three ways in, one inside. The checker asks a `Target` only for its values, for the loss at other values, and for the
gradients; whether that means writing into the user's arrays (`Target`), calling a pure function
(`Target.from_function`) or contracting outputs with cotangents (`Target.from_vjp`) is settled in this file.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, MutableMapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, TypeAlias

import numpy as np

from gradcheck._common.arrays import Array, Values
from gradcheck._common.errors import TargetError, UserCodeError
from gradcheck._targets.user_state import UserState

#: the loss for many copies of the parameter of this name
Batched: TypeAlias = Callable[[str, Array], Any]
Params: TypeAlias = Mapping[str, Array | Callable[[], Array]] | Callable[[], Mapping[str, Array]]


class Target:
    """A loss, its parameters and their hand-written gradients.

    Args:
        params: Mapping from a name to a floating-point ndarray; or to a callable that returns the array; or a
            callable that returns the whole mapping (for code that binds its weights anew). The arrays are perturbed
            in place and always put back, also after an exception or Ctrl-C. Inputs and initial states may be listed
            here too.
        loss: ``loss() -> float``: the scalar that the gradients are of, at the current values of `params`.
        grads: ``grads() -> mapping``: for each name an array of the parameter's shape. Called after ``loss()``.
        inputs: Arrays that the loss should depend on but that have no gradient (tokens, labels): a mapping, a
            sequence or one array. They are changed in place to see whether the loss follows, and put back.
        reset: Called before each ``loss()`` and before each ``loss()``-then-``grads()``: brings hidden state back.
        name: Shown in the report.
        gates: The names of gates that stand side by side in one array, in their order: "ifgo", or a list of names.
            Reports then name the gate that is wrong.
        batched: ``batched(name, copies) -> losses``: the loss for K copies of one parameter, (K, *shape), while the
            others stay as they are; K numbers. Makes a full check faster. Copies are complex where `loss` takes complex
            parameters; where `batched` does not, raise, and the entries are taken one by one.

    Raises:
        TargetError: If a parameter cannot be perturbed: not an ndarray, not floating point, read-only, not finite, or
            sharing memory with another parameter.
    """

    #: whether there is an upstream gradient that the checker draws itself (`from_vjp`)
    is_vjp = False

    def __init__(
        self,
        params: Params,
        loss: Callable[[], Any],
        grads: Callable[[], Any],
        *,
        inputs: Any = None,
        reset: Callable[[], object] | None = None,
        name: str | None = None,
        gates: Sequence[str] = (),
        batched: Batched | None = None,
    ) -> None:
        if not (callable(loss) and callable(grads)):
            bad = "loss" if not callable(loss) else "grads"
            raise TargetError(
                f"{bad} must be a function without arguments, got {_describe(loss if bad == 'loss' else grads)}"
            )
        if reset is not None and not callable(reset):
            raise TargetError(f"reset must be a function without arguments, got {_describe(reset)}")
        if batched is not None and not callable(batched):
            raise TargetError(f"batched must be a function batched(name, copies) -> losses, got {_describe(batched)}")
        self.name = name or "target"
        self._params = params
        self._loss = loss
        self._grads = grads
        self._reset = reset
        self._inputs = _named_inputs(inputs)
        self._expected: Values = {}
        self.gates = _named_gates(gates)
        self.batched = batched
        #: what its functions reached when a factory had just built it
        self.built_state: UserState | None = None
        self._is_open = False
        self._open_state: UserState | None = None
        self._check_params()

    @staticmethod
    def from_function(
        f: Callable[[Values], tuple[Any, Mapping[str, Any]]],
        params: Mapping[str, Any],
        *,
        name: str | None = None,
        gates: Sequence[str] = (),
        batched: Batched | None = None,
    ) -> Target:
        """A target from ``f(params) -> (loss, grads)``, which never mutates `params` (JAX style)."""
        return FunctionTarget(f, params, name=name, gates=gates, batched=batched)

    @staticmethod
    def from_vjp(
        forward: Callable[..., Any],
        backward: Callable[[Any, Any], Any],
        inputs: Mapping[str, Any] | Sequence[Any],
        *,
        name: str | None = None,
        gates: Sequence[str] = (),
    ) -> Target:
        """A target from a forward and a backward: the vector-Jacobian product itself, with no loss around it.

        Args:
            forward: ``forward(*arrays) -> (outputs, cache)``; outputs is one array or a (nested) tuple of arrays.
            backward: ``backward(cotangents, cache)``: gradients in the order of `inputs`, or a mapping by name. The
                cotangents have the structure of the outputs; the checker draws them from a normal distribution.
                Integer inputs (tokens) have no gradient: their place may hold None or be left out.
            inputs: Mapping from a name to an array, in the order of forward's arguments; or a sequence of arrays.
        """
        return VjpTarget(forward, backward, inputs, name=name, gates=gates)

    # -- what the checker asks for ---------------------------------------------------------------------------------

    @property
    def takes_complex(self) -> bool:
        """Whether complex values can reach the loss at all; whether it then behaves is found out by a probe."""
        return isinstance(self._params, MutableMapping) and not any(callable(value) for value in self._params.values())

    def draw_cotangents(self, rng: np.random.Generator) -> None:
        """Called once before a check; draws what has to stay fixed through it."""

    def values(self) -> Values:
        """Copies of the parameters as they are now."""
        return {name: np.array(array) for name, array in self._current_arrays().items()}

    def inputs(self) -> Values:
        """The live arrays that have no gradient but should matter."""
        return self._inputs

    def names_changed_by_last_call(self) -> list[str]:
        """The names of the user's arrays that the last call did not leave as they were handed to it."""
        live = {**self._current_arrays(), **self._inputs}
        return _names_that_differ(live, self._expected)

    def loss_at(self, values: Values) -> Any:
        """What ``loss()`` returns with the parameters at `values`; those of a wider dtype replace the entries."""
        with self._placed_at(values):
            self._call_reset()
            return call_user_code("loss()", self._loss)

    def losses_at(self, values: Values, name: str, copies: Array) -> Any:
        """What ``batched(name, copies)`` returns with the parameters at `values`."""
        assert self.batched is not None
        with self._placed_at(values):
            self._call_reset()
            return call_user_code(f"batched({name!r}, copies)", self.batched, name, copies)

    def grads_at(self, values: Values) -> Any:
        """What ``grads()`` returns after a ``loss()`` with the parameters at `values`."""
        with closing(self.loss_then_grads_at(values)) as asked:
            next(asked)
            return next(asked)

    def loss_then_grads_at(self, values: Values) -> Generator[Any, None, None]:
        """What ``loss()`` returns with the parameters at `values`, and then what ``grads()`` does; to be closed."""
        with self._placed_at(values):
            self._call_reset()
            yield call_user_code("loss()", self._loss)
            yield call_user_code("grads()", self._grads)

    @contextmanager
    def preserved(self) -> Iterator[None]:
        """Put everything that the user's functions can change back at the end, whatever happens in between.

        A target that a factory built brings its own state along: the module variables, say, that a later call of the
        factory has bound anew.
        """
        outside = UserState(self._functions())
        if self.built_state is not None and not self._is_open:
            self.built_state.restore()
        before = self._is_open, self._open_state
        self._is_open, self._open_state = True, UserState(self._functions()) if self.built_state else outside
        try:
            with self._arrays_preserved():
                yield
        finally:
            self._is_open, self._open_state = before
            outside.restore_values(installed=self.built_state)

    def move_to(self, values: Values) -> None:
        """Set the parameters, until `preserved` puts them back."""
        self._write(values)

    def restore_state(self, *, if_complex: bool = False) -> None:
        """Bring hidden state back to where `preserved` found it; `if_complex`: only where some of it is complex now."""
        state = self._open_state
        if state is not None and not (
            if_complex and UserState(self._functions()).complex_arrays <= state.complex_arrays
        ):
            state.restore_values()

    @contextmanager
    def _arrays_preserved(self) -> Iterator[None]:
        live = self._current_arrays()
        before = {name: np.array(array) for name, array in live.items()}
        inputs = {name: np.array(array) for name, array in self._inputs.items()}
        try:
            yield
        finally:
            for name, array in inputs.items():
                self._inputs[name][...] = array
            for name, array in live.items():  # code may have bound its weights anew since then
                array[...] = before[name]
            self._write(before)

    def keep_state(self) -> None:
        """Bring the state along that its functions reach now; `preserved` puts it in place."""
        self.built_state = UserState(self._functions())

    def _functions(self) -> list[object]:
        """The user's functions, and what else of theirs is called."""
        params = self._params
        callables = [params] if callable(params) else [value for value in params.values() if callable(value)]
        return [self._loss, self._grads, self._reset, self.batched, *callables]

    # -- the arrays themselves -------------------------------------------------------------------------------------

    def _current_arrays(self) -> Values:
        params = self._params
        mapping = call_user_code("params()", params) if callable(params) else params
        if not isinstance(mapping, Mapping):
            raise TargetError(f"params must be a mapping from names to arrays, got {_describe(mapping)}")
        return {
            str(name): call_user_code(f"params[{name!r}]()", value) if callable(value) else value
            for name, value in mapping.items()
        }

    def _write(self, values: Values) -> None:
        for name, array in self._current_arrays().items():
            array[...] = values[name]

    @contextmanager
    def _placed_at(self, values: Values) -> Iterator[None]:
        self._expected = {**values, **{name: np.array(array) for name, array in self._inputs.items()}}
        live = self._current_arrays()
        if all(array.dtype == live[name].dtype for name, array in values.items()):
            self._write(values)
            yield
            return
        params = self._params
        assert isinstance(params, MutableMapping)  # takes_complex said so
        originals = dict(params)
        try:
            params.update({name: values[str(name)] for name in originals})
            yield
        finally:
            params.update(originals)

    def _call_reset(self) -> None:
        if self._reset is not None:
            call_user_code("reset()", self._reset)

    def _check_params(self) -> None:
        live = self._current_arrays()
        if not live:
            raise TargetError("params is empty: name at least one array to check")
        for name, array in live.items():
            _check_floating(f"params[{name!r}]", array)
            if not array.flags.writeable:
                raise TargetError(
                    f"params[{name!r}] is read-only, and the checker perturbs it in place: "
                    "pass a writable copy, or use Target.from_function"
                )
        _check_apart(live)
        for name, array in self._inputs.items():
            if not isinstance(array, np.ndarray):
                raise TargetError(f"{name} must be an ndarray that the loss reads, got {_describe(array)}")
            if not array.flags.writeable:
                raise TargetError(f"{name} is read-only, and the checker changes it in place: pass a writable array")


class FunctionTarget(Target):
    """f(params) -> (loss, grads): nothing to restore, since f is handed fresh arrays."""

    takes_complex = True

    def _functions(self) -> list[object]:
        return [self._f, self.batched]

    def __init__(
        self,
        f: Callable[[Values], Any],
        params: Mapping[str, Any],
        *,
        name: str | None,
        gates: Sequence[str],
        batched: Batched | None,
    ) -> None:
        if not callable(f):
            raise TargetError(f"f must be a function f(params) -> (loss, grads), got {_describe(f)}")
        if not isinstance(params, Mapping):
            raise TargetError(f"params must be a mapping from names to arrays, got {_describe(params)}")
        self._f = f
        self._passed: Values = {}
        arrays: dict[str, Any] = {
            str(key): value if isinstance(value, list) else np.array(value) for key, value in params.items()
        }
        name = name or getattr(f, "__name__", None)
        super().__init__(arrays, lambda: None, lambda: None, name=name, gates=gates, batched=batched)

    def names_changed_by_last_call(self) -> list[str]:
        return _names_that_differ(self._passed, self._expected)

    def loss_at(self, values: Values) -> Any:
        return self._loss_and_grads(values)[0]

    def loss_then_grads_at(self, values: Values) -> Generator[Any, None, None]:
        yield from self._loss_and_grads(values)

    def _loss_and_grads(self, values: Values) -> tuple[Any, Any]:
        self._expected = dict(values)
        self._passed = {name: np.array(array) for name, array in values.items()}
        result = call_user_code("f(params)", self._f, dict(self._passed))
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TargetError(f"f(params) must return a pair (loss, grads), got {_describe(result)}")
        return result


class VjpTarget(Target):
    """forward and backward: the loss is the outputs contracted with cotangents that stay fixed through a check."""

    takes_complex = True
    is_vjp = True

    def _functions(self) -> list[object]:
        return [self._forward, self._backward]

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[[Any, Any], Any],
        inputs: Any,
        *,
        name: str | None,
        gates: Sequence[str],
    ) -> None:
        if not (callable(forward) and callable(backward)):
            raise TargetError(
                "from_vjp takes forward(*arrays) and backward(cotangents, cache) as its first two arguments"
            )
        if isinstance(inputs, np.ndarray) or not isinstance(inputs, (Mapping, Sequence)):
            raise TargetError(f"inputs must be a mapping or a sequence of arrays, got {_describe(inputs)}")
        named = (
            dict(inputs) if isinstance(inputs, Mapping) else {f"inputs[{i}]": array for i, array in enumerate(inputs)}
        )
        self._forward = forward
        self._backward = backward
        self._order = [str(key) for key in named]
        arrays: dict[str, Any] = {
            str(key): value if isinstance(value, list) else np.array(value) for key, value in named.items()
        }
        integers = {
            key: array for key, array in arrays.items() if not isinstance(array, list) and array.dtype.kind in "iub"
        }
        floats: dict[str, Any] = {key: array for key, array in arrays.items() if key not in integers}
        self.cotangents: list[Array] = []
        self._passed: Values = {}
        name = name or getattr(forward, "__name__", None)
        super().__init__(floats, lambda: None, lambda: None, inputs=integers, name=name, gates=gates)

    def draw_cotangents(self, rng: np.random.Generator) -> None:
        outputs, _ = self.run_forward(self.values())
        self.cotangents = []
        for i, output in enumerate(flatten(outputs)):
            if np.asarray(output).dtype.kind not in "fc":
                raise TargetError(
                    f"output {i} of forward has dtype {np.asarray(output).dtype}: expected floating point"
                )
            self.cotangents.append(np.asarray(rng.standard_normal(np.shape(output)), dtype=np.asarray(output).dtype))

    def names_changed_by_last_call(self) -> list[str]:
        return _names_that_differ(self._passed, self._expected)

    def loss_at(self, values: Values) -> Any:
        return self._dot_cotangents(self.run_forward(values)[0])

    def loss_then_grads_at(self, values: Values) -> Generator[Any, None, None]:
        outputs, cache = self.run_forward(values)
        yield self._dot_cotangents(outputs)
        yield self._run_backward(outputs, cache, self.cotangents)

    def pull_back(self, values: Values, cotangents: Sequence[Array]) -> dict[str, Any]:
        """The vector-Jacobian product of these cotangents."""
        return self._run_backward(*self.run_forward(values), cotangents)

    def _dot_cotangents(self, outputs: Any) -> Any:
        found = flatten(outputs)
        if len(found) != len(self.cotangents):
            raise TargetError(f"forward returned {len(found)} outputs, and {len(self.cotangents)} the first time")
        return sum(np.sum(cotangent * output) for cotangent, output in zip(self.cotangents, found, strict=True))

    def _run_backward(self, outputs: Any, cache: Any, cotangents: Sequence[Array]) -> dict[str, Any]:
        copies = [np.array(cotangent) for cotangent in cotangents]
        for i, (copy, cotangent) in enumerate(zip(copies, cotangents, strict=True)):
            self._passed[f"cotangent[{i}]"], self._expected[f"cotangent[{i}]"] = copy, cotangent
        return self._gradients_by_name(
            call_user_code("backward(cotangents, cache)", self._backward, unflatten(outputs, copies), cache)
        )

    def run_forward(self, values: Values) -> tuple[Any, Any]:
        """(outputs, cache) at these values."""
        self._expected = {name: np.array(values.get(name, self._inputs.get(name))) for name in self._order}
        self._passed = {name: np.array(array) for name, array in self._expected.items()}
        result = call_user_code("forward(*inputs)", self._forward, *self._passed.values())
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TargetError(f"forward must return a pair (outputs, cache), got {_describe(result)}")
        return result

    def _gradients_by_name(self, grads: Any) -> dict[str, Any]:
        if isinstance(grads, Mapping):
            return {
                str(name): grad for name, grad in grads.items() if str(name) not in self._inputs or grad is not None
            }
        if isinstance(grads, np.ndarray) and len(self._params) == 1:  # type: ignore[arg-type]  # ours is a mapping
            grads = (grads,)
        if not isinstance(grads, (tuple, list)):
            raise TargetError(f"backward must return the gradients as a tuple or a mapping, got {_describe(grads)}")
        names = [name for name in self._order if name not in self._inputs]
        if len(grads) == len(self._order):
            names = self._order
        elif len(grads) != len(names):
            raise TargetError(
                f"backward returned {len(grads)} gradients, expected {len(names)}: one for each of {', '.join(names)}"
            )
        pairs = zip(names, grads, strict=True)
        return {name: grad for name, grad in pairs if grad is not None and name not in self._inputs}


def call_user_code(what: str, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Call the user's code; what it raises is reported as theirs."""
    try:
        with np.errstate(all="ignore"):
            return function(*arguments, **keywords)
    except TargetError:
        raise
    except (Exception, SystemExit) as error:
        raise UserCodeError(what, error) from error


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


def _names_that_differ(arrays: Values, expected: Values) -> list[str]:
    return [
        name
        for name, array in arrays.items()
        if name in expected and not np.array_equal(array, expected[name], equal_nan=array.dtype.kind in "fc")
    ]


def _named_inputs(inputs: Any) -> Values:
    if inputs is None:
        return {}
    if isinstance(inputs, Mapping):
        return {f"{name}": array for name, array in inputs.items()}
    if isinstance(inputs, (tuple, list)) and any(isinstance(part, np.ndarray) for part in inputs):
        return {f"inputs[{i}]": array for i, array in enumerate(inputs)}
    return {"inputs": inputs}


def _named_gates(gates: Any) -> tuple[str, ...]:
    if not isinstance(gates, Sequence) or not all(isinstance(gate, str) for gate in gates):
        raise TargetError(f'gates must be the names of the gates in their order, as in "ifgo", got {_describe(gates)}')
    return tuple(gates)


def _check_floating(what: str, array: object) -> None:
    if not isinstance(array, np.ndarray):
        raise TargetError(
            f"{what} is {_describe(array)}: expected a floating-point ndarray, as in np.array(..., dtype=float)"
        )
    if array.dtype.kind != "f":
        raise TargetError(
            f"{what} has dtype {array.dtype}: expected floating point; convert it with .astype(np.float64)"
        )
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        index = tuple(int(i) for i in bad[0])
        raise TargetError(
            f"{what} holds {len(bad)} values that are not finite, the first {array[index]} at {index}: "
            "start the check from finite parameters"
        )


def _check_apart(arrays: Values) -> None:
    names = list(arrays)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            if _overlap(arrays[first], arrays[second]):
                raise TargetError(
                    f"params[{first!r}] and params[{second!r}] share memory, so neither can be perturbed alone: "
                    "list tied weights once, with the sum of their gradients"
                )


def _overlap(first: Array, second: Array) -> bool:
    try:
        return np.shares_memory(first, second, max_work=100_000)  # type: ignore[arg-type]  # the stub knows -1 and 0 only
    except np.exceptions.TooHardError:
        return False  # interleaved views too intricate to decide: taken to be apart, as slices of a fused array are


def _describe(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of dtype {value.dtype} and shape {value.shape}"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"
