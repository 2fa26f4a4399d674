"""Calls of functions of libraries: each is a single operation, by its rule, as movement, or by differences."""

from __future__ import annotations

import cmath
import collections
import copy
import dataclasses
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck._common.arrays import owner_of
from gradcheck._tape.iterating import rows
from gradcheck._tape.nodes import Array, is_value
from gradcheck._tape.rules import complex_parts, matrices, products, reductions
from gradcheck._tape.rules.elementwise import SCALAR, elementwise
from gradcheck._tape.rules.movement import NAMES as MOVING
from gradcheck._tape.rules.movement import movement
from gradcheck._tape.rules.opaque import opaque, reported_name
from gradcheck._tape.rules.operation import Operation, Pulls, Rule
from gradcheck._tape.rules.structure import paired, parts
from gradcheck._tape.tape import At, Tape
from gradcheck._tape.writes import IN_PLACE_METHODS, moved_in_place, store_item

RULES: dict[Any, Rule] = {**reductions.TABLE, **products.TABLE, **matrices.TABLE, **complex_parts.TABLE}
#: methods of arrays, and the function that is the same
METHODS: dict[str, Any] = {
    name: getattr(np, name)
    for name in ("sum", "mean", "var", "std", "max", "min", "prod", "dot", "cumsum", "clip", "trace")
}
METHODS |= {"conj": np.conjugate, "conjugate": np.conjugate}
#: results that do not depend on the values
_CONSTANT = frozenset({"zeros_like", "ones_like", "empty_like"})
#: what copies objects with all that is in them, through bytes as well
COPYING = frozenset({copy.deepcopy, dataclasses.asdict, dataclasses.astuple, pickle.dumps, pickle.loads})
#: what is an operand of NumPy's, and what it makes an array of
NUMBERS = (np.ndarray, np.generic, float, int, complex)
_SEQUENCES = (list, tuple, range)
OPERANDS = (*NUMBERS, *_SEQUENCES)
#: where `out` stands among the arguments
_OUT: dict[Any, int] = {
    np.dot: 2, np.outer: 2, np.clip: 3, np.sum: 3, np.mean: 3, np.prod: 3, np.cumsum: 3, np.max: 2, np.min: 2,
    np.take: 3, np.concatenate: 2, np.stack: 2,
}  # fmt: skip


