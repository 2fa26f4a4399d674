"""Calls: of the user's functions, which go on being recorded, and of all others, which are single operations."""

from __future__ import annotations

import builtins
import copy
import functools
import math
import types
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from gradcheck._tape.buffers import owner_of
from gradcheck._tape.nodes import Array, Call, is_value
from gradcheck._tape.rules import products, reductions
from gradcheck._tape.rules.elementwise import SCALAR, elementwise
from gradcheck._tape.rules.movement import NAMES as MOVING
from gradcheck._tape.rules.movement import movement
from gradcheck._tape.rules.opaque import opaque, reported_name
from gradcheck._tape.rules.operation import Operation, Pulls, Rule, summed_to
from gradcheck._tape.rules.structure import parts
from gradcheck._tape.tape import At, Tape, positions_in
from gradcheck._tape.writes import IN_PLACE, IN_PLACE_METHODS, moved_in_place, store_item

RULES: dict[Any, Rule] = {**reductions.TABLE, **products.TABLE}
#: methods of arrays, and the function that is the same
METHODS: dict[str, Any] = {
    name: getattr(np, name)
    for name in ("sum", "mean", "var", "std", "max", "min", "prod", "dot", "cumsum", "clip", "trace")
}
METHODS |= {"conj": np.conjugate, "conjugate": np.conjugate}
#: results that do not depend on the values
_CONSTANT = frozenset({"zeros_like", "ones_like", "empty_like"})
#: where `out` stands among the arguments
_OUT: dict[Any, int] = {
    np.dot: 2, np.outer: 2, np.clip: 3, np.sum: 3, np.mean: 3, np.prod: 3, np.cumsum: 3, np.max: 2, np.min: 2,
    np.take: 3, np.concatenate: 2, np.stack: 2,
}  # fmt: skip
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
    | {setattr, dict, set, frozenset, super, ord, chr, format, object, property, open, input, next}
)
#: what iterates over its arguments
_ITERATING = frozenset({zip, enumerate, list, tuple, iter, map, filter, reversed, sorted, max, min})


