"""Calls: of the user's functions, which go on being recorded, and of all others, which are single operations."""

from __future__ import annotations

import builtins
import collections
import functools
import itertools
import math
import operator
import types
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from gradcheck._common.user_files import is_users_class
from gradcheck._tape.iterating import entries, has_rows
from gradcheck._tape.libraries import COPYING, METHODS, hashable
from gradcheck._tape.nodes import Call, is_value
from gradcheck._tape.tape import At, Tape
from gradcheck._tape.ufuncs import OPERATORS, Ufuncs
from gradcheck._tape.writes import IN_PLACE, moved_in_place

#: what needs no look
_PLAIN = frozenset(
    {
        len,
        range,
        isinstance,
        issubclass,
        print,
        type,
        id,
        hasattr,
        callable,
        repr,
        str,
        int,
        bool,
        slice,
        hash,
        any,
        all,
    }
    | {setattr, dict, set, frozenset, super, ord, chr, format, object, property, open, input}
)
#: what goes through each of what it is handed
_FLATTENING = itertools.chain.from_iterable
#: what goes through its arguments and hands on what it comes to
_ITERATING = frozenset(
    {zip, enumerate, list, tuple, iter, map, filter, reversed, sorted, max, min, collections.deque, functools.reduce}
    | {_FLATTENING, itertools.tee, *(one for one in vars(itertools).values() if isinstance(one, type))}
    - {itertools.repeat, itertools.count}
)
#: what calls a function with what it comes to: where that stands among its arguments
_CALLING: dict[Any, int] = {map: 0, itertools.starmap: 0, functools.reduce: 0, itertools.accumulate: 1}
#: what goes through its first argument and makes one value of it
_CONSUMING = frozenset({np.fromiter, math.fsum, math.prod})

#: what hands back what was put into it
_CONTAINERS = (list, dict, set, str, collections.deque)
#: methods that take what they hand back out: it is read nowhere else afterwards
_TAKE_OUT = frozenset({"pop", "popleft", "popitem"})
#: methods that put in what they go through
_EXTENDING = frozenset({"extend", "extendleft"})
#: where classes are that call no function of the user's
_LIBRARIES = frozenset({"builtins", "numpy", "itertools"})


