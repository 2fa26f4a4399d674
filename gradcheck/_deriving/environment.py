"""What is known while a forward is read: the values of names, which carry derivatives, and new variables."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from gradcheck._deriving.evaluating import with_values
from gradcheck._deriving.naming import Names
from gradcheck._deriving.statements import (
    Block,
    CannotError,
    Info,
    Let,
    clone,
    holds_numbers,
    is_active,
    known,
    names_in,
    note,
    operands,
    value_of,
)  # fmt: skip

N = TypeVar("N", bound=ast.expr)
#: functions whose result has no derivative, whatever they are given
CONSTANT = frozenset({
    "zeros_like", "ones_like", "empty_like", "sign", "floor", "ceil", "round", "rint", "argmax", "argmin", "argsort",
    "zeros", "ones", "empty", "len", "isfinite", "isnan", "iscomplexobj", "result_type",
})  # fmt: skip


class Environment:
    """Names and values; `block` is where new variables go."""

    #: arrays, lists and dicts that turned out to be written derivable values into
    moved: set[str]
    #: arrays of the user's objects that the loss writes to
    taken: set[tuple[int, str]]

    def __init__(self, names: Names, parameters: dict[str, Any], begin: Callable[..., Any]) -> None:
        self.names, self.begin = names, begin
        self.block: Block = []
        self.root = self.block
        #: what the names of what is written hold now
        self.env: dict[str, Any] = dict(names.globals)
        self.active: set[str] = set()
        #: the variables that were bound on the way
        self.bound: set[str] = set()
        #: attributes that were bound: by object and name; objects are kept, so that no other gets their place
        self.attributes: dict[tuple[int, str], ast.expr] = {}
        self.kept: list[Any] = []
        self.touched: list[tuple[set[tuple[int, str]], set[tuple[int, str]]]] = []
        #: attributes of objects that stand in a list, one object a step: the list of their values, by list and name
        self.of_steps: dict[tuple[str, str], str] = {}
        self.line = 0
        self.where = ""
        self._places = {
            _memory_of(array): name
            for name, array in parameters.items()
            if isinstance(array, np.ndarray) and array.size
        }

    def cannot(self, why: str) -> CannotError:
        """The error for the line that is read now."""
        return CannotError(f"{self.where}:{self.line}: no backward can be written: {why}")

    # -- values ----------------------------------------------------------------------------------------------------

    def noted(self, node: N, value: Any = NotImplemented) -> N:
        """The node with its value, and whether derivatives flow through it."""
        if value is NotImplemented:
            value = self.evaluate(node)
        parameter = None
        if isinstance(value, np.ndarray) and self._is_given(node) and not names_in(node) & self.of_loops:
            parameter = self._places.get(_memory_of(value))
        through = any(is_active(one) for one in operands(node)) and not _is_constant(node)
        if isinstance(node, ast.Name):
            through = node.id in self.active
        is_on = holds_numbers(value) and (through or parameter is not None)
        note(node, Info(value, is_on, parameter))
        return node

    def _is_given(self, node: ast.expr) -> bool:
        """Whether it reads what was there before: no variable that was bound on the way."""
        while isinstance(node, (ast.Attribute, ast.Subscript)):
            node = node.value
        return isinstance(node, ast.Name) and node.id not in self.bound

    #: names that differ from step to step
    of_loops: set[str]

    def again(self, node: ast.expr) -> ast.expr:
        """The same expression with what is known of it now."""
        match node:
            case ast.Name():
                return self.noted(ast.Name(node.id, ast.Load()), self.env[node.id])
            case ast.Attribute(value=value, attr=name) if known(value) is not None:
                return self.noted(ast.Attribute(self.again(value), name, ast.Load()))
            case ast.Subscript(value=value, slice=index):
                return self.noted(ast.Subscript(self.again(value), clone(index), ast.Load()))
            case ast.Tuple(elts=elements):
                parts = [self.again(one) for one in elements]
                return self.noted(ast.Tuple(parts, ast.Load()), tuple(value_of(one) for one in parts))
        return clone(node)

    def evaluate(self, node: ast.expr) -> Any:
        """The value of an expression whose operands have theirs."""
        values: dict[str, Any] = {}
        replaced = ast.Expression(ast.fix_missing_locations(with_values(node, values, is_root=True)))
        try:
            with np.errstate(all="ignore"):
                return eval(compile(replaced, "<derived>", "eval"), {**self.env, **values})
        except CannotError:
            raise
        except Exception as error:
            raise self.cannot(f"{ast.unparse(node)} raised {type(error).__name__}: {error}") from error

    # -- variables -------------------------------------------------------------------------------------------------

    def let(self, hint: str, expression: ast.expr) -> ast.Name:
        """A new variable."""
        name = self.names.fresh(hint)
        self.block.append(Let([name], expression, self.line))
        self.bound.add(name)
        self.env[name] = value_of(expression)
        if is_active(expression) or name in self.moved:
            self.active.add(name)
        return self.noted(ast.Name(name, ast.Load()), self.env[name])

    def simple(self, node: ast.expr, hint: str) -> ast.expr:
        """The same as an expression that may be written more than once."""
        return node if is_simple(node) else self.let(hint, node)


def _memory_of(array: np.ndarray[Any, Any]) -> tuple[Any, ...]:
    return array.__array_interface__["data"][0], array.shape, array.strides


def is_simple(node: ast.expr) -> bool:
    """Whether it only names a value."""
    match node:
        case ast.Name() | ast.Constant():
            return True
        case ast.Attribute(value=value):
            return is_simple(value)
        case ast.Subscript(value=value, slice=index):
            return is_simple(value) and is_simple(index) and isinstance(value_of(index), (int, str, np.integer))
        case ast.Tuple(elts=elements):
            return all(is_simple(one) for one in elements)
    return False


def _is_constant(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
            return name in CONSTANT
    return False
