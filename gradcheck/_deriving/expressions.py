"""Reads expressions of the user's: with the names of what will be written, and their values at the first execution.

Calls of the user's functions are read as if their statements stood in the place of the call.
"""

from __future__ import annotations

import ast
import types
from typing import Any

import numpy as np

from gradcheck._deriving.environment import Environment
from gradcheck._deriving.evaluating import bare, slice_of
from gradcheck._deriving.scopes import Scope
from gradcheck._deriving.statements import (
    Info,
    clone,
    holds_numbers,
    is_active,
    known,
    names_in,
    note,
    value_of,
)  # fmt: skip


class ExpressionReader(Environment):
    """Reads expressions."""

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
        if isinstance(base, ast.Subscript) and (ast.dump(base.value), name) in self.of_steps:
            kept = self.of_steps[ast.dump(base.value), name]
            return self.item(self.noted(ast.Name(kept, ast.Load()), self.env[kept]), clone(base.slice))
        found = self.noted(ast.Attribute(base, name, ast.Load()))
        return self.names.given(value_of(found), found) if names_in(base) & self.of_loops else found

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