class Library:
    """Makes calls of functions that are not the user's."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.opaque: dict[str, None] = {}
        self.untraced: dict[str, None] = {}
        #: copies of what was pickled, by what it was turned into
        self._pickled: dict[bytes, Any] = {}

    def library(self, at: At, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        position = _OUT.get(function) if hashable(function) else None
        if position is not None and len(args) > position and args[position] is not None:
            keywords = {**keywords, "out": args[position]}
            args = (*args[:position], None, *args[position + 1 :])
        if keywords.get("out") is not None:
            out = keywords["out"]
            rest = {key: value for key, value in keywords.items() if key != "out"}
            return self.written(at, out, self.library(at, function, args, rest))
        name = reported_name(function)
        args = tuple(self._unrolled(at, x) for x in args)
        if function in (float, abs, round, pow) or (isinstance(function, type) and issubclass(function, np.inexact)):
            return self._number(at, function, args, keywords)
        known = hashable(function) and (function in RULES or function in SCALAR or function in (math.log, cmath.log))
        if known:
            args = tuple(self.as_array(at, x) if k < 2 else x for k, x in enumerate(args))
        if known or _is_numpys(function):
            result = function(*args, **keywords)
        else:
            result = self._watched(at, name, function, args, keywords)
        return self.finished(at, name, function, args, keywords, result)

    def _watched(self, at: At, name: str, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """The call of a function of which nothing is known, which may write into its arguments."""
        handed = [x for x in parts((args, keywords)) if isinstance(x, np.ndarray) and is_value(x)]
        before = [(x, x.copy()) for x in handed]
        buffers = [self.tape.about_to_write(x) for x in handed]
        result = function(*args, **keywords)
        for (x, old), buffer in zip(before, buffers, strict=True):
            region = None if buffer is None else buffer.geometry(x)
            if buffer is not None and region is not None and not np.array_equal(x, old, equal_nan=True):
                self.tape.stored(buffer, region, [], at, name)  # what was written has no derivative here
                self.untraced.setdefault(name)
        return result

    def array_method(self, at: At, owner: Any, name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if name in IN_PLACE_METHODS and isinstance(owner, np.ndarray):
            function: Callable[..., Any] = lambda x, *a, **k: getattr(x, name)(*a, **k)  # noqa: E731
            return moved_in_place(self.tape, at, name, function, (owner, *args), keywords)
        if keywords.get("out") is not None:
            rest = {key: value for key, value in keywords.items() if key != "out"}
            return self.written(at, keywords["out"], self.array_method(at, owner, name, args, rest))
        result = getattr(owner, name)(*args, **keywords)
        same = METHODS.get(name)
        if same is None:
            same = lambda x, *a, **k: getattr(x, name)(*a, **k)  # noqa: E731
        elif isinstance(same, np.ufunc):
            return self.finished_ufunc(at, same, owner, result)
        return self.finished(at, name, same, (owner, *args), keywords, result)

    def finished(
        self, at: At, name: str, function: Any, args: tuple[Any, ...], keywords: dict[str, Any], result: Any
    ) -> Any:
        """Record the result of a call."""
        outs = [x for x in parts(result) if is_value(x)]
        fresh = [x for x in outs if not self.tape.known(x)]
        for x in outs:
            if isinstance(x, np.ndarray) and id(x) not in self.tape.seen and self.tape.known(x):
                self.viewed(at, x, args)
        if not fresh:
            self.lost(name, args, keywords, result)
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
        if hashable(function):
            rule = RULES.get(function)
            if (function in SCALAR and SCALAR[function].nin == len(operation.args)) or (
                function in (math.log, cmath.log) and len(operation.args) == 1
            ):
                return [elementwise(SCALAR.get(function, np.log), operation.args, operation)]
            pulls = rule(operation) if rule is not None and len(outs) == 1 else None
            if pulls is not None:
                return [pulls]
            several = matrices.SEVERAL.get(function)
            told = several(operation) if several is not None else None
            if told is not None and len(told) == len(outs):
                return told
        if name.split(".")[-1] in MOVING:
            found = movement(name.split(".")[-1], operation, outs)
            if found is not None:
                return found
        self.opaque.setdefault(name)
        return opaque(operation, outs)

    def viewed(self, at: At, x: Array, args: tuple[Any, ...]) -> None:
        """The result of a call looks at known memory: that of an argument, if one has the same."""
        owner = owner_of(x)
        parents = [one for one in parts(args) if isinstance(one, np.ndarray) and owner_of(one) is owner]
        parent = parents[0] if parents else None
        self.tape.node(parent)
        self.tape.view(x, self.tape.buffers[id(owner)], at, parent)

    def lost(self, name: str, args: tuple[Any, ...], keywords: dict[str, Any], result: Any) -> None:
        """Note where derivatives end: numbers went in, arrays of objects came out."""
        kinds = {x.dtype.kind for x in parts(result) if isinstance(x, (np.ndarray, np.generic))}
        if "O" in kinds and any(is_value(x) for x in parts((args, keywords))):
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

    def summed(self, at: At, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
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
            left, right = self._operand(at, left), self._operand(at, right)
            if not isinstance(left, NUMBERS) or not isinstance(right, NUMBERS):
                return result
            if ufunc is np.multiply and isinstance(result, np.matrix) and np.ndim(left) and np.ndim(right):
                ufunc = np.matmul
            operation = Operation(ufunc, (left, right), {}, result, self.tape.hold)
            pulls = products.matmul(operation) if ufunc is np.matmul else elementwise(ufunc, (left, right), operation)
            self.tape.record(ufunc.__name__, at, result, pulls or [])
        return result

    def finished_ufunc(self, at: At, ufunc: np.ufunc, operand: Any, result: Any) -> Any:
        """Record the result of a ufunc with one operand."""
        if is_value(result) and not self.tape.known(result):
            operation = Operation(ufunc, (operand,), {}, result, self.tape.hold)
            self.tape.record(ufunc.__name__, at, result, elementwise(ufunc, (operand,), operation))
        return result

    def written(self, at: At, out: Any, result: Any) -> Any:
        out = out[0] if isinstance(out, tuple) else out
        if is_value(out) and isinstance(out, np.ndarray):
            store_item(self.tape, at, out, Ellipsis, result)
        else:
            np.copyto(out, result, casting="unsafe")
        return out

    def rows(self, x: Any) -> Any:
        """What is gone through, each part of it on the tape once it is reached."""
        return rows(self.tape, x)

    def copied(self, at: At, name: str, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """What copies all that is in an object: each number comes from where it is in what was copied."""
        source = self._pickled.get(bytes(args[0])) if function is pickle.loads else args[0]
        result = function(*args, **keywords)
        if function is pickle.dumps:
            self._pickled[result] = self.copied(at, name, copy.deepcopy, (source,), {})
            return result
        for x, made in paired(source, result):
            if not self.tape.known(made) and np.shape(x) == np.shape(made):
                self.tape.record(name, at, made, [(x, lambda g: g)])
        return result

    def as_array(self, at: At, x: Any) -> Any:
        """A list or tuple of numbers, or what goes through an array, as the array that NumPy makes of it."""
        if isinstance(x, np.flatiter):
            return self.array_method(at, x.base, "reshape", (-1,), {})
        if isinstance(x, (list, tuple, collections.deque)) and any(is_value(one) for one in parts(x)):
            return self.finished(at, "array", np.array, (x,), {}, np.array(x))
        return x

    def _operand(self, at: At, x: Any) -> Any:
        """An operand of an operator, as NumPy takes it."""
        return np.asarray(self.as_array(at, x)) if isinstance(x, _SEQUENCES) else x

    def _unrolled(self, at: At, x: Any) -> Any:
        """An argument in which what goes through an array is that array."""
        if isinstance(x, (list, tuple)) and any(isinstance(one, np.flatiter) for one in x):
            return [self._unrolled(at, one) for one in x]
        return self.as_array(at, x) if isinstance(x, np.flatiter) else x


def _is_numpys(function: Any) -> bool:
    """Whether it is NumPy's, which writes only where it says so; generators of random numbers shuffle in place."""
    module = getattr(function, "__module__", None) or type(getattr(function, "__self__", None)).__module__
    return module.startswith("numpy") and not module.startswith("numpy.random")


def hashable(function: Any) -> bool:
    try:
        hash(function)
    except TypeError:
        return False
    return True
