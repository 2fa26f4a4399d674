"""What can be written at a statement: expressions that have a value there, the nearest first."""

from __future__ import annotations

import ast
import dis
import itertools
import types
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from gradcheck._mending.frames import UnknownError, is_pure
from gradcheck._mending.holes import Hole
from gradcheck._mending.syntax import Code, expressions, item, loop_counters, names_in, parsed, span

#: the instructions that a loop ends with
_BACKWARD = frozenset(number for name, number in dis.opmap.items() if "JUMP_BACKWARD" in name)
#: members of one object that are named
MOST_MEMBERS = 40
MOST_ATOMS = 160
#: items of one list or array that is indexed by numbers
MOST_NEIGHBOURS = 6
MOST_CONDITIONS = 12
MOST_SCALARS = 12
#: a number beyond this, or below its inverse, stands for infinity or for nothing: to scale by it is to leave out
SENTINEL = 1e8
#: what has attributes that are no variables of the user's
_NO_RECORDS = (type, types.ModuleType, types.FunctionType, types.MethodType, np.ndarray, np.generic)


@dataclass(frozen=True)
class Atom:
    """An expression, its text, its value at the first execution, and whether it is a plain read."""

    node: ast.expr
    text: str
    value: Any
    plain: bool

    @property
    def is_integer(self) -> bool:
        """Whether it is a whole number: an index or a size."""
        return isinstance(self.value, (int, np.integer)) and not isinstance(self.value, bool)

    @property
    def is_float(self) -> bool:
        """Whether derivatives can flow through it."""
        return isinstance(self.value, (float, np.ndarray, np.floating)) and np.asarray(self.value).dtype.kind == "f"

    @property
    def is_complex(self) -> bool:
        """Whether it is an array of complex numbers."""
        return isinstance(self.value, np.ndarray) and self.value.dtype.kind == "c"

    @property
    def is_count(self) -> bool:
        """Whether it is an array of whole numbers: lengths, say."""
        return isinstance(self.value, np.ndarray) and self.value.dtype.kind in "iu" and self.value.ndim > 0

    @property
    def is_condition(self) -> bool:
        """Whether it is an array of truth values."""
        return isinstance(self.value, (np.ndarray, np.bool_)) and self.value.dtype == bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its value."""
        return np.shape(self.value)


class Surroundings:
    """All atoms of a hole."""

    def __init__(self, hole: Hole) -> None:
        self.hole, self.frame, self.code = hole, hole.first, hole.code
        self._found: dict[str, Atom] = {}
        self._keep: list[ast.expr] = []
        function = self.code.function(hole.root)
        self.read = _reads(function, hole, self.code) if function is not None else []
        self._objects: dict[int, str] = {}
        self._counters = set(loop_counters(self.code, hole.root))
        inner = {id(node) for node in expressions(hole.root)}
        for node in self.read:
            if _is_plain(node) or id(node) in inner:
                self._add(node)
        for text in [key for key in self.frame.local if key.isidentifier()]:
            self._add(parsed(text), text)
        for text in (*self._beside(inner), *self._other_fields(inner)):
            self._add(parsed(text), text)
        for node in self.read:
            self._add(node)
        whole = [key for key, value in self.frame.local.items() if type(value) is int and key.isidentifier()]
        of_loops = loop_counters(self.code, hole.root)
        #: the shapes of arrays of which single numbers are read at the counter of the loop
        self._taken_by_number = set(self._shapes_taken_apart())
        #: names of whole numbers, those of the loops around first
        self.counters = sorted(whole, key=lambda key: of_loops.index(key) if key in of_loops else len(of_loops))
        for text in sorted(self._elsewhere(), key=lambda text: text.count(".") + text.count("[")):
            if text not in self._found:
                self._add(parsed(text), text)
        for node in self._items_of_others():
            self._add(node)
        taken_in_turn = {ast.dump(one.value) for one in self.read if self._is_taken_in_turn(one)}
        for node in self.read:
            for other in _neighbours(node):  # last: at one size, an item by its number may be one by a counter
                if isinstance(other.slice, (ast.Slice, ast.Tuple)) or ast.dump(other.value) not in taken_in_turn:
                    self._add(other)
        atoms = list(self._found.values())
        self.floats = [one for one in atoms if one.is_float and not _is_sentinel(one.value)][:MOST_ATOMS]
        self.complexes = [one for one in atoms if one.is_complex][:MOST_ATOMS]
        self.integers = [one for one in atoms if one.is_integer][:MOST_ATOMS]
        self.counts = [one for one in atoms if one.is_count][:MOST_CONDITIONS]
        self.conditions = [one for one in atoms if one.is_condition][:MOST_CONDITIONS]
        self.helpers = self._helpers()
        #: numbers that other functions of the file calculate of what has the same name here, as a mask's sum
        self.scalars = list(itertools.islice(self._scalars(), MOST_SCALARS))

    def _add(self, node: ast.expr, text: str | None = None) -> None:
        text = ast.unparse(node) if text is None else text
        if text in self._found:
            return
        self._keep.append(node)  # frames remember values by the identity of nodes
        try:
            value = self.frame.value(node)
        except UnknownError:
            return
        member = not self.code.has(node) and not isinstance(node, ast.Name)
        if isinstance(value, np.ndarray) and member and id(value) in self._objects and not self._goes_with_loop(node):
            return  # the same array by another name
        self._objects.setdefault(id(value), text)
        self._found[text] = Atom(node, text, value, _is_plain(node))

    def _beside(self, inner: set[int]) -> Iterator[str]:
        """The items of other arrays and lists at the indices at which the expression reads items."""
        read = (node.slice for node in self.read if id(node) in inner and isinstance(node, ast.Subscript))
        indices = dict.fromkeys(one.id for one in read if isinstance(one, ast.Name))
        for key, value in self.frame.local.items() if indices else ():
            if isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim > 1):
                yield from (f"{key}[{index}]" for index in indices if key.isidentifier())

    def _other_fields(self, inner: set[int]) -> Iterator[str]:
        """The other fields of what the expression reads fields of, as of a layer in a list."""
        for node in self.read:
            if id(node) in inner and isinstance(node, ast.Attribute) and not isinstance(node.value, ast.Name):
                with suppress(UnknownError):
                    owner = ast.unparse(node.value)
                    yield from (f"{owner}.{one}" for one, _ in _fields(self.frame.value(node.value)))

    def _is_taken_in_turn(self, node: ast.expr) -> TypeGuard[ast.Subscript]:
        """Whether it is an item, at each step another one: one by its number is meant for a step by chance."""
        return isinstance(node, ast.Subscript) and bool(names_in(node.slice) & self._counters)

    def _goes_with_loop(self, node: ast.expr) -> bool:
        """Whether it is another value at each step: the first may have a name of its own."""
        return bool(names_in(node) & self._counters)

    def _items_of_others(self) -> Iterator[ast.expr]:
        """What other functions of the file read by names that there are here too, as the forward a mask of the step."""
        names = self.frame.local.keys() | self.frame.glob.keys()
        for node in self.code.items:
            used = names_in(node)
            if used <= names and used & self.frame.local.keys():
                yield node

    def _scalars(self) -> Iterator[Atom]:
        for node in self.code.tallies:
            if (text := ast.unparse(node)) in self._found:
                continue
            try:
                value = self.frame.value(node)
            except UnknownError:
                continue
            if isinstance(value, (int, float, np.number)) and not _is_sentinel(value):
                yield Atom(node, text, value, plain=False)

    def of_shape(self, shape: tuple[int, ...]) -> list[Atom]:
        """Floating-point and complex atoms of this shape."""
        return [one for one in (*self.floats, *self.complexes) if one.shape == shape]

    def fitting(self, shape: tuple[int, ...]) -> list[Atom]:
        """Those that broadcast to it, or do with axes of length one behind their own: one for each example."""
        return _fitting([*self.floats, *self.complexes], shape)

    def counts_fitting(self, shape: tuple[int, ...]) -> list[Atom]:
        """Arrays of whole numbers that do."""
        return _fitting(self.counts, shape)

    def conditions_fitting(self, shape: tuple[int, ...]) -> list[Atom]:
        """Arrays of truth values that do."""
        return _fitting(self.conditions, shape)

    def widening(self, shape: tuple[int, ...]) -> list[Atom]:
        """Those to whose shape a smaller one broadcasts."""
        return [one for one in self.floats if one.shape != shape and broadcasts(shape, one.shape)]

    def _shapes_taken_apart(self) -> Iterator[tuple[int, ...]]:
        for node in self.read:
            match node:
                case ast.Subscript(value=ast.Name(id=key), slice=ast.Name(id=counter)) if counter in self._counters:
                    value = self.frame.local.get(key)
                    if isinstance(value, np.ndarray) and value.ndim == 1:
                        yield value.shape

    def _elsewhere(self) -> Iterator[str]:
        """Names, members of what has names, and items at the loop's counters."""
        local = {key: value for key, value in self.frame.local.items() if key.isidentifier()}
        for key, value in local.items():
            yield from _members(key, value)
        for key, value in local.items():
            yield from self._items(key, value)
            for inner, one in _fields(value):
                yield from self._items(f"{key}.{inner}", one)
        for key, value in self.frame.glob.items():
            if isinstance(value, (float, int, np.ndarray)) and not isinstance(value, bool) and not key.startswith("__"):
                yield key
            elif isinstance(value, dict) and not key.startswith("__"):
                yield from _members(key, value)
        for key, value in local.items():
            yield from _sizes(key, value)

    def _items(self, key: str, value: Any) -> Iterator[str]:
        if isinstance(value, np.ndarray) and value.ndim == 1 and value.shape in self._taken_by_number:
            yield from (f"{key}[{counter}]" for counter in self.counters[:1])
        is_sequence = isinstance(value, (list, dict)) or (isinstance(value, np.ndarray) and value.ndim > 1)
        if not is_sequence or (isinstance(value, dict) and any(isinstance(one, str) for one in value)):
            return
        for counter in [one for one in self.counters if one in self._counters] or self.counters[:6]:
            yield from (f"{key}[{counter}]", f"{key}[{counter} - 1]", f"{key}[{counter} + 1]")

    def _helpers(self) -> list[str]:
        """The module's own functions of one argument; those that loop are no activations, and may take long."""
        return [
            key for key, value in self.frame.glob.items()
            if isinstance(value, types.FunctionType) and value.__code__.co_argcount == 1 and is_pure(value)
            and value.__module__ == self.frame.glob.get("__name__") and not _loops(value)
        ][:12]  # fmt: skip


