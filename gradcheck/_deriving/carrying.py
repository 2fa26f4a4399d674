"""What a step of a loop hands to the next: names before and after a step, and what only shows at the end of a loop."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck._deriving.scopes import Scope
from gradcheck._deriving.statements import (
    Append,
    Block,
    Let,
    clone,
    every,
    expressions_of,
    holds_numbers,
    is_active,
    names_in,
    rename,
    value_of,
)  # fmt: skip
from gradcheck._deriving.unrolling import UnrollingReader


class ReadAgainError(Exception):
    """What was read has to be read again: a loop hands on what only showed at its end."""


@dataclass(eq=False)
class Carried:
    """What a step hands to the next: the name outside, before the step, and what reads it back."""

    outside: str
    before: str
    key: Any


class CarryingReader(UnrollingReader):
    """Keeps track of what loops hand from step to step."""

    #: attributes that the loop at a line hands from step to step
    learned: dict[int, list[tuple[int, str]]]
    #: the functions that are being read
    scopes: list[Scope]
    #: the loops around: the block before each, its body, its index
    around: list[tuple[Block, Block, str]]
    #: attributes that were bound to an object of one step
    of_one_step: list[tuple[int, str]]
    #: names that begin as a whole number and go on as what derivatives flow through
    begun: set[str]
    #: names that turned out to carry no derivative
    unmoved: set[tuple[int, str]]

    def _handed_on(self, scope: Scope, node: ast.AST) -> Iterator[Any]:
        """The names that are bound before the loop and in it; and the attributes that were learned."""
        stored = {
            one.id
            for one in ast.walk(node)
            if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store) and one.id in scope.locals
        }
        if isinstance(node, ast.For):
            read = {one.id for part in node.body for one in ast.walk(part) if isinstance(one, ast.Name)}
            own = {one.id for one in ast.walk(node.target) if isinstance(one, ast.Name)}
            yield from sorted((stored & read) - own)
        yield from self.learned.get(self.line, [])

    def _get(self, scope: Scope, key: Any) -> ast.expr | None:
        return scope.locals.get(key) if isinstance(key, str) else self.attributes.get(key)

    def _set(self, scope: Scope, key: Any, value: ast.expr) -> None:
        if isinstance(key, str):
            scope.locals[key] = value
        else:
            self.attributes[key] = value

    def _begin(self, scope: Scope, key: Any) -> list[Carried]:
        found = self._get(scope, key)
        if found is None:
            owner = next((one for one in self.kept if id(one) == key[0]), None)
            raise self.cannot(
                f".{key[1]} of {type(owner).__name__} is handed from step to step: bind it before the loop"
            )
        hint = key if isinstance(key, str) else key[1]
        if isinstance(value_of(found), tuple) and not isinstance(found, ast.Tuple) and holds_numbers(value_of(found)):
            count = len(value_of(found))
            elements = [self.item(clone(found), self.noted(ast.Constant(k), k)) for k in range(count)]
            found = self.noted(ast.Tuple(elements, ast.Load()), value_of(found))
        leaves = found.elts if isinstance(found, ast.Tuple) else [found]
        made: list[Carried] = []
        names: list[ast.expr] = []
        for k, leaf in enumerate(leaves):
            value = value_of(leaf)
            if isinstance(value, (list, dict)) or not (holds_numbers(value) or isinstance(value, (int, np.ndarray))):
                names.append(leaf)
                continue
            base = hint if len(leaves) == 1 else f"{hint}_{k}"
            if base in self.begun and isinstance(value, int):
                leaf = self.noted(ast.Constant(float(value)), float(value))
            outside = self._taken_over(leaf) or self.let(base, clone(leaf))
            before = self.names.fresh(f"{base}_prev")
            made.append(Carried(outside.id, before, (key, k if isinstance(found, ast.Tuple) else None)))
            names.append(outside)
        self._set(scope, key, self.noted(ast.Tuple(names, ast.Load())) if isinstance(found, ast.Tuple) else names[0])
        return made

    def _taken_over(self, leaf: ast.expr) -> ast.Name | None:
        """A variable that is bound for the loop alone goes on as what the loop carries."""
        if not isinstance(leaf, ast.Name) or leaf.id not in self.bound:
            return None
        made = any(isinstance(one, Let) and one.names == [leaf.id] for one in self.block)
        read = [tree for one in every(self.block) for tree in expressions_of(one) if leaf.id in names_in(tree)]
        tables = [scope.locals for scope in self.scopes] + [self.attributes]
        held = sum(leaf.id in names_in(value) for table in tables for value in table.values())
        return self.noted(ast.Name(leaf.id, ast.Load()), self.env[leaf.id]) if made and not read and held <= 1 else None

    def _enter(self, scope: Scope, one: Carried) -> None:
        value = self.env[one.outside]
        outside = self.noted(ast.Name(one.outside, ast.Load()), value)
        self.block.append(Let([one.before], outside, self.line))
        self.bound.add(one.before)
        self.env[one.before] = value
        if holds_numbers(value) and (self.line, one.before) not in self.unmoved:
            self.active |= {one.before, one.outside}
        self._set_leaf(scope, one, self.noted(ast.Name(one.before, ast.Load()), value))

    def _set_leaf(self, scope: Scope, one: Carried, value: ast.expr) -> None:
        key, k = one.key
        if k is None:
            self._set(scope, key, value)
            return
        found = self._get(scope, key)
        assert isinstance(found, ast.Tuple)
        parts = [clone(part) for part in found.elts]
        parts[k] = value
        self._set(scope, key, self.noted(ast.Tuple(parts, ast.Load())))

    def _leave(self, scope: Scope, one: Carried, block: Block) -> tuple[str, str]:
        key, k = one.key
        found = self._get(scope, key)
        assert found is not None
        leaf = found if k is None else self.item(found, self.noted(ast.Constant(k), k))
        own = {name for statement in block if isinstance(statement, Let) for name in statement.names}
        others = {name for part in scope.locals.items() if part[0] != key for name in names_in(part[1])}
        if is_active(leaf) and isinstance(self.env[one.before], int):
            self.begun.add(str(key if isinstance(key, str) else key[1]))
            raise ReadAgainError
        if holds_numbers(value_of(leaf)) and not is_active(leaf):
            self.unmoved.add((self.line, one.before))
            if one.before in self.active:
                raise ReadAgainError
        if (
            isinstance(leaf, ast.Name)
            and leaf.id in own
            and leaf.id != one.before
            and not (k is None and leaf.id in others)
        ):
            value = value_of(leaf)
            if k is None:
                rename(block, leaf.id, one.outside)
                self._renamed(scope, leaf.id, one.outside)
            else:
                self._call_alike(scope, one, leaf.id, block)
        else:
            block.append(Let([one.outside], clone(leaf), self.line))
            value = value_of(leaf)
        self.env[one.outside] = value
        if is_active(leaf):
            self.active.add(one.outside)
        self._set_leaf(scope, one, self.noted(ast.Name(one.outside, ast.Load()), value))
        return one.outside, one.before

    def _call_alike(self, scope: Scope, one: Carried, name: str, block: Block) -> None:
        """An element of a tuple is called in and before the loop as it is at its end."""
        before = self.names.fresh(f"{name}_prev")
        for old, new in ((one.outside, name), (one.before, before)):
            for where in (self.block, block):
                rename(where, old, new)
            if old in self.active:
                self.active.add(new)
            self._renamed(scope, old, new)
        one.outside, one.before = name, before

    def keep_of_step(self, owner: ast.expr, name: str, value: ast.expr) -> None:
        """An attribute of an object that is another one in each step: kept in a list, one element a step."""
        before, body, index = self.around[-1] if self.around else ([], [], "")
        if not (
            isinstance(owner, ast.Subscript)
            and isinstance(owner.slice, ast.Name)
            and owner.slice.id == index
            and self.block is body
        ):
            raise self.cannot(f".{name} is kept in an object that is another one in each step")
        key = id(value_of(owner)), name
        self.attributes[key] = value = self.let(name, value)
        self.of_one_step.append(key)
        kept = self.of_steps.get((ast.dump(owner.value), name))
        if kept is None:
            outer, self.block = self.block, before
            kept = self.let(f"{name}s", self.noted(ast.List([], ast.Load()), [])).id
            self.block = outer
            self.of_steps[ast.dump(owner.value), name] = kept
        if is_active(value) and kept not in self.active:
            self.moved.add(kept)
            raise ReadAgainError
        for one in [one for one in body if isinstance(one, Append) and one.name == kept]:
            body.remove(one)  # it is bound anew in the same step
            self.env[kept].pop()
        body.append(Append(kept, value, self.line))
        self.env[kept].append(value_of(value))

    def _renamed(self, scope: Scope, old: str, new: str) -> None:
        """All that refers to a variable refers to its new name."""
        self.names.release(old)
        self.bound.add(new)
        self.env[new] = self.env.pop(old)
        for table in (scope.locals, self.attributes):
            for value in table.values():
                for node in ast.walk(value):
                    if isinstance(node, ast.Name) and node.id == old:
                        node.id = new

    def _learn(
        self, line: int, seen: tuple[set[tuple[int, str]], set[tuple[int, str]]], carried: list[Carried]
    ) -> None:
        known = {one.key[0] for one in carried}
        new = sorted((seen[0] & seen[1]) - known)
        if new:
            self.learned.setdefault(line, []).extend(new)
            raise ReadAgainError
