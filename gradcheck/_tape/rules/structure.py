"""The numbers in arguments and results: in tuples, lists and dicts, at any depth."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from gradcheck._tape.nodes import is_value


def parts(x: Any) -> Iterator[Any]:
    """What is not a container, in order."""
    if isinstance(x, (list, tuple, deque)):
        for one in x:
            yield from parts(one)
    elif isinstance(x, dict):
        for one in x.values():
            yield from parts(one)
    else:
        yield x


def mapped(change: Callable[[Any], Any], x: Any) -> Any:
    """A copy with every part changed."""
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(mapped(change, one) for one in x))
    if isinstance(x, tuple):
        return tuple(mapped(change, one) for one in x)
    if isinstance(x, (list, deque)):
        return [mapped(change, one) for one in x]
    if isinstance(x, dict):
        return {key: mapped(change, one) for key, one in x.items()}
    return change(x)


def paired(x: Any, made: Any, seen: set[int] | None = None) -> Iterator[tuple[Any, Any]]:
    """Each number in an object, however deep, and the number at the same place in a copy of it."""
    seen = set() if seen is None else seen
    if is_value(x) and is_value(made):
        yield x, made
    elif x is not made and id(made) not in seen:
        seen.add(id(made))
        for one, other in zip(_inside(x), _inside(made), strict=False):
            yield from paired(one, other, seen)


def _inside(x: Any) -> list[Any]:
    """What a container or an object holds, in the order in which a copy does; a data class's fields come first."""
    if isinstance(x, dict):
        return list(x.values())
    if isinstance(x, (list, tuple, deque)):
        return list(x)
    fields = [one.name for one in dataclasses.fields(x)] if dataclasses.is_dataclass(x) else []
    slots = [name for kind in type(x).__mro__ for name in _as_tuple(getattr(kind, "__slots__", ()))]
    names = dict.fromkeys([*fields, *getattr(x, "__dict__", ()), *slots])
    return [getattr(x, name, None) for name in names]


def _as_tuple(names: Any) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