class Caller(Ufuncs):
    """Makes the calls of rewritten code."""

    def __init__(self, tape: Tape, codes: Collection[types.CodeType]) -> None:
        super().__init__(tape)
        self.codes = {id(code) for code in codes}
        #: what calls hand over: the entries to go back to when the call is over, and those under which it is handed
        self.undo: list[tuple[int, Any, Any]] = []
        #: of what the last call hands over several times: these entries, one for each parameter
        self.handed: dict[int, list[Any]] = {}
        #: where the operator of a class of the user's stands that is being calculated
        self.inside: At | None = None

    def call(self, at: At, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """``function(*args, **keywords)``."""
        if self._is_users(function):
            return self._users(at, function, args, keywords)
        self.forget(at)
        return self._others(at, function, args, keywords)

    def _others(self, at: At, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """The same of a function that is not the user's."""
        if isinstance(function, functools.partial):
            return self._others(at, function.func, (*function.args, *args), {**function.keywords, **keywords})
        if hashable(function):
            if function in _PLAIN:
                return function(*args, **keywords)
            if function is next:
                return self._taken(at, next(*args), "pass")
            if function is builtins.sum:
                return self.summed(at, (self.rows(args[0]), *args[1:]), keywords)
            if function in _ITERATING:
                return self._iterating(at, function, args, keywords)
            if function in _CONSUMING and args:
                return self._consuming(at, function, args, keywords)
            if function in IN_PLACE:
                return moved_in_place(self.tape, at, function.__name__, function, args, keywords)
            if function in OPERATORS:
                return self.binary(at, OPERATORS[function], function(*args), *args)
            if function in COPYING and args:
                return self.copied(at, function.__name__, function, args, keywords)
        if isinstance(function, types.BuiltinMethodType):
            owner = function.__self__
            if isinstance(owner, np.ufunc):
                return self.ufunc_method(at, owner, function.__name__, args, keywords)
            if isinstance(owner, np.ndarray):
                return self.array_method(at, owner, function.__name__, args, keywords)
            if isinstance(owner, _CONTAINERS):
                if function.__name__ in _EXTENDING:
                    args = tuple(self.rows(x) for x in args)
                op = "call" if function.__name__ in _TAKE_OUT else "pass"
                return self._taken(at, function(*args, **keywords), op)
        if isinstance(function, np.ufunc):
            return self.ufunc(at, function, args, keywords)
        return self.library(at, function, args, keywords)

    def _iterating(self, at: At, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """What it hands on is on the tape, and what it calls for each item is followed: it does so from within C."""
        if function is reversed:
            x = args[0]
            return entries(self.tape, x, reversed(range(len(x)))) if has_rows(x) else reversed(x)
        if function == _FLATTENING:
            return _FLATTENING(map(self.rows, self.rows(args[0])))
        if function in (max, min):  # a value of its own, even where it is a constant
            args = args if len(args) > 1 else (list(self.rows(args[0])),)
            return self.library(at, function, args, keywords)
        count = 2 if function is functools.reduce else len(args)  # it begins with the third
        args = (*map(self.rows, args[:count]), *args[count:])
        position = _CALLING.get(function)
        if position is None or not args:
            return function(*args, **keywords)
        keywords = dict(keywords)
        called = args[position] if len(args) > position else keywords.pop("func", None) or operator.add
        if not self._is_users(called):
            called = functools.partial(self._each, at, called)
        return function(*args[:position], called, *args[position + 1 :], **keywords)

    def _each(self, at: At, function: Any, *args: Any) -> Any:
        """One of the calls that another function makes."""
        return function(*args) if self.tape.is_closed else self._others(at, function, args, {})

    def _consuming(self, at: At, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        count = keywords.get("count", args[2] if len(args) > 2 else -1) if function is np.fromiter else -1
        items = list(itertools.islice(self.rows(args[0]), None if count < 0 else count))
        if function is not np.fromiter:
            return self.library(at, function, (items, *args[1:]), keywords)
        result = np.fromiter(items, *args[1:], **keywords)
        return self.finished(at, "array", np.array, (items,), {}, result)

    def _taken(self, at: At, out: Any, op: str) -> Any:
        """What a container or an iterator gave: that it was this one is told apart, as with an index."""
        self.tape.unnamed(out)
        if is_value(out):
            self.tape.alias(out, at, op)
        return out

    def method(self, at: At, owner: Any, name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """``owner.name(*args, **keywords)``."""
        if isinstance(owner, np.ndarray):
            self.forget(at)
            return self.array_method(at, owner, name, args, keywords)
        if isinstance(owner, np.ufunc):
            self.forget(at)
            return self.ufunc_method(at, owner, name, args, keywords)
        if is_value(owner) and name in METHODS | {"item": None, "copy": None, "astype": None, "tolist": None}:
            self.forget(at)
            return self.array_method(at, owner, name, args, keywords)
        return self.call(at, getattr(owner, name), args, keywords)

    def _is_users(self, function: Any) -> bool:
        code = _code_of(function)
        if code is not None:
            return id(code) in self.codes
        is_class = isinstance(function, type) and function is not collections.deque
        return is_class and function.__module__.split(".")[0] not in _LIBRARIES

    def _users(self, at: At, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        tape, outer = self.tape, self.tape.call
        count = at[0].arguments if at[0] is not None else 0
        undo = self.undo[len(self.undo) - count :] if count else []
        del self.undo[len(self.undo) - len(undo) :]
        if at[0] is not None:
            tape.call = Call(len(tape.calls), at[0], at[1], outer)
            tape.calls.append(tape.call)
        ids = [key for key, _, _ in undo]
        self.handed = {one: [each for key, _, each in undo if key == one] for one in ids if one and ids.count(one) > 1}
        try:
            out = function(*args, **keywords)
        finally:
            tape.call = outer
        returned = tape.seen.get(id(out))
        for key, entry, _ in undo:
            if entry is not None:
                tape.seen[key] = entry
        if is_value(out):
            if returned is not None and returned[0] is out:  # which may be what it was handed
                tape.seen[id(out)] = returned
            tape.alias(out, at, "call")
        return out

    def operation(self, at: At, function: Callable[..., Any], *operands: Any) -> Any:
        """An operator of what is neither array nor number, which a class of the user's may define.

        What that calculates is calculated where the operator stands: forward and backward share it, as they do NumPy's.
        """
        if self.inside is not None or not any(is_users_class(type(one)) for one in operands):
            return function(*operands)
        self.inside = at
        try:
            out = function(*operands)
        finally:
            self.inside = None
        if is_value(out):
            self.tape.alias(out, at, "call")
        return out

    def forget(self, at: At) -> None:
        """The call was none of a user's function: what it was handed needs no going back."""
        if at[0] is not None and at[0].arguments:
            del self.undo[len(self.undo) - at[0].arguments :]


def _code_of(function: Any) -> types.CodeType | None:
    """The code that a call runs, if it is Python's."""
    if isinstance(function, types.MethodType):
        function = function.__func__
    if isinstance(function, types.FunctionType):
        return function.__code__
    if isinstance(function, functools.partial):
        return _code_of(function.func)
    if isinstance(function, (type, types.BuiltinFunctionType, np.ufunc)):
        return None
    wrapped = getattr(function, "__wrapped__", None)
    if isinstance(wrapped, types.FunctionType):
        return wrapped.__code__
    call = next((vars(kind)["__call__"] for kind in type(function).__mro__ if "__call__" in vars(kind)), None)
    return call.__code__ if isinstance(call, types.FunctionType) else None
