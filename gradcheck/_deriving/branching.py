"""Reads branches: the one that is taken where a test has one answer, both where it differs from step to step."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager

from gradcheck._deriving.iterating import IterationReader
from gradcheck._deriving.scopes import Scope
from gradcheck._deriving.statements import (
    Block,
    Branch,
    Let,
    is_active,
    names_in,
    value_of,
)  # fmt: skip


class BranchReader(IterationReader):
    """Reads ``if`` statements and expressions."""

    def is_fixed(self, test: ast.expr) -> bool:
        """Whether a test has one answer for all steps of the loops around it."""
        return not names_in(test) & self.of_loops

    def branch(self, scope: Scope, node: ast.If) -> None:
        test = self.read(scope, node.test)
        if self.is_fixed(test):
            self.run(scope, node.body if value_of(test) else node.orelse)
            return
        sides: list[tuple[Block, dict[str, ast.expr]]] = []
        before, was = dict(scope.locals), bool(value_of(test))
        outcome: dict[bool, dict[str, ast.expr]] = {}
        for side in (was, not was):
            scope.locals = dict(before)
            with self.within() as block:
                self.run(scope, node.body if side else node.orelse)
            if scope.returned is not None:
                raise self.cannot("a return in one branch of a loop is no construct that it knows")
            sides.append((block, scope.locals))
            outcome[side] = scope.locals
        blocks = {was: sides[0][0], not was: sides[1][0]}
        scope.locals = dict(before)
        branch = Branch(test, blocks[True], blocks[False], self.line)
        for name in outcome[True].keys() & outcome[False].keys():
            one, other = outcome[True][name], outcome[False][name]
            if ast.dump(one) != ast.dump(other):
                scope.locals[name] = self._merged(name, branch, one, other, was=was)
        self.block.append(branch)

    def _merged(self, hint: str, branch: Branch, one: ast.expr, other: ast.expr, *, was: bool) -> ast.expr:
        name = self.names.fresh(hint)
        branch.body.append(Let([name], one, self.line))
        branch.otherwise.append(Let([name], other, self.line))
        self.bound.add(name)
        self.env[name] = value_of(one if was else other)
        if is_active(one) or is_active(other):
            self.active.add(name)
        return self.noted(ast.Name(name, ast.Load()), self.env[name])

    def choice(self, scope: Scope, node: ast.IfExp) -> ast.expr:
        """``a if test else b``: the one that it is, or statements for both."""
        test = self.read(scope, node.test)
        was = bool(value_of(test))
        if self.is_fixed(test):
            return self.read(scope, node.body if was else node.orelse)
        found: dict[bool, ast.expr] = {}
        blocks: dict[bool, Block] = {}
        for side in (was, not was):
            with self.within() as blocks[side]:
                found[side] = self.read(scope, node.body if side else node.orelse)
        if not (blocks[True] or blocks[False] or is_active(found[True]) or is_active(found[False])):
            return self.noted(ast.IfExp(test, found[True], found[False]), value_of(found[was]))
        branch = Branch(test, blocks[True], blocks[False], self.line)
        merged = self._merged("chosen", branch, found[True], found[False], was=was)
        self.block.append(branch)
        return merged

    @contextmanager
    def within(self) -> Iterator[Block]:
        """Statements go into a block of their own."""
        outer, self.block = self.block, []
        try:
            yield self.block
        finally:
            self.block = outer
