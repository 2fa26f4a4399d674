"""Reads the statements of a loss while it runs: what it calculates, straight, with loops, and every name bound once."""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradcheck._deriving.branching import BranchReader
from gradcheck._deriving.calls import CallReader
from gradcheck._deriving.carrying import ReadAgainError
from gradcheck._deriving.environment import is_simple
from gradcheck._deriving.rendering import as_python
from gradcheck._deriving.scopes import Scope
from gradcheck._deriving.statements import (
    Append,
    Do,
    Info,
    Let,
    Store,
    clone,
    every,
    holds_numbers,
    is_active,
    known,
    names_in,
    note,
    value_of,
)  # fmt: skip


class Reader(BranchReader, CallReader):
    """Reads statements and runs them."""

    def run(self, scope: Scope, statements: list[ast.stmt]) -> None:
        """Read statements, until one returns."""
        for one in statements:
            if scope.returned is not None:
                return
            if id(one) in self.needed(scope).statements:
                self.line = one.lineno
                begin = len(self.block)
                self._statement(scope, one)
                for made in every(self.block[begin:]):
                    made.file = made.file or self.where

    def _statement(self, scope: Scope, node: ast.stmt) -> None:
        match node:
            case ast.Assign():
                value = self.read(scope, node.value)
                if len(node.targets) > 1:
                    hint = next((one.id for one in node.targets if isinstance(one, ast.Name)), "value")
                    value = self.simple(value, hint)
                for target in node.targets:
                    self.bind(scope, target, clone(value) if len(node.targets) > 1 else value)
            case ast.AnnAssign(value=value) if value is not None:
                self.bind(scope, node.target, self.read(scope, value))
            case ast.AnnAssign() | ast.Pass() | ast.Global() | ast.Nonlocal():
                pass
            case ast.AugAssign():
                self._augmented(scope, node)
            case ast.Return():
                scope.returned = self.noted(ast.Constant(None), None) if node.value is None else self._returned(
                    scope, node.value
                )  # fmt: skip
            case ast.Expr(value=ast.Call() as call):
                self._called_for_effect(scope, call)
            case ast.Expr():
                pass
            case ast.If():
                self.branch(scope, node)
            case ast.While() if not value_of(self.read(scope, node.test)) and not node.orelse:
                pass  # what it prepares is there already
            case ast.For(orelse=[]):
                self.loop(scope, node)
            case ast.With():
                self.run(scope, node.body)
            case ast.FunctionDef():
                scope.locals[node.name] = self._local_function(scope, node)
            case ast.Import() | ast.ImportFrom():
                self._import(scope, node)
            case _:
                kind = type(node).__name__.lower()
                raise self.cannot(f"a {kind} statement is no construct that it knows")

    def _returned(self, scope: Scope, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Tuple) and scope.wanted is not None:
            nothing = ast.Constant(None)
            parts = [
                self.read(scope, one) if k in scope.wanted else self.noted(clone(nothing), None)
                for k, one in enumerate(node.elts)
            ]
            return self.noted(ast.Tuple(parts, ast.Load()))
        return self.read(scope, node)

    def _local_function(self, scope: Scope, node: ast.FunctionDef) -> ast.expr:
        del scope
        raise self.cannot(f"{node.name} is defined within a function that the loss runs: define it outside")

    def _import(self, scope: Scope, node: ast.Import | ast.ImportFrom) -> None:
        space: dict[str, Any] = {}
        exec(ast.unparse(node), scope.globals, space)
        for name, value in space.items():
            self.names.imports[name] = ast.unparse(node)
            self.env[name] = value
            scope.locals[name] = self.noted(ast.Name(name, ast.Load()), value)

    # -- what is bound ---------------------------------------------------------------------------------------------

    def bind(self, scope: Scope, target: ast.expr, value: ast.expr) -> None:
        """Give a name, an attribute or an element a value."""
        match target:
            case ast.Name():
                scope.locals[target.id] = value if is_simple(value) else self.named(target.id, value)
            case ast.Attribute():
                self._bind_attribute(self.read(scope, target.value), target.attr, value)
            case ast.Subscript():
                self._store(self._entry(scope, target, value), None, value)
            case ast.Tuple() | ast.List():
                self._unpack(scope, target.elts, value)
            case _:
                raise self.cannot(f"{ast.unparse(target)} is no target that it knows")

    def _entry(self, scope: Scope, target: ast.Subscript, value: ast.expr) -> ast.expr:
        """What is written to; a dict may not have it yet."""
        base, index = self.read(scope, target.value), self._index(scope, target.slice)
        made = ast.Subscript(base, index, ast.Load())
        if isinstance(value_of(base), (dict, list)):
            return note(made, Info(value_of(value)))
        return self.noted(made)

    def _bind_attribute(self, owner: ast.expr, name: str, value: ast.expr) -> None:
        of = value_of(owner)
        self.kept.append(of)
        if names_in(owner) & self.of_loops:
            self.keep_of_step(owner, name, value)
            return
        for _, written in self.touched:
            written.add((id(of), name))
        self.attributes[id(of), name] = value if is_simple(value) else self.named(name, value)

    def _unpack(self, scope: Scope, targets: list[ast.expr], value: ast.expr) -> None:
        if any(isinstance(one, ast.Starred) for one in targets):
            raise self.cannot("a starred target is no construct that it knows")
        if isinstance(value, (ast.Tuple, ast.List)):
            if all(isinstance(one, ast.Name) for one in targets):
                hints = [one.id for one in targets if isinstance(one, ast.Name)]
                pairs = zip(hints, value.elts, strict=True)
                parts = [one if is_simple(one) else self.named(hint, one) for hint, one in pairs]
            else:
                parts = list(value.elts)
            for target, part in zip(targets, parts, strict=True):
                self.bind(scope, target, part)
            return
        if isinstance(value, ast.Call) and all(isinstance(one, ast.Name) for one in targets) and is_active(value):
            self._unpack_call(scope, [one for one in targets if isinstance(one, ast.Name)], value)
            return
        for target, part in zip(targets, self.parts(value), strict=True):
            self.bind(scope, target, part)

    def _unpack_call(self, scope: Scope, targets: list[ast.Name], value: ast.expr) -> None:
        names = [self.names.fresh(one.id) for one in targets]
        self.block.append(Let(names, value, self.line))
        self.bound |= set(names)
        for name, target, part in zip(names, targets, value_of(value), strict=True):
            self.env[name] = part
            if holds_numbers(part):
                self.active.add(name)
            scope.locals[target.id] = self.noted(ast.Name(name, ast.Load()), part)

    def _augmented(self, scope: Scope, node: ast.AugAssign) -> None:
        value = self.read(scope, node.value)
        if isinstance(node.target, ast.Subscript):
            self._store(self.read(scope, _loaded(node.target)), node.op, value)
            return
        old = self.read(scope, _loaded(node.target))
        if isinstance(value_of(old), list) and (is_active(old) or is_active(value)):
            raise self.cannot(f"{ast.unparse(node)}: use append")
        self.bind(scope, node.target, self.noted(ast.BinOp(old, node.op, value)))

    def _store(self, target: ast.expr, operator: ast.operator | None, value: ast.expr, *, at: bool = False) -> None:
        """Write into an array, a list or a dict."""
        if not isinstance(target, ast.Subscript):
            raise self.cannot(f"{ast.unparse(target)} is written to")
        info = known(target)
        if info is None or info.parameter is None:  # an update of the parameters comes after what the loss reads
            self.add(Store(target, operator, value, self.line, at), target.value, value)

    def add(self, statement: Store | Append | Do, base: ast.expr, value: ast.expr) -> None:
        """A statement that changes what a variable holds."""
        while isinstance(base, ast.Subscript):
            base = base.value
        if not isinstance(base, ast.Name) or base.id not in self.bound:
            if isinstance(value_of(base), np.ndarray):
                if isinstance(base, ast.Attribute) and not names_in(base) & self.bound:
                    self.taken.add((id(value_of(base.value)), base.attr))
                    raise ReadAgainError
                raise self.cannot(f"{ast.unparse(base)} is made before the loss, and written to: make it in the loss")
            return  # what a user's object keeps for a backward of its own
        if is_active(value) and base.id not in self.active:
            self.moved.add(base.id)
            raise ReadAgainError
        self.block.append(statement)
        with self.running():
            exec(compile(ast.Module(as_python([statement]), []), "<derived>", "exec"), self.env)

    @contextmanager
    def running(self) -> Iterator[None]:
        """What goes wrong is told with the line."""
        try:
            with np.errstate(all="ignore"):
                yield
        except Exception as error:
            raise self.cannot(f"the statement raised {type(error).__name__}: {error}") from error

    def _called_for_effect(self, scope: Scope, call: ast.Call) -> None:
        match call:
            case ast.Call(func=ast.Attribute(value=owner, attr="append"), args=[one]):
                of = self.read(scope, owner)
                if isinstance(value_of(of), list):
                    self._append(of, self.read(scope, one))
                return
            case ast.Call(func=ast.Attribute(attr="at", value=ast.Attribute(attr="add")), args=[base, index, one]):
                target = self.read(scope, ast.Subscript(base, index, ast.Load()))
                self._store(target, ast.Add(), self.read(scope, one), at=True)
                return
        value = self.call(scope, call)
        if isinstance(value, ast.Call) and any(is_active(one) for one in value.args):
            name = ast.unparse(value.func)
            if isinstance(value_of(value.func), (types.BuiltinFunctionType, types.BuiltinMethodType, np.ufunc)):
                raise self.cannot(f"{name} changes what it is given")

    def _append(self, owner: ast.expr, value: ast.expr) -> None:
        if not isinstance(owner, ast.Name) or owner.id not in self.bound:
            # a list that the user's object holds: what is kept there is for a backward of its own
            return
        if isinstance(value, ast.Tuple) and holds_numbers(value_of(value)):
            value = self.noted(ast.Tuple([self.simple(one, "kept") for one in value.elts], ast.Load()))
        self.add(Append(owner.id, value, self.line), owner, value)


def _loaded(target: ast.expr) -> ast.expr:
    """A target as an expression."""
    match target:
        case ast.Name():
            return ast.Name(target.id, ast.Load())
        case ast.Attribute():
            return ast.Attribute(target.value, target.attr, ast.Load())
        case ast.Subscript():
            return ast.Subscript(target.value, target.slice, ast.Load())
    return target


__all__ = ["Reader"]