def _loops(function: types.FunctionType) -> bool:
    """Whether it loops, or a function of its module that it calls."""
    waiting, seen = [function], {id(function)}
    while waiting:
        one = waiting.pop()
        if not _BACKWARD.isdisjoint(one.__code__.co_code[::2]):
            return True
        for other in map(one.__globals__.get, one.__code__.co_names):
            if isinstance(other, types.FunctionType) and id(other) not in seen:
                seen.add(id(other))
                waiting.append(other)
    return False


def _reads(function: ast.AST, hole: Hole, code: Code) -> list[ast.expr]:
    """What the function reads anywhere, the nearest first, the statement's own expressions before all others."""
    line = hole.root.lineno
    inner = {id(node) for node in expressions(hole.root)}
    found = [
        node
        for node in ast.walk(function)
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.BinOp, ast.Call, ast.UnaryOp))
        and isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        and not _is_called(node, code)
    ]

    def nearness(node: ast.expr) -> tuple[bool, bool, int, object]:
        return id(node) not in inner, not _is_plain(node), abs(node.lineno - line), span(node)

    return sorted(found, key=nearness)


def _neighbours(node: ast.expr) -> Iterator[ast.Subscript]:
    """Items beside one that is read by its number; what a slice leaves of its array."""
    match node:
        case ast.Subscript(value=value, slice=ast.Constant(value=int() as number)):
            yield from (item(value, ast.Constant(other)) for other in range(MOST_NEIGHBOURS) if other != number)
            yield item(value, ast.UnaryOp(ast.USub(), ast.Constant(1)))
        case ast.Subscript(value=value, slice=ast.Tuple(elts=[*before, ast.Slice() as last])):
            yield from (item(value, ast.Tuple([*before, other], ast.Load())) for other in _other_part(last))
        case ast.Subscript(value=value, slice=ast.Slice() as last):
            yield from (item(value, other) for other in _other_part(last))


