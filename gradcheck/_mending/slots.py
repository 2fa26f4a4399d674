"""Where in an expression something else could stand."""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from gradcheck._mending.atoms import Surroundings
from gradcheck._mending.frames import Comprehension, Frame, UnknownError
from gradcheck._mending.holes import Hole
from gradcheck._mending.sparing import sparing_others
from gradcheck._mending.syntax import Code, expressions, is_minus, names_in
from gradcheck._tape.nodes import is_value

T = TypeVar("T")
Swap = tuple[ast.expr, ast.expr]
#: of something and itself these give a number
_CANCELLING = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod)
_PRODUCTS = (ast.Mult, ast.MatMult, ast.Div)


@dataclass(frozen=True)
class Candidate:
    """Expressions that stand in the place of others."""

    swaps: tuple[Swap, ...]

    @staticmethod
    def of(old: ast.expr, new: ast.expr) -> Candidate:
        """One in the place of another."""
        return Candidate(((old, new),))


@dataclass(frozen=True)
class Slot:
    """An expression in the hole, with its value at the first execution (None if it has none)."""

    node: ast.expr
    value: Any

    @property
    def is_float(self) -> bool:
        """Whether derivatives can flow through it."""
        return is_value(self.value) or (isinstance(self.value, np.ndarray) and self.value.dtype.kind in "fc")

    @property
    def is_object(self) -> bool:
        """Whether it calculates by methods of the user's own."""
        kind = type(self.value)
        return kind.__module__ not in ("builtins", "numpy") and hasattr(kind, "__mul__")

    @property
    def is_integer(self) -> bool:
        """Whether it is a whole number."""
        return isinstance(self.value, (int, np.integer)) and not isinstance(self.value, bool)

    @property
    def is_plain(self) -> bool:
        """Whether it is a plain read."""
        return isinstance(self.node, (ast.Name, ast.Attribute, ast.Subscript))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its value."""
        return np.shape(self.value)


def is_in_vain(candidate: Candidate, code: Code) -> bool:
    """Whether something is taken from itself, divided by itself or multiplied by one: t - t says no more than a number.

    Or what is calculated is written into what nobody has, or from the sum that it is added to; or a clip gets other
    bounds, which mends only what they spare by chance; or the same is added in each round of a comprehension; or one
    step is taken of what is calculated for all.
    """
    return any(
        _cancels_within(new)
        or (isinstance(new, ast.BinOp) and _multiplies_by_one(new))
        or _cancels_beside(old, new, code)
        or _multiplies_back(old, new, code)
        or _negates_twice(old, new, code)
        or _is_lost(old, new, code)
        or _reads_sum(old, new, code)
        or _is_in_bound(old, code)
        or _ignores_round(old, new, code)
        or _takes_from_all(old, new, code)
        for old, new in candidate.swaps
    )


def _reads_sum(old: ast.expr, new: ast.expr, code: Code) -> bool:
    """Whether what is added to a sum is calculated from that sum, and was not."""
    around: ast.AST | None = old
    while isinstance(around, ast.expr):
        around = code.parent(around)
    if not (isinstance(around, ast.AugAssign) and isinstance(around.op, (ast.Add, ast.Sub))):
        return False
    target = ast.dump(around.target).replace("Store()", "Load()")
    return target in map(ast.dump, _parts(new)) and target not in map(ast.dump, _parts(old))


def _ignores_round(old: ast.expr, new: ast.expr, code: Code) -> bool:
    """Whether what a comprehension gives in each round gets a term that is the same in all of them."""
    around = code.parent(old)
    if not isinstance(around, (ast.GeneratorExp, ast.ListComp)) or around.elt is not old:
        return False
    own = set().union(*(names_in(one.target) for one in around.generators))
    return bool(own & names_in(old)) and not all(own & names_in(term) for term in _terms(new))


def _takes_from_all(old: ast.expr, new: ast.expr, code: Code) -> bool:
    """Whether an item is taken of a sum or product of arrays, (a * b)[t]: a[t] * b[t] is meant, and tried as well."""
    around = code.parent(old)
    if not (isinstance(around, ast.Subscript) and around.value is old and isinstance(new, (ast.BinOp, ast.UnaryOp))):
        return False
    is_one_step = isinstance(around.slice, (ast.Name, ast.Constant, ast.BinOp))
    return is_one_step and not isinstance(old, (ast.BinOp, ast.UnaryOp))


def _terms(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        yield from _terms(node.left)
        yield from _terms(node.right)
    else:
        yield node


def _is_in_bound(old: ast.expr, code: Code) -> bool:
    """Whether it stands in a bound of a clip."""
    below: ast.AST = old
    around = code.parent(old)
    while isinstance(around, (ast.expr, ast.keyword)):
        match around:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="np" | "numpy"), attr="clip"), args=[first, *_]):
                return below is not first
            case ast.Call(func=ast.Attribute(attr="clip") as method):
                return below is not method
        below, around = around, code.parent(around)
    return False


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    return (one for one in ast.walk(node) if isinstance(one, (ast.Name, ast.Attribute, ast.Subscript)))


def _cancels_within(new: ast.expr) -> bool:
    differences = (node for node in ast.walk(new) if isinstance(node, ast.BinOp) and isinstance(node.op, _CANCELLING))
    return any(ast.dump(node.left) == ast.dump(node.right) for node in differences)


def _multiplies_by_one(new: ast.BinOp) -> bool:
    """1 * z for 1 - z: z is what is meant, which is tried as well."""
    ones = (one for one in (new.left, new.right) if isinstance(one, ast.Constant) and one.value == 1)
    return isinstance(new.op, ast.Mult) and next(ones, None) is not None


def _cancels_beside(old: ast.expr, new: ast.expr, code: Code) -> bool:
    around = code.parent(old)
    if not (isinstance(around, ast.BinOp) and isinstance(around.op, _CANCELLING)):
        return False
    other = around.right if around.left is old else around.left
    return ast.dump(other) == ast.dump(new)


def _multiplies_back(old: ast.expr, new: ast.expr, code: Code) -> bool:
    """Whether a factor is added that the product around it is divided by, or the reverse: leaving it out is meant."""
    before, after = _Factors(), _Factors()
    before.add(old)
    after.add(new)
    around = _Factors()
    node, is_above = old, True
    while isinstance(parent := code.parent(node), ast.BinOp) and isinstance(parent.op, _PRODUCTS):
        if isinstance(parent.op, ast.Div) and parent.right is node:
            around.turn()
            around.add(parent.left)
            is_above = not is_above
        else:
            other = parent.right if parent.left is node else parent.left
            around.add(other, is_above=not isinstance(parent.op, ast.Div))
        node = parent
    if not is_above:
        before.turn()
        after.turn()
    new_above, new_below = after.above - before.above, after.below - before.below
    return bool(new_above & (around.below | after.below) or new_below & (around.above | after.above))


def _negates_twice(old: ast.expr, new: ast.expr, code: Code) -> bool:
    """Whether a factor gets a minus beside one that has it: to leave that out is meant."""
    around = code.parent(old)
    if not (is_minus(new) and isinstance(around, ast.BinOp) and isinstance(around.op, _PRODUCTS)):
        return False
    return is_minus(around.right if around.left is old else around.left)


def _is_lost(old: ast.expr, new: ast.expr, code: Code) -> bool:
    """Whether a function would write into an array that was calculated for that: to leave the call out is meant."""
    around = code.parent(old)
    is_output = isinstance(around, ast.keyword) and around.arg == "out"
    return is_output and not isinstance(new, (ast.Name, ast.Attribute, ast.Subscript))


class _Factors:
    """What a product is multiplied with, and what it is divided by."""

    def __init__(self) -> None:
        self.above: set[str] = set()
        self.below: set[str] = set()

    def add(self, node: ast.expr, *, is_above: bool = True) -> None:
        """The factors of an expression that stands above or below."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, _PRODUCTS):
            self.add(node.left, is_above=is_above)
            self.add(node.right, is_above=is_above is not isinstance(node.op, ast.Div))
        else:
            (self.above if is_above else self.below).add(ast.dump(node))

    def turn(self) -> None:
        """What was above stands below."""
        self.above, self.below = self.below, self.above


