"""What a target can be made of: arguments are refused when the target is made, where the mistake is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck._common.arrays import Array, Values
from gradcheck._common.errors import TargetError
from gradcheck._common.libraries import is_array, shared_with_numpy, why_not_shared
from gradcheck._common.wording import describe_not_finite

#: pairs of arrays whose overlap takes more work than this to decide are taken to be apart
MAX_OVERLAP_WORK = 100_000
#: the most characters of a value that a message quotes
MAX_QUOTED = 40


def check_callable(what: str, function: object, form: str) -> None:
    """Refuse what cannot be called; `form` says how it is meant to be called."""
    if not callable(function):
        raise TargetError(f"{what} must be a function {form}, got {describe(function)}")


def check_parameters(arrays: Values) -> None:
    """Refuse parameters that cannot be perturbed in place, each alone."""
    if not arrays:
        raise TargetError("params is empty: name at least one array to check")
    for name, array in arrays.items():
        _check_floating(f"params[{name!r}]", array)
        if not array.flags.writeable:
            raise TargetError(
                f"params[{name!r}] is read-only, and the checker perturbs it in place: "
                "pass a writable copy, or use Target.from_function"
            )
    _check_apart(arrays)


def check_names(what: str, mapping: Mapping[Any, Any]) -> None:
    """Refuse names that are the same as text, such as 1 and "1": one of the two would not be checked."""
    seen: dict[str, Any] = {}
    for name in mapping:
        if str(name) in seen:
            raise TargetError(f"{what}: {seen[str(name)]!r} and {name!r} are both called {str(name)!r}; rename one")
        seen[str(name)] = name


def check_inputs(inputs: Values) -> None:
    """Refuse inputs that cannot be changed in place."""
    for name, array in inputs.items():
        if not isinstance(array, np.ndarray):
            raise TargetError(
                why_not_shared(f"inputs: {name}", array)
                or f"{name} must be an ndarray that the loss reads, got {describe(array)}"
            )
        if not array.flags.writeable:
            raise TargetError(f"{name} is read-only, and the checker changes it in place: pass a writable array")


def name_inputs(inputs: Any) -> Values:
    """Inputs by name, from a mapping, a sequence or one array; tensors as NumPy arrays of the same memory."""
    if inputs is None:
        return {}
    if isinstance(inputs, Mapping):
        check_names("inputs", inputs)
        return {f"{name}": shared_with_numpy(array) for name, array in inputs.items()}
    if isinstance(inputs, (tuple, list)) and any(map(is_array, inputs)):
        return {f"inputs[{i}]": shared_with_numpy(array) for i, array in enumerate(inputs)}
    return {"inputs": shared_with_numpy(inputs)}


def name_gates(gates: Any) -> tuple[str, ...]:
    """The names of gates, from a string of letters or a list of names."""
    if not isinstance(gates, Sequence) or not all(isinstance(gate, str) for gate in gates):
        raise TargetError(f'gates must be the names of the gates in their order, as in "ifgo", got {describe(gates)}')
    return tuple(gates)


def describe(value: object) -> str:
    """A value of another kind than expected, in a few words."""
    if isinstance(value, np.ndarray):
        return f"an array of dtype {value.dtype} and shape {value.shape}"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 3] + '...'}"


def _check_floating(what: str, array: object) -> None:
    if not isinstance(array, np.ndarray):
        raise TargetError(
            why_not_shared(what, array)
            or f"{what} is {describe(array)}: expected a floating-point ndarray, as in np.array(..., dtype=float)"
        )
    if array.dtype.kind != "f":
        raise TargetError(
            f"{what} has dtype {array.dtype}: expected floating point; convert it with .astype(np.float64)"
        )
    bad = describe_not_finite(array)
    if bad:
        raise TargetError(f"{what} {bad}: start the check from finite parameters")


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
    work: Any = MAX_OVERLAP_WORK  # the stubs of some versions know -1 and 0 only
    try:
        return np.shares_memory(first, second, max_work=work)
    except np.exceptions.TooHardError:
        return False  # interleaved views too intricate to decide: taken to be apart, as slices of a fused array are