class Caller:
    """Makes the calls of rewritten code."""

    def __init__(self, tape: Tape, codes: Collection[types.CodeType]) -> None:
        self.tape = tape
        self.codes = {id(code) for code in codes}
        #: what calls hand over: the entries to go back to when the call is over
        self.undo: list[tuple[int, Any]] = []
        self.opaque: dict[str, None] = {}
        self.untraced: dict[str, None] = {}

    def call(self, at: At, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """``function(*args, **keywords)``."""
        if self._is_users(function):
            return self._users(at, function, args, keywords)
        self._forget(at)
        try:
            if function in _PLAIN:
                return function(*args, **keywords)
            if function in _ITERATING or function is builtins.sum:
                args = tuple(self.rows(x) for x in args)
            if function is builtins.sum:
                return self._summed(at, args, keywords)
            if function in IN_PLACE:
                return moved_in_place(self.tape, at, function.__name__, function, args, keywords)
        except TypeError:
            if _hashable(function):
                raise
        if isinstance(function, types.BuiltinMethodType):
            owner = function.__self__
            if isinstance(owner, np.ufunc):
                return self._ufunc_method(at, owner, function.__name__, args, keywords)
            if isinstance(owner, np.ndarray):
                return self._array_method(at, owner, function.__name__, args, keywords)
            if isinstance(owner, (list, dict, set, str)):
                return function(*args, **keywords)
        if isinstance(function, np.ufunc):
            return self._ufunc(at, function, args, keywords)
        return self._library(at, function, args, keywords)

    def method(self, at: At, owner: Any, name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """``owner.name(*args, **keywords)``."""
        if isinstance(owner, np.ndarray):
            self._forget(at)
            return self._array_method(at, owner, name, args, keywords)
        if isinstance(owner, np.ufunc):
            self._forget(at)
            return self._ufunc_method(at, owner, name, args, keywords)
        if is_value(owner) and name in METHODS | {"item": None, "copy": None, "astype": None, "tolist": None}:
            self._forget(at)
            return self._array_method(at, owner, name, args, keywords)
        return self.call(at, getattr(owner, name), args, keywords)

    # -- the user's ------------------------------------------------------------------------------------------------

    def _is_users(self, function: Any) -> bool:
        code = _code_of(function)
        if code is not None:
            return id(code) in self.codes
        return isinstance(function, type) and function.__module__.split(".")[0] not in (
            "builtins",
            "numpy",
            "itertools",
        )

    def _users(self, at: At, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        tape, outer = self.tape, self.tape.call
        count = at[0].arguments if at[0] is not None else 0
        undo = self.undo[len(self.undo) - count :] if count else []
        del self.undo[len(self.undo) - len(undo) :]
        if at[0] is not None:
            tape.call = Call(len(tape.calls), at[0], at[1], outer)
            tape.calls.append(tape.call)
        try:
            out = function(*args, **keywords)
        finally:
            tape.call = outer
        for key, entry in undo:
            if entry is not None:
                tape.seen[key] = entry
        if is_value(out):
            tape.alias(out, at, "call")
        return out

    def _forget(self, at: At) -> None:
        """The call was none of a user's function: what it was handed needs no going back."""
        if at[0] is not None and at[0].arguments:
            del self.undo[len(self.undo) - at[0].arguments :]

    # -- libraries -------------------------------------------------------------------------------------------------

    def _library(self, at: At, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        position = _OUT.get(function) if _hashable(function) else None
        if position is not None and len(args) > position:
            out, args = (
                args[position],
                (*args[:position], *((None,) if args[position + 1 :] else ()), *args[position + 1 :]),
            )
            keywords = {**keywords, "out": out}
        if keywords.get("out") is not None:
            out = keywords["out"]
            rest = {key: value for key, value in keywords.items() if key != "out"}
            return self._written(at, out, self._library(at, function, args, rest))
        name = reported_name(function)
        if function in (float, abs, round, pow) or (isinstance(function, type) and issubclass(function, np.floating)):
            return self._number(at, function, args, keywords)
        known = _hashable(function) and (function in RULES or function in SCALAR or function is math.log)
        if known:
            args = tuple(self.as_array(at, x) if k < 2 else x for k, x in enumerate(args))
        result = function(*args, **keywords)
        return self.finished(at, name, function, args, keywords, result)

    def finished(
        self, at: At, name: str, function: Any, args: tuple[Any, ...], keywords: dict[str, Any], result: Any
    ) -> Any:
        """Record the result of a call."""
        outs = [x for x in parts(result) if is_value(x)]
        fresh = [x for x in outs if not self.tape.known(x)]
        for x in outs:
            if isinstance(x, np.ndarray) and id(x) not in self.tape.seen and self.tape.known(x):
                self._view(at, x, args)
        if not fresh:
            self._lost(name, args, keywords, result)
            return result
        operation = Operation(function, args, keywords, result, self.tape.hold)
        found = self._ways(name, operation, outs)
        for x, pulls in zip(outs, found, strict=True):
            if any(x is one for one in fresh):
                self.tape.record(name, at, x, pulls)
        return result

    def _ways(self, name: str, operation: Operation, outs: list[Any]) -> list[Pulls]:
        function = operation.function
        leaves = any(is_value(x) for x in parts((operation.args, operation.keywords)))
        if not leaves or name in _CONSTANT:
            return [[] for _ in outs]
        if _hashable(function):
            rule = RULES.get(function)
            if function in SCALAR or (function is math.log and len(operation.args) == 1):
                return [elementwise(SCALAR.get(function, np.log), operation.args, operation)]
            pulls = rule(operation) if rule is not None and len(outs) == 1 else None
            if pulls is not None:
                return [pulls]
        if name.split(".")[-1] in MOVING:
            found = movement(name.split(".")[-1], operation, outs)
            if found is not None:
                return found
        if function in (copy.copy, copy.deepcopy):
            leaves_ = [x for x in parts(operation.args[0]) if is_value(x)]
            if len(leaves_) == len(outs):
                return [[(x, lambda g: g)] for x in leaves_]
        self.opaque.setdefault(name)
        return opaque(operation, outs)

    def _view(self, at: At, x: Array, args: tuple[Any, ...]) -> None:
        """The result of a call looks at known memory: that of an argument, if one has the same."""
        owner = owner_of(x)
        parents = [one for one in parts(args) if isinstance(one, np.ndarray) and owner_of(one) is owner]
        parent = parents[0] if parents else None
        self.tape.node(parent)
        self.tape.view(x, self.tape.buffers[id(owner)], at, parent)

    def _lost(self, name: str, args: tuple[Any, ...], keywords: dict[str, Any], result: Any) -> None:
        """Note where derivatives end: numbers went in, complex ones or arrays of objects came out."""
        kinds = {x.dtype.kind for x in parts(result) if isinstance(x, (np.ndarray, np.generic))}
        if kinds & set("cO") and any(is_value(x) for x in parts((args, keywords))):
            self.untraced.setdefault(name)

    def _number(self, at: At, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """float(), abs() and their like."""
        result = function(*args, **keywords)
        if not args or not is_value(args[0]) or not is_value(result) or self.tape.known(result):
            return result
        x = args[0]
        operation = Operation(function, args, keywords, result, self.tape.hold)
        if function is abs:
            pulls = elementwise(np.absolute, args, operation)
        elif function is pow and len(args) == 2:
            pulls = elementwise(np.power, args, operation)
        elif function is round:
            pulls = []
        else:
            shape = np.shape(x)
            pulls = [(x, lambda g: g.reshape(len(g), *shape))]
        self.tape.record(getattr(function, "__name__", "number"), at, result, pulls)
        return result

    def _summed(self, at: At, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """The builtin sum() adds one after another."""
        start = args[1] if len(args) > 1 else keywords.get("start", 0)
        items = list(args[0])
        if not any(is_value(x) for x in items):
            return sum(items, *args[1:], **keywords)
        if all(isinstance(x, float) for x in items) and isinstance(start, int):
            result = sum(items, *args[1:], **keywords)  # exact addition of floats since Python 3.12
            shape_: tuple[int, ...] = ()
            if not self.tape.known(result):
                self.tape.record("sum", at, result, [(x, lambda g: g.reshape(len(g), *shape_)) for x in items])
            return result
        result = start
        for x in items:
            result = self.binary(at, np.add, result + x, result, x)
        return result

    def binary(self, at: At, ufunc: Any, result: Any, left: Any, right: Any) -> Any:
        """Record what an operator made of two numbers."""
        if is_value(result) and not self.tape.known(result):
            operation = Operation(ufunc, (left, right), {}, result, self.tape.hold)
            pulls = products.matmul(operation) if ufunc is np.matmul else elementwise(ufunc, (left, right), operation)
            self.tape.record(ufunc.__name__, at, result, pulls or [])
        return result

    # -- ufuncs ----------------------------------------------------------------------------------------------------

    def _ufunc(self, at: At, ufunc: np.ufunc, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        out = keywords.get("out", args[ufunc.nin] if len(args) > ufunc.nin else None)
        out = out[0] if isinstance(out, tuple) and len(out) == 1 else out
        operands = tuple(self.as_array(at, x) for x in args[: ufunc.nin])
        rest = {key: value for key, value in keywords.items() if key != "out"}
        if ufunc.nout > 1 or (ufunc.signature is not None and ufunc is not np.matmul):
            return self._general(at, ufunc, operands, rest, out)
        where = rest.get("where", True)
        if where is True:
            result = ufunc(*operands, **rest)
        else:
            base = np.array(out) if isinstance(out, np.ndarray) else None
            result = ufunc(*operands, **{**rest, "out": base})
        if is_value(result) and not self.tape.known(result):
            operation = Operation(ufunc, operands, rest, result, self.tape.hold)
            rule = RULES.get(ufunc)
            pulls = (rule(operation) if rule else None) or elementwise(ufunc, operands, operation)
            if where is not True:
                mask = np.array(where, bool)
                pulls = [(x, lambda g, pull=pull: pull(np.where(mask, g, 0.0))) for x, pull in pulls]  # type: ignore[misc]
                if out is not None:
                    pulls.append((out, lambda g: np.where(mask, 0.0, g)))
            self.tape.record(ufunc.__name__, at, result, pulls)
        else:
            self._lost(ufunc.__name__, operands, {}, result)
        return result if out is None else self._written(at, out, result)

    def _general(self, at: At, ufunc: np.ufunc, args: tuple[Any, ...], keywords: dict[str, Any], out: Any) -> Any:
        result = self.finished(at, ufunc.__name__, ufunc, args, keywords, ufunc(*args, **keywords))
        if out is None:
            return result
        if isinstance(out, tuple):
            return tuple(self._written(at, o, r) if o is not None else r for o, r in zip(out, result, strict=True))
        return self._written(at, out, result)

    def _written(self, at: At, out: Any, result: Any) -> Any:
        out = out[0] if isinstance(out, tuple) else out
        if is_value(out) and isinstance(out, np.ndarray):
            store_item(self.tape, at, out, Ellipsis, result)
        else:
            np.copyto(out, result, casting="unsafe")
        return out

    def _ufunc_method(self, at: At, ufunc: np.ufunc, name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if name == "at":
            return self._at(at, ufunc, args)
        function = getattr(ufunc, name)
        if keywords.get("out") is not None:
            rest = {key: value for key, value in keywords.items() if key != "out"}
            return self._written(at, keywords["out"], self._ufunc_method(at, ufunc, name, args, rest))
        args = tuple(self.as_array(at, x) if k < 2 else x for k, x in enumerate(args))
        result = function(*args, **keywords)
        if name == "outer" and is_value(result):
            left = np.reshape(args[0], (*np.shape(args[0]), *(1,) * np.ndim(args[1])))
            if isinstance(args[0], np.ndarray) and is_value(args[0]):
                self._view(at, left, args)
            return self.binary(at, ufunc, result, left, args[1])
        rule = reductions.REDUCED.get(ufunc) if name == "reduce" else None
        operation = Operation(function, args, keywords, result, self.tape.hold)
        if name == "accumulate" and ufunc is np.add:
            axis = operation.argument(1, "axis", default=0)
            whole = Operation(np.cumsum, (args[0],), {"axis": axis}, result, self.tape.hold)
            rule, operation = RULES[np.cumsum], whole
        pulls = rule(operation) if rule is not None and is_value(result) else None
        if pulls is None or self.tape.known(result):
            return self.finished(at, f"{ufunc.__name__}.{name}", function, args, keywords, result)
        self.tape.record(f"{ufunc.__name__}.{name}", at, result, pulls)
        return result

    def _at(self, at: At, ufunc: np.ufunc, args: tuple[Any, ...]) -> None:
        """``np.add.at(target, index, value)``, which counts repeated indices."""
        target, index = args[0], args[1]
        value = args[2] if len(args) > 2 else None
        if not is_value(target):
            ufunc.at(*args)
            return
        if ufunc not in (np.add, np.subtract):
            self.opaque.setdefault(f"{ufunc.__name__}.at")
            result = target.copy()
            ufunc.at(result, *args[1:])

            def applied(start: Array, *rest: Any) -> Array:
                changed = np.array(start)
                ufunc.at(changed, index, *rest)
                return changed

            operands = (target, *(() if value is None else (value,)))
            self.finished(at, f"{ufunc.__name__}.at", applied, operands, {}, result)
            store_item(self.tape, at, target, Ellipsis, result)
            return
        store_added(self.tape, at, target, index, value, 1.0 if ufunc is np.add else -1.0)

    # -- methods of arrays -----------------------------------------------------------------------------------------

    def _array_method(self, at: At, owner: Any, name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if name in IN_PLACE_METHODS and isinstance(owner, np.ndarray):
            function: Callable[..., Any] = lambda x, *a, **k: getattr(x, name)(*a, **k)  # noqa: E731
            return moved_in_place(self.tape, at, name, function, (owner, *args), keywords)
        if keywords.get("out") is not None:
            rest = {key: value for key, value in keywords.items() if key != "out"}
            return self._written(at, keywords["out"], self._array_method(at, owner, name, args, rest))
        result = getattr(owner, name)(*args, **keywords)
        same = METHODS.get(name)
        if same is None:
            same = lambda x, *a, **k: getattr(x, name)(*a, **k)  # noqa: E731
        elif isinstance(same, np.ufunc):
            return self.finished_ufunc(at, same, owner, result)
        return self.finished(at, name, same, (owner, *args), keywords, result)

    def finished_ufunc(self, at: At, ufunc: np.ufunc, operand: Any, result: Any) -> Any:
        """Record the result of a ufunc with one operand."""
        if is_value(result) and not self.tape.known(result):
            operation = Operation(ufunc, (operand,), {}, result, self.tape.hold)
            self.tape.record(ufunc.__name__, at, result, elementwise(ufunc, (operand,), operation))
        return result

    # -- arguments -------------------------------------------------------------------------------------------------

    def rows(self, x: Any) -> Any:
        """An array as a list of its rows, or of its numbers, each on the tape; anything else as it is."""
        if not isinstance(x, np.ndarray) or not x.ndim or not is_value(x):
            return x
        result = list(x)
        self.tape.node(x)
        for k, one in enumerate(result):
            if isinstance(one, np.ndarray):
                self._view((None, 0), one, (x,))
            else:
                self.tape.record("item", (None, 0), one, [(x, _entry(k, x.size))])
        return result

    def as_array(self, at: At, x: Any) -> Any:
        """A list or tuple of numbers as the array that NumPy makes of it."""
        if isinstance(x, (list, tuple)) and any(is_value(one) for one in parts(x)):
            return self.finished(at, "array", np.array, (x,), {}, np.array(x))
        return x


def _entry(k: int, size: int) -> Callable[[Array], Array]:
    def pull(g: Array) -> Array:
        result = np.zeros((len(g), size))
        result[:, k] = g.reshape(-1)
        return result

    return pull


def store_added(tape: Tape, at: At, target: Array, index: Any, value: Any, sign: float) -> None:
    """Add to entries of an array, as often as their index says."""
    node = tape.node(value) if is_value(value) else None
    before = tape.node(target)
    buffer = tape.buffers.get(id(owner_of(target)))
    positions = None if buffer is None else positions_in(buffer, target, index)
    if buffer is not None:
        tape.about_to_write(target)
    (np.add if sign > 0 else np.subtract).at(target, index, value)
    if buffer is None or positions is None or before is None:
        return
    shape, state, extent = np.shape(value), buffer.state, buffer.extent
    inputs = [one for one in (state, node) if one is not None]
    pulls: list[Any] = [] if state is None else [lambda g: g]
    if node is not None:
        pulls.append(lambda g: summed_to(sign * g.reshape(len(g), extent)[:, positions], shape))
    assert buffer.root is not None
    new = tape.new("add.at", tuple(inputs), tuple(pulls), buffer.root.shape, None, at)
    buffer.state = new
    tape.stores.append((new, buffer, at))


def _hashable(function: Any) -> bool:
    try:
        hash(function)
    except TypeError:
        return False
    return True


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
