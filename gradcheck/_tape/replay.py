"""Runs a target again with some values replaced, or with a look at the variables; nothing is recorded."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradcheck._common.arrays import Values
from gradcheck._common.user_files import is_users_class
from gradcheck._tape.driving import as_gradients, copies, drive
from gradcheck._tape.expressions import TEMPORARY
from gradcheck._tape.hooks import NAMES, Plain
from gradcheck._tape.nodes import SCALARS, Array
from gradcheck._tape.pairs import as_before
from gradcheck._tape.places import Place
from gradcheck._tape.program import Program
from gradcheck._targets.target import Target

#: the variables of a frame, and those of its module
Scope: TypeAlias = tuple[dict[str, Any], dict[str, Any]]
#: hooks whose result is no value of the place
_SILENT = frozenset({"store_attribute", "store_item", "iterate"})


class Replayer(Plain):
    """Hooks that count executions of the watched places, and hand each to `seen`, which may give another value."""

    def __init__(self, watched: set[int], seen: Callable[[int, int, Any, Any], Any]) -> None:
        self.counts = dict.fromkeys(watched, 0)
        self.seen = seen
        for name in NAMES:
            if name not in _SILENT:
                setattr(self, name, self._watching(getattr(super(), name)))

    def _watching(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        counts = self.counts

        def hook(place: int, /, *args: Any, **keywords: Any) -> Any:
            if place not in counts:
                return plain(place, *args, **keywords)
            count = counts[place]
            counts[place] = count + 1
            value = plain(place, *args, **keywords)
            new = self.seen(place, count, value, sys._getframe(1))
            return new if new is value or value is not keywords.get("out") else _written(value, new)

        return hook


def replayed(
    program: Program, target: Target, base: Values, values: Mapping[tuple[Place, int], Any]
) -> dict[str, Array]:
    """The gradients with these values at these executions of places."""
    by_number = {(place.number, execution): value for (place, execution), value in values.items()}
    augmented = {place.number for place, _ in values if place.kind == "augment"}

    def seen(place: int, execution: int, value: Any, _: Any) -> Any:
        new = by_number.get((place, execution))
        return value if new is None else _replaced(value, new, place in augmented)

    hooks = Replayer({number for number, _ in by_number}, seen)
    return _run(program, target, base, hooks)


def scopes_of(
    program: Program, target: Target, base: Values, place: Place, executions: Sequence[int] | None
) -> list[Scope]:
    """Copies of the variables around a place, by execution."""
    found: dict[int, Scope] = {}

    def seen(_: int, execution: int, value: Any, frame: Any) -> Any:
        if executions is None or execution in executions:
            memo: dict[int, Any] = {}
            local = {name: copied(one, memo) for name, one in frame.f_locals.items() if not name.startswith(TEMPORARY)}
            found[execution] = (local, {name: copied(one, memo) for name, one in frame.f_globals.items()})
        return value

    _run(program, target, base, Replayer({place.number}, seen))
    return [found[one] for one in (sorted(found) if executions is None else executions) if one in found]


def _run(program: Program, target: Target, base: Values, hooks: Plain) -> dict[str, Array]:
    def nothing(_: object) -> None:
        pass

    with target.problem.preserved(), program.running(hooks):
        outcome = drive(target, base, nothing, nothing)
        return copies(as_gradients(outcome.returned))


def _written(out: Any, new: Any) -> Any:
    """The array that a call has written into, with another value: who reads it later gets that as well."""
    if isinstance(out, np.ndarray) and np.shape(new) == out.shape:
        out[...] = new
    return out


def _replaced(value: Any, new: Any, in_place: bool) -> Any:
    """The new value as what stood there was."""
    new = as_before(new, value)
    if isinstance(value, np.ndarray):
        if np.shape(new) != value.shape:
            return value
        if in_place:
            value[...] = new
            return value
        return np.array(new, dtype=value.dtype)
    if isinstance(value, SCALARS):
        return type(value)(np.asarray(new).item())
    return value


def copied(x: Any, memo: dict[int, Any]) -> Any:
    """A copy of the numbers, however deep: of arrays, containers and objects with attributes; the rest as it is."""
    if id(x) in memo:
        return memo[id(x)]
    if isinstance(x, np.ndarray):
        memo[id(x)] = x.copy()
    elif type(x) in (list, dict, tuple):
        return _container(x, memo)
    elif _is_record(x):
        try:
            memo[id(x)] = new = object.__new__(type(x))
        except TypeError:  # made by C
            return x
        new.__dict__.update({name: copied(one, memo) for name, one in vars(x).items()})
    else:
        return x
    return memo[id(x)]


def _container(x: Any, memo: dict[int, Any]) -> Any:
    if isinstance(x, tuple):
        return tuple(copied(one, memo) for one in x)
    memo[id(x)] = new = type(x)()
    if isinstance(x, list):
        new.extend(copied(one, memo) for one in x)
    else:
        new.update({key: copied(one, memo) for key, one in x.items()})
    return new


def _is_record(x: Any) -> bool:
    """Whether it is an object of a class of the user's, of which a copy can be thrown away without any effect."""
    kind = type(x)
    return hasattr(x, "__dict__") and not hasattr(kind, "__del__") and is_users_class(kind)
