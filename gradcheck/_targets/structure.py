"""Arrays in lists, tuples and mappings, a list a layer for example: their names, and the way back into the structure.

An array of ``{"layers": [{"W": ...}, {"W": ...}]}`` is called ``layers[1].W``. A list that holds no array at all is
none: it is left whole, for the validation to refuse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, ValuesView
from typing import Any, NamedTuple

from gradcheck._common.arrays import Values
from gradcheck._common.errors import TargetError
from gradcheck._common.libraries import is_array
from gradcheck._common.wording import comma_separated


class Slot(NamedTuple):
    """Where an array stands: its name, the container that holds it, and its key there."""

    name: str
    container: Any
    key: Any

    @property
    def is_writable(self) -> bool:
        """Whether another array can be put there."""
        return isinstance(self.container, (list, MutableMapping))


def slots(params: Mapping[Any, Any]) -> Iterator[Slot]:
    """Where each array of a mapping stands, in order."""
    for key in params:
        yield from _slots(str(key), params, key)


def leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The arrays of a value by name: itself, or those that it holds."""
    return ((slot.name, slot.container[slot.key]) for slot in _slots(name, [value], 0))


def rebuilt(name: str, value: Any, arrays: Values) -> Any:
    """The structure of this name again, with these arrays."""
    if not is_structure(value):
        return arrays[name]
    if isinstance(value, Mapping):
        return {key: rebuilt(inner, one, arrays) for inner, key, one in _children(name, value)}
    parts: list[Any] = [
        None if one is None else rebuilt(inner, one, arrays) for inner, _, one in _children(name, value)
    ]
    if isinstance(value, tuple):
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return parts


def is_structure(value: Any) -> bool:
    """Whether it is a list, tuple or mapping with an array somewhere inside."""
    if isinstance(value, Mapping):
        return any(is_array(one) or is_structure(one) for one in value.values())
    return isinstance(value, (list, tuple)) and any(is_array(one) or is_structure(one) for one in value)


def gradients_by_name(raw: Any, params: Mapping[Any, Any], what: str = "grads()") -> Any:
    """What the user's code returned as gradients, by the names of the parameters.

    A sequence is taken in the order of `params`, and a structure as that of the parameter. Anything else is left as
    it is, for the laws to tell.

    Raises:
        TargetError: If a sequence has another length than what it is the gradients of.
    """
    if is_array(raw) and len(params) == 1:
        raw = [raw]
    if isinstance(raw, (list, tuple, ValuesView)):
        return _in_order(list(raw), params, what)
    if not isinstance(raw, Mapping) or not any(map(is_structure, params.values())):
        return raw
    shapes = {str(key): value for key, value in params.items()}
    named: dict[Any, Any] = {}
    for key, gradient in raw.items():
        value = shapes.get(str(key))
        named.update(_paired(str(key), value, gradient, what) if is_structure(value) else {key: gradient})
    return named


def _in_order(raw: list[Any], params: Mapping[Any, Any], what: str) -> dict[str, Any]:
    if len(raw) == len(params):
        pairs = zip(params.items(), raw, strict=True)
        return {name: one for (key, value), g in pairs for name, one in _paired(str(key), value, g, what).items()}
    names = [slot.name for slot in slots(params)]
    if len(raw) == len(names):
        return dict(zip(names, raw, strict=True))
    raise TargetError(
        f"{what} returned {_count(len(raw))}, expected {len(names)} in the order of params: "
        f"one for each of {comma_separated(names)}"
    )


def _paired(name: str, value: Any, gradient: Any, what: str) -> dict[str, Any]:
    """The gradients of one parameter by name, found at the same places in a structure of the same form."""
    if not is_structure(value):
        return {name: gradient}
    found: dict[str, Any] = {}
    if isinstance(value, Mapping):
        if not isinstance(gradient, Mapping):
            raise TargetError(f"{what}: the gradient of {name} is {type(gradient).__name__}, expected a mapping as it")
        shapes = {str(key): one for key, one in value.items()}
        for key, part in gradient.items():
            found |= _paired(f"{name}.{key}", shapes.get(str(key)), part, what)
        return found
    parts = list(gradient) if isinstance(gradient, (list, tuple)) or is_array(gradient) else []
    inner = list(_children(name, value))
    if len(parts) != len(inner):
        inner = [one for one in inner if one[2] is not None]
    if len(parts) != len(inner):
        given = _count(len(parts)) if parts else f"{type(gradient).__name__}"
        raise TargetError(
            f"{what}: the gradient of {name} is {given}, expected {len(inner)}: "
            f"one for each of {comma_separated([child for child, _, _ in inner])}"
        )
    for (child, _, one), part in zip(inner, parts, strict=True):
        if one is not None:
            found |= _paired(child, one, part, what)
    return found


def _slots(name: str, container: Any, key: Any) -> Iterator[Slot]:
    value = container[key]
    if not is_structure(value):
        yield Slot(name, container, key)
        return
    for inner, inner_key, one in _children(name, value):
        if one is not None:  # a list may begin with a layer 0 that has no weights
            yield from _slots(inner, value, inner_key)


def _children(name: str, value: Any) -> Iterator[tuple[str, Any, Any]]:
    """The name, the key and the value of each item of a structure."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield f"{name}.{key}", key, one
        return
    fields = getattr(value, "_fields", None)
    for i, one in enumerate(value):
        yield f"{name}.{fields[i]}" if fields else f"{name}[{i}]", i, one


def _count(number: int) -> str:
    return f"{number} gradient{'' if number == 1 else 's'}"
