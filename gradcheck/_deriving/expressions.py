"""Reads expressions of the user's: with the names of what will be written, and their values at the first execution.

Calls of the user's functions are read as if their statements stood in the place of the call.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from gradcheck._deriving.evaluating import bare, slice_of, with_values
from gradcheck._deriving.naming import Names
from gradcheck._deriving.scopes import Scope
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
    "zeros", "ones", "empty", "len", "isfinite", "isnan", "iscomplexobj", "result_type", "sort",
})  # fmt: skip


class ExpressionReader:
    """Reads expressions; `block` is where statements go that they need beforehand."""

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

    # -- expressions -----------------------------------------------------------------------------------------------

    def read(self, scope: Scope, node: ast.expr) -> ast.expr:
        """The expression as it will be written."""
        match node:
            case ast.Constant():
                return self.noted(ast.Constant(node.value), node.value)
            case ast.Name():
                return self._name(scope, node.id)
            case ast.Attribute():
                return self.attribute(self.read(scope, node.value), node.attr)
            case ast.Subscript():
                return self.item(self.read(scope, node.value), self._index(scope, node.slice))
            case ast.Call():
                return self.call(scope, node)
            case ast.BinOp():
                return self.noted(ast.BinOp(self.read(scope, node.left), node.op, self.read(scope, node.right)))
            case ast.UnaryOp():
                return self.noted(ast.UnaryOp(node.op, self.read(scope, node.operand)))
            case ast.Compare():
                others = [self.read(scope, one) for one in node.comparators]
                return self.noted(ast.Compare(self.read(scope, node.left), node.ops, others))
            case ast.BoolOp():
                return self._bool(scope, node)
            case ast.IfExp():
                return self.choice(scope, node)
            case ast.Tuple() | ast.List():
                return self.noted(type(node)(self._elements(scope, node.elts), ast.Load()))
            case ast.Dict() if all(one is not None for one in node.keys):
                keys = [None if one is None else self.read(scope, one) for one in node.keys]
                return self.noted(ast.Dict(keys, [self.read(scope, one) for one in node.values]))
            case ast.ListComp() | ast.GeneratorExp():
                return self.comprehension(scope, node)
            case ast.NamedExpr(target=target):
                self.bind(scope, target, self.read(scope, node.value))
                return self._name(scope, target.id)
        return self.word_for_word(scope, node)

    def _bool(self, scope: Scope, node: ast.BoolOp) -> ast.expr:
        """As far as it is evaluated."""
        values: list[ast.expr] = []
        for one in node.values:
            values.append(self.read(scope, one))
            if bool(value_of(values[-1])) == isinstance(node.op, ast.Or):
                break
        return values[0] if len(values) == 1 else self.noted(ast.BoolOp(node.op, values))

    def _name(self, scope: Scope, name: str) -> ast.expr:
        if name in scope.locals:
            return self.again(scope.locals[name])
        try:
            value = scope.closed_over(name)
        except KeyError:
            pass
        else:
            return self._closed_over(scope, name, value)
        try:
            value = scope.global_value(name)
        except KeyError:
            raise self.cannot(f"{name} has no value") from None
        written = self.names.of_module(name, value, scope.globals)
        if isinstance(written, ast.Name):
            self.env.setdefault(written.id, value)
        return self.noted(written, value)

    def _closed_over(self, scope: Scope, name: str, value: Any) -> ast.expr:
        path = self.names.path_of(scope.function)
        written = self.names.argument(name, value, None if path is None else path.then("cell", name))
        if isinstance(value, types.FunctionType) and path is not None:
            self.names.remember(value, path.then("cell", name))
        self.env[written] = value
        return self.noted(ast.Name(written, ast.Load()), value)

    def attribute(self, base: ast.expr, name: str) -> ast.expr:
        """``base.name``: what was bound to it on the way, or what it was."""
        owner = value_of(base)
        key = id(owner), name
        if not isinstance(owner, (np.ndarray, np.generic)):
            for read_first, written in self.touched:
                if key not in written:
                    read_first.add(key)
        if key in self.taken and key not in self.attributes and not names_in(base) & self.bound:
            self._take(base, name, key)
        if key in self.attributes:
            return self.again(self.attributes[key])
        return self.noted(ast.Attribute(base, name, ast.Load()))

    def _take(self, base: ast.expr, name: str, key: tuple[int, str]) -> None:
        """An array of the user's that is written to is copied first."""
        copied = self.noted(ast.Call(ast.Attribute(ast.Attribute(base, name, ast.Load()), "copy", ast.Load()), [], []))
        outer, self.block = self.block, self.root
        made = self.let(name, copied)
        self.block = outer
        self.root.insert(0, self.root.pop())
        self.kept.append(value_of(base))
        self.attributes[key] = made

    def item(self, base: ast.expr, index: ast.expr) -> ast.expr:
        """``base[index]``: of a tuple that is written out, the element."""
        if isinstance(base, (ast.Tuple, ast.List)) and not isinstance(index, (ast.Slice, ast.Tuple)):
            k = value_of(index)
            if isinstance(k, int) and -len(base.elts) <= k < len(base.elts):
                return base.elts[k]
        if isinstance(base, ast.Tuple) and isinstance(index, ast.Slice) and not holds_numbers(value_of(index)):
            part = range(len(base.elts))[slice_of(index)]
            return self.noted(ast.Tuple([base.elts[k] for k in part], ast.Load()))
        return self.noted(ast.Subscript(base, index, ast.Load()))

    def _index(self, scope: Scope, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Slice):
            parts = [None if one is None else self.read(scope, one) for one in (node.lower, node.upper, node.step)]
            return ast.Slice(*parts)
        if isinstance(node, ast.Tuple):
            return ast.Tuple([self._index(scope, one) for one in node.elts], ast.Load())
        return self.read(scope, node)

    def _elements(self, scope: Scope, nodes: list[ast.expr]) -> list[ast.expr]:
        found: list[ast.expr] = []
        for one in nodes:
            if isinstance(one, ast.Starred):
                found.extend(self.parts(self.read(scope, one.value)))
            else:
                found.append(self.read(scope, one))
        return found

    def parts(self, node: ast.expr) -> list[ast.expr]:
        """The elements of a sequence, one by one."""
        if isinstance(node, (ast.Tuple, ast.List)):
            return list(node.elts)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "values":
            of = value_of(node.func.value)
            if isinstance(of, dict):
                return [self.item(clone(node.func.value), self.noted(ast.Constant(key), key)) for key in of]
        node = self.simple(node, "parts")
        count = len(value_of(node))
        return [self.item(clone(node), self.noted(ast.Constant(k), k)) for k in range(count)]

    def word_for_word(self, scope: Scope, node: ast.expr) -> ast.expr:
        """What holds no derivative, with its names replaced."""
        inner = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
        inner |= {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
        reader = self

        class Renamed(ast.NodeTransformer):
            def visit_Name(self, one: ast.Name) -> ast.expr:
                return one if one.id in inner else reader._name(scope, one.id)

        made = Renamed().visit(bare(node))
        assert isinstance(made, ast.expr)
        if any(is_active(one) for one in ast.walk(made)) and holds_numbers(self.evaluate(bare(made))):
            raise self.cannot(f"{ast.unparse(node)[:60]} is no construct that it knows")
        for one in ast.walk(made):
            if known(one) is not None and one is not made:
                del one.info  # type: ignore[attr-defined]
        return note(made, Info(self.evaluate(made)))

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

    # -- what statements do ----------------------------------------------------------------------------------------

    def bind(self, scope: Scope, target: ast.expr, value: ast.expr) -> None:
        """Give a name, an attribute or an element a value."""
        raise NotImplementedError

    def call(self, scope: Scope, node: ast.Call) -> ast.expr:
        """A call."""
        raise NotImplementedError

    def choice(self, scope: Scope, node: ast.IfExp) -> ast.expr:
        """``a if test else b``."""
        raise NotImplementedError

    def comprehension(self, scope: Scope, node: ast.ListComp | ast.GeneratorExp) -> ast.expr:
        """A list of what an expression is for each of several values."""
        raise NotImplementedError


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