class Workplace:
    """A hole with its slots and its surroundings."""

    def __init__(self, hole: Hole) -> None:
        self.hole, self.code = hole, hole.code
        self.around = Surroundings(hole)
        self.slots = [Slot(node, value) for node, value in self._valued()]
        self.floats = [slot for slot in self.slots if slot.is_float]
        self._shared: dict[str, Any] = {}

    def shared(self, key: str, make: Callable[[], T]) -> T:
        """What several families of candidates need, made once."""
        if key not in self._shared:
            self._shared[key] = make()
        result: T = self._shared[key]
        return result

    def _valued(self) -> Iterable[tuple[ast.expr, Any]]:
        innocent = {id(inside) for part in sparing_others(self.hole.innocent()) for inside in ast.walk(part)}
        for node in expressions(self.hole.root):
            if id(node) in innocent:
                continue
            if isinstance(node, (ast.Slice, ast.Tuple, ast.List, ast.Dict)):
                yield node, None
                continue
            try:
                value = self.frame_of(node).value(node)
            except UnknownError:
                value = None
            if not isinstance(value, types.ModuleType) and not callable(value):
                yield node, value

    def frame_of(self, node: ast.expr) -> Frame:
        """The variables where an expression stands: of what is evaluated in rounds, those of the first."""
        below: ast.AST = node
        around = self.code.parent(node)
        frame, inside = self.hole.first, list[Comprehension]()
        while below is not self.hole.root and around is not None:
            if isinstance(around, Comprehension) and not isinstance(below, ast.comprehension):
                inside.append(around)
            below, around = around, self.code.parent(around)
        for one in reversed(inside):
            frame = frame.in_first_round(one)
        return frame

    def outermost(self, *operators: type[ast.operator]) -> list[Slot]:
        """The floating-point slots that are no operand of such an operator."""
        return [slot for slot in self.floats if not is_operand(slot.node, self.code, operators)]


def is_operand(node: ast.expr, code: Code, operators: tuple[type[ast.operator], ...]) -> bool:
    """Whether it is an operand of one of these operators."""
    around = code.parent(node)
    return isinstance(around, ast.BinOp) and isinstance(around.op, operators)


def is_factor(node: ast.expr, code: Code) -> bool:
    """Whether something is multiplied with it or divided by it, in place as well."""
    around = code.parent(node)
    return isinstance(around, (ast.BinOp, ast.AugAssign)) and isinstance(around.op, (ast.Mult, ast.Div))
