"""Values of expressions in the variables of one execution, each calculated once."""

from __future__ import annotations

import ast
import builtins
import dis
import itertools
import operator
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from gradcheck._common.clock import look
from gradcheck._mending.syntax import NUMPY
from gradcheck._tape.hooks import BINARY, UNARY

_FAILED = object()
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "Gt": operator.gt, "GtE": operator.ge, "Lt": operator.lt, "LtE": operator.le, "Eq": operator.eq,
    "NotEq": operator.ne, "Is": operator.is_, "IsNot": operator.is_not, "In": lambda a, b: a in b,
    "NotIn": lambda a, b: a not in b,
}  # fmt: skip
#: opcodes that change something that outlives the call
_WRITING = frozenset({"STORE_ATTR", "STORE_SUBSCR", "STORE_GLOBAL", "STORE_SLICE", "DELETE_SUBSCR", "YIELD_VALUE"})
_IN_PLACE = frozenset({"copyto", "put", "place", "putmask", "put_along_axis", "fill_diagonal", "at", "shuffle"})
_IN_PLACE_METHODS = frozenset(
    {"fill", "put", "itemset", "sort", "partition", "resize", "byteswap", "setflags", "setfield"}
)
#: names of methods and functions that change or show something
_EFFECTS = frozenset(
    {"append", "appendleft", "extend", "insert", "pop", "popleft", "remove", "clear", "update", "setdefault", "add"}
    | {"discard", "write", "print", "open", "setattr", "delattr", "seed", "exec", "next"}
)
_BUILTINS = frozenset(
    {len, range, reversed, list, tuple, zip, sum, min, max, abs, float, complex, int, enumerate, bool, round, sorted}
)
#: calculations between two looks at the clock
BETWEEN_LOOKS = 64
_CALCULATIONS = itertools.count(1)
#: rounds of a comprehension
MOST_ROUNDS = 200
#: a larger result is no part of anybody's gradient
_LARGEST = 10_000_000


Comprehension: TypeAlias = ast.ListComp | ast.GeneratorExp | ast.DictComp


class UnknownError(Exception):
    """An expression has no value here, or none that can be had without changing something."""