def _other_part(one: ast.Slice) -> Iterator[ast.Slice]:
    if one.step is None and (one.lower is None) != (one.upper is None):
        yield ast.Slice(one.upper, one.lower)


def _is_called(node: ast.expr, code: Code) -> bool:
    around = code.parent(node)
    return isinstance(around, ast.Call) and around.func is node


def _is_plain(node: ast.expr) -> bool:
    return isinstance(node, (ast.Name, ast.Attribute, ast.Subscript))


def _members(key: str, owner: Any) -> Iterator[str]:
    if isinstance(owner, Mapping):
        for one in list(owner)[:MOST_MEMBERS]:
            if isinstance(one, str):
                yield f"{key}[{one!r}]"
        return
    for one, value in _fields(owner):
        yield f"{key}.{one}"
        if isinstance(value, Mapping):
            yield from _members(f"{key}.{one}", value)
        yield from (f"{key}.{one}.{inner}" for inner, _ in _fields(value))


def _sizes(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, np.ndarray) and value.ndim:
        yield from (f"{key}.shape[{axis}]" for axis in range(value.ndim))
        yield f"{key}.size"
    elif isinstance(value, (list, tuple)):
        yield f"len({key})"
    for one, inner in _fields(value):
        if isinstance(inner, np.ndarray) and inner.ndim:
            yield from (f"{key}.{one}.shape[{axis}]" for axis in range(inner.ndim))
            yield f"{key}.{one}.size"