class Frame:
    """The variables of one execution."""

    def __init__(self, local: Mapping[str, Any], glob: Mapping[str, Any]) -> None:
        self.local, self.glob = local, glob
        self.known: dict[int, Any] = {}
        self._alive: list[ast.expr] = []

    def value(
        self,
        node: ast.expr,
        swapped: Mapping[int, ast.expr] | None = None,
        touched: Collection[int] = (),
        kept: bool = True,
    ) -> Any:
        """The value of an expression.

        Args:
            node: The expression. Its value is remembered.
            swapped: By the id of a node, what stands in its place.
            touched: The ids of the nodes around those.
            kept: Whether to remember it.

        Raises:
            UnknownError: If it has none.
        """
        if swapped is not None:
            new = swapped.get(id(node))
            if new is not None:
                return self._new(new)
            if id(node) in touched:
                return self._calculated(node, _Swapped(self, swapped, touched))
        found = self.known.get(id(node))
        if found is None:
            try:
                found = self._calculated(node, self.value)
            except UnknownError:
                found = _FAILED
            if kept:
                self.known[id(node)] = found
                self._alive.append(node)  # so that nothing else gets its identity
        if found is _FAILED:
            raise UnknownError
        return found

    def _new(self, node: ast.expr) -> Any:
        """Of an expression that stands nowhere yet, where its parts may."""
        found = self.known.get(id(node))
        if found is _FAILED:
            raise UnknownError
        return self._calculated(node, self._new) if found is None else found

    def _calculated(self, node: ast.expr, of: Callable[[ast.expr], Any]) -> Any:
        if next(_CALCULATIONS) % BETWEEN_LOOKS == 0:
            look()
        method: Callable[..., Any] = _METHODS.get(type(node), Frame._whole)
        try:
            return method(self, node, of)
        except UnknownError:
            raise
        except Exception as error:
            raise UnknownError from error

    def _name(self, node: ast.Name, _: Any) -> Any:
        if node.id in self.local:
            return self.local[node.id]
        if node.id in self.glob:
            return self.glob[node.id]
        if node.id == NUMPY and any(value is np for value in self.glob.values()):
            return np  # by another name
        return getattr(builtins, node.id)

    def _attribute(self, node: ast.Attribute, of: Any) -> Any:
        return getattr(of(node.value), node.attr)

    def _subscript(self, node: ast.Subscript, of: Any) -> Any:
        return of(node.value)[of(node.slice)]

    def _slice(self, node: ast.Slice, of: Any) -> Any:
        return slice(*(None if one is None else of(one) for one in (node.lower, node.upper, node.step)))

    def _binary(self, node: ast.BinOp, of: Any) -> Any:
        return BINARY[type(node.op).__name__](of(node.left), of(node.right))

    def _unary(self, node: ast.UnaryOp, of: Any) -> Any:
        return UNARY[type(node.op).__name__](of(node.operand))

    def _compare(self, node: ast.Compare, of: Any) -> Any:
        if len(node.ops) > 1:
            raise UnknownError
        return _COMPARE[type(node.ops[0]).__name__](of(node.left), of(node.comparators[0]))

    def _constant(self, node: ast.Constant, _: Any) -> Any:
        return node.value

    def _tuple(self, node: ast.Tuple, of: Any) -> Any:
        return tuple(of(one) for one in node.elts)

    def _list(self, node: ast.List, of: Any) -> Any:
        return [of(one) for one in node.elts]

    def _dict(self, node: ast.Dict, of: Any) -> Any:
        if any(key is None for key in node.keys):
            raise UnknownError
        return {of(key): of(value) for key, value in zip(node.keys, node.values, strict=True)}

    def _listed(self, node: ast.ListComp | ast.GeneratorExp, of: Any) -> Any:
        return [inner(node.elt) for inner in self._rounds(node.generators, of)]

    def _mapped(self, node: ast.DictComp, of: Any) -> Any:
        return {inner(node.key): inner(node.value) for inner in self._rounds(node.generators, of)}

    def in_first_round(self, comprehension: Comprehension) -> Frame:
        """The variables in the first round of a comprehension.

        Raises:
            UnknownError: If there is none.
        """
        for frame, _ in self._frames(comprehension.generators, self.value):
            return frame
        raise UnknownError

    def _rounds(self, generators: Sequence[ast.comprehension], of: Any) -> Iterator[Callable[[ast.expr], Any]]:
        """What evaluates expressions in one round of a comprehension after the other."""
        return (inner for _, inner in self._frames(generators, of))

    def _frames(
        self, generators: Sequence[ast.comprehension], of: Any
    ) -> Iterator[tuple[Frame, Callable[[ast.expr], Any]]]:
        """The same, with the variables of the round."""
        first, *rest = generators
        items = list(itertools.islice(_unspent(first.iter, of(first.iter)), MOST_ROUNDS + 1))
        if first.is_async or len(items) > MOST_ROUNDS:
            raise UnknownError
        for item in items:
            frame = Frame({**self.local, **dict(_bound(first.target, item))}, self.glob)
            inner = of.within(frame) if isinstance(of, _Swapped) else getattr(frame, of.__name__)
            if all(inner(test) for test in first.ifs):
                yield from frame._frames(rest, inner) if rest else [(frame, inner)]

    def _either(self, node: ast.IfExp, of: Any) -> Any:
        return of(node.body) if of(node.test) else of(node.orelse)

    def _whole(self, node: ast.expr, _: Any) -> Any:
        """Of what has no parts here: texts with values in them, conditions."""
        calls = any(isinstance(one, ast.Call) for one in ast.walk(node))
        if calls or not isinstance(node, (ast.JoinedStr, ast.BoolOp)):
            raise UnknownError
        whole = ast.fix_missing_locations(ast.Expression(node))
        return eval(compile(whole, "<frame>", "eval"), dict(self.glob), dict(self.local))

    def _call(self, node: ast.Call, of: Any) -> Any:
        keywords = {one.arg: one.value for one in node.keywords if one.arg is not None}
        if len(keywords) < len(node.keywords):
            raise UnknownError
        keywords.pop("out", None)  # where the value goes does not change it
        function = of(node.func)
        if not is_pure(function):
            raise UnknownError
        arguments: Iterable[Any] = [_unspent(one, of(one)) for one in node.args]
        named = {key: of(one) for key, one in keywords.items()}
        if _is_of_user(function):  # which cannot write into what it is handed, as with `x *= 2`
            arguments, named = map(_read_only, arguments), {key: _read_only(one) for key, one in named.items()}
        result = function(*arguments, **named)
        if isinstance(result, np.ndarray) and result.size > _LARGEST:
            raise UnknownError
        return result