def _is_sentinel(value: Any) -> bool:
    if np.ndim(value) or not value or isinstance(value, complex):
        return False
    size = abs(float(value))
    return not 1 / SENTINEL < size < SENTINEL


def _fields(value: Any) -> list[tuple[str, Any]]:
    """The attributes of an object of the user's that hold its data, and their values; also of named tuples."""
    if isinstance(value, _NO_RECORDS):
        return []
    if isinstance(value, tuple):
        return [(one, getattr(value, one)) for one in getattr(value, "_fields", ())][:MOST_MEMBERS]
    slots = [one for kind in type(value).__mro__ for one in _slots_of(kind) if hasattr(value, one)]
    return [*((one, getattr(value, one)) for one in slots), *getattr(value, "__dict__", {}).items()][:MOST_MEMBERS]


def _slots_of(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ()) if kind.__module__ != "builtins" else ()
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _fitting(atoms: list[Atom], shape: tuple[int, ...]) -> list[Atom]:
    result = [one for one in atoms if broadcasts(one.shape, shape)]
    for one in atoms:
        for first in range(len(shape) - len(one.shape)) if one.plain and one.shape else ():
            if one.shape == shape[first : first + len(one.shape)] and (not first or len(one.shape) == 1):
                missing = len(shape) - len(one.shape) - first
                axes: ast.expr = ast.Slice() if len(one.shape) == 1 else ast.Constant(...)
                index = [axes, *[ast.Constant(None)] * missing]
                node = item(one.node, ast.Tuple(index, ast.Load()))
                value = np.asarray(one.value)[(..., *[None] * missing)]
                result.append(Atom(node, ast.unparse(node), value, one.plain))
    return result


def broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether an array of one shape broadcasts to another."""
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False