@dataclass(frozen=True)
class _Swapped:
    """Evaluates expressions in a frame, with others in the place of some."""

    frame: Frame
    swapped: Mapping[int, ast.expr]
    touched: Collection[int]

    def __call__(self, node: ast.expr) -> Any:
        return self.frame.value(node, self.swapped, self.touched)

    def within(self, frame: Frame) -> _Swapped:
        """The same in another frame."""
        return replace(self, frame=frame)


def _unspent(node: ast.expr, value: Any) -> Any:
    """A value that can be gone through: not an iterator of the user's, which could be gone through only once."""
    if isinstance(value, Iterator) and not isinstance(node, ast.Call):
        raise UnknownError
    return value


def _bound(target: ast.expr, item: Any) -> Iterator[tuple[str, Any]]:
    """The variables of a comprehension in one round."""
    match target:
        case ast.Name(id=name):
            yield name, item
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            for part, one in zip(parts, item, strict=True):
                yield from _bound(part, one)
        case _:
            raise UnknownError


def _is_of_user(function: Any) -> bool:
    return isinstance(function, (types.FunctionType, types.MethodType)) and not _is_numpys(function)


def _read_only(value: Any) -> Any:
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(map(_read_only, value))
    if not isinstance(value, np.ndarray):
        return value
    result = value.copy()  # a view would hand over what it looks at
    result.flags.writeable = False
    return result


_METHODS: dict[type[ast.expr], Callable[..., Any]] = {
    ast.Name: Frame._name, ast.Attribute: Frame._attribute, ast.Subscript: Frame._subscript, ast.Slice: Frame._slice,
    ast.BinOp: Frame._binary, ast.UnaryOp: Frame._unary, ast.Compare: Frame._compare, ast.Constant: Frame._constant,
    ast.Tuple: Frame._tuple, ast.List: Frame._list, ast.Dict: Frame._dict, ast.IfExp: Frame._either,
    ast.Call: Frame._call, ast.ListComp: Frame._listed, ast.GeneratorExp: Frame._listed, ast.DictComp: Frame._mapped,
}  # fmt: skip


def is_pure(function: Any) -> bool:
    """Whether a call gives a value and changes nothing, as far as can be told."""
    if isinstance(function, types.FunctionType):
        if hasattr(function, "__wrapped__") and not is_pure(function.__wrapped__):
            return False  # what is around it, as around a property-based test, calls it
        is_numpys = function.__module__.split(".")[0] == "numpy"
        if is_numpys:
            return _is_numpys(function)
        has_arrays = any(isinstance(function.__globals__.get(name), np.ndarray) for name in function.__code__.co_names)
        return _is_pure_code(function.__code__) and not (has_arrays and _writes_out(function.__code__))
    if isinstance(function, types.MethodType):
        code = getattr(function.__func__, "__code__", None)
        return code is not None and _is_pure_code(code) and not (_writes_out(code) or _updates_in_place(code))
    if isinstance(function, types.BuiltinMethodType) and isinstance(function.__self__, (np.ndarray, np.generic)):
        return function.__name__ not in _IN_PLACE_METHODS
    if isinstance(function, types.BuiltinMethodType) and isinstance(function.__self__, (list, dict, tuple, str)):
        return function.__name__ in ("get", "items", "keys", "values", "copy", "index", "count")
    try:
        if function in _BUILTINS:
            return True
    except TypeError:
        return False
    return _is_numpys(function)


def _is_numpys(function: Any) -> bool:
    if isinstance(function, np.ufunc):
        return True
    module = getattr(function, "__module__", None) or ""
    return (
        module.split(".")[0] in ("numpy", "math", "cmath")
        and "random" not in module
        and getattr(function, "__name__", "") not in _IN_PLACE
    )


def _writes_out(code: types.CodeType) -> bool:
    """Whether a call in it says where its value goes: of a method, that may be an array of the object's."""
    return any(isinstance(names, tuple) and "out" in names for names in code.co_consts)


def _updates_in_place(code: types.CodeType) -> bool:
    """Whether something is added to where it stands: of a method, that may be an array of the object's."""
    return any(one.opname == "BINARY_OP" and one.argrepr.endswith("=") for one in dis.get_instructions(code))


@lru_cache(maxsize=512)
def _is_pure_code(code: types.CodeType) -> bool:
    if not (_EFFECTS | _IN_PLACE | _IN_PLACE_METHODS).isdisjoint(code.co_names):
        return False
    nested = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return not any(one.opname in _WRITING for one in dis.get_instructions(code)) and all(map(_is_pure_code, nested))
