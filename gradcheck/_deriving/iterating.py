"""Reads loops: those over numbers and arrays stay loops, those over names, objects and literals are written out."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck._deriving.expressions import is_simple
from gradcheck._deriving.rendering import as_python
from gradcheck._deriving.scopes import Scope
from gradcheck._deriving.statements import (
    Append,
    Block,
    Info,
    Let,
    Loop,
    bound_in,
    clone,
    every,
    expressions_of,
    holds_numbers,
    is_active,
    names_in,
    note,
    rename,
    value_of,
)  # fmt: skip
from gradcheck._deriving.unrolling import MOST_WRITTEN_OUT, UnrollingReader


class ReadAgainError(Exception):
    """What was read has to be read again: a loop hands on what only showed at its end."""


@dataclass(eq=False)
class _Carried:
    """What a step hands to the next: the name outside, before the step, and what reads it back."""

    outside: str
    before: str
    key: Any


class IterationReader(UnrollingReader):
    """Reads loops and comprehensions."""

    #: attributes that the loop at a line hands from step to step
    learned: dict[int, list[tuple[int, str]]]
    #: the functions that are being read
    scopes: list[Scope]
    #: names that begin as a whole number and go on as what derivatives flow through
    begun: set[str]
    #: names that turned out to carry no derivative
    unmoved: set[tuple[int, str]]

    def within(self) -> AbstractContextManager[Block]:
        """Statements go into a block of their own."""
        raise NotImplementedError

    def run(self, scope: Scope, statements: list[ast.stmt]) -> None:
        """Read statements."""
        raise NotImplementedError

    # -- loops -----------------------------------------------------------------------------------------------------

    def loop(self, scope: Scope, node: ast.For) -> None:
        """A ``for`` statement."""
        over = self.read(scope, node.iter)
        parts = self.written_out(over)
        if parts is not None:
            for one in parts:
                self.bind(scope, node.target, one)
                self.run(scope, node.body)
            return
        self._loop(scope, node.target, over, lambda: self.run(scope, node.body), node)

    def comprehension(self, scope: Scope, node: ast.ListComp | ast.GeneratorExp) -> ast.expr:
        """A list of what an expression is for each of several values."""
        if len(node.generators) != 1 or node.generators[0].ifs:
            return self.word_for_word(scope, node)
        one = node.generators[0]
        over = self.read(scope, one.iter)
        parts = self.written_out(over)
        inner = Scope(scope.function, scope.node, dict(scope.locals), None, scope.wanted)
        self.needed(inner)  # type: ignore[attr-defined]
        if parts is not None and len(parts) <= MOST_WRITTEN_OUT:
            found: list[ast.expr] = []
            for part in parts:
                self.bind(inner, one.target, part)
                found.append(self.simple(self.read(inner, node.elt), "part"))
            return self.noted(ast.List(found, ast.Load()))
        made = self.let("parts", self.noted(ast.List([], ast.Load()), []))

        def step() -> None:
            value = self.read(inner, node.elt)
            if is_active(value) and made.id not in self.active:
                self.moved.add(made.id)
                raise ReadAgainError
            self.block.append(Append(made.id, value, self.line))
            self.env[made.id].append(value_of(value))

        self._loop(inner, one.target, over, step, node)
        return self.noted(ast.Name(made.id, ast.Load()), self.env[made.id])

    def _loop(self, scope: Scope, target: ast.expr, over: ast.expr, step: Any, node: ast.AST) -> None:
        line = self.line
        counted, elements = self._counted(over, target)
        steps = list(value_of(counted))
        if not steps:
            raise self.cannot("the loop runs no step at these sizes: give larger ones with --size")
        index = self.names.fresh(target.id if isinstance(target, ast.Name) and elements is None else "t")
        self.env[index] = steps[0]
        self.of_loops.add(index)
        carried = [one for key in self._handed_on(scope, node) for one in self._begin(scope, key)]
        seen: tuple[set[tuple[int, str]], set[tuple[int, str]]] = (set(), set())
        self.touched.append(seen)
        with self.within() as block:
            for one in carried:
                self._enter(scope, one)
            self.of_loops |= {one.before for one in carried}
            at = self.noted(ast.Name(index, ast.Load()), steps[0])
            self.bind(scope, target, at if elements is None else elements(at))
            before = set(bound_in(block))
            step()
            self.of_loops |= bound_in(block) | before
        self.touched.pop()
        self.line = line
        self._learn(line, seen, carried)
        self.of_loops |= {root for one in every(block) if isinstance(one, Append) for root in [one.name]}
        loop = Loop(index, counted, block, [], line)
        for one in carried:
            loop.carried.append(self._leave(scope, one, block))
        self.block.append(loop)
        self._other_steps(loop, steps[1:])

    def _counted(self, over: ast.expr, target: ast.expr) -> tuple[ast.expr, Any]:
        """A range to loop over, and what the element is at an index; None if it is the index itself."""
        value = value_of(over)
        if isinstance(value, range) or (
            isinstance(over, ast.Call) and isinstance(over.func, ast.Name) and over.func.id == "reversed"
            and isinstance(value_of(over.args[0]), range)
        ):  # fmt: skip
            counted = over
            if not isinstance(value, range):
                reverse = value_of(over.args[0])[::-1]  # type: ignore[attr-defined]
                counted = note(over, Info(reverse))
            elif is_simple(over):
                counted = over
            return counted, None
        match over:
            case ast.Call(func=ast.Name(id="zip"), args=parts):
                sources = [self.simple(one, "sequence") for one in parts]
                return self._length(sources[0]), lambda at: self.noted(
                    ast.Tuple([self.item(clone(one), clone(at)) for one in sources], ast.Load())
                )
            case ast.Call(func=ast.Name(id="enumerate"), args=[one]):
                counted, elements = self._counted(one, ast.Tuple([], ast.Store()))
                if elements is None:
                    raise self.cannot("a loop over enumerate(range(...)) is no construct that it knows")
                return counted, lambda at: self.noted(ast.Tuple([clone(at), elements(at)], ast.Load()))
        if not isinstance(value, (np.ndarray, list, tuple)):
            raise self.cannot(f"a loop over {ast.unparse(over)} is no construct that it knows")
        hint = f"{target.id}s" if isinstance(target, ast.Name) else "sequence"
        source = self.simple(over, hint)
        return self._length(source), lambda at: self.item(clone(source), clone(at))

    def _length(self, source: ast.expr) -> ast.expr:
        count = self.noted(ast.Call(ast.Name("len", ast.Load()), [clone(source)], []), len(value_of(source)))
        return self.noted(ast.Call(ast.Name("range", ast.Load()), [count], []), range(value_of(count)))

    # -- what a step hands to the next -----------------------------------------------------------------------------

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

    def _begin(self, scope: Scope, key: Any) -> list[_Carried]:
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
        made: list[_Carried] = []
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
            made.append(_Carried(outside.id, before, (key, k if isinstance(found, ast.Tuple) else None)))
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

    def _enter(self, scope: Scope, one: _Carried) -> None:
        value = self.env[one.outside]
        outside = self.noted(ast.Name(one.outside, ast.Load()), value)
        self.block.append(Let([one.before], outside, self.line))
        self.bound.add(one.before)
        self.env[one.before] = value
        if holds_numbers(value) and (self.line, one.before) not in self.unmoved:
            self.active |= {one.before, one.outside}
        self._set_leaf(scope, one, self.noted(ast.Name(one.before, ast.Load()), value))

    def _set_leaf(self, scope: Scope, one: _Carried, value: ast.expr) -> None:
        key, k = one.key
        if k is None:
            self._set(scope, key, value)
            return
        found = self._get(scope, key)
        assert isinstance(found, ast.Tuple)
        parts = [clone(part) for part in found.elts]
        parts[k] = value
        self._set(scope, key, self.noted(ast.Tuple(parts, ast.Load())))

    def _leave(self, scope: Scope, one: _Carried, block: Block) -> tuple[str, str]:
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

    def _call_alike(self, scope: Scope, one: _Carried, name: str, block: Block) -> None:
        """An element of a tuple is called in and before the loop as it is at its end."""
        before = self.names.fresh(f"{name}_prev")
        for old, new in ((one.outside, name), (one.before, before)):
            for where in (self.block, block):
                rename(where, old, new)
            if old in self.active:
                self.active.add(new)
            self._renamed(scope, old, new)
        one.outside, one.before = name, before

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
        self, line: int, seen: tuple[set[tuple[int, str]], set[tuple[int, str]]], carried: list[_Carried]
    ) -> None:
        known = {one.key[0] for one in carried}
        new = sorted((seen[0] & seen[1]) - known)
        if new:
            self.learned.setdefault(line, []).extend(new)
            raise ReadAgainError

    def _other_steps(self, loop: Loop, steps: list[Any]) -> None:
        """Run what was read for the other steps, so that what comes after finds what the loop left."""
        code = compile(ast.Module(as_python(loop.body), []), "<derived>", "exec")
        for one in itertools.islice(steps, None):
            self.env[loop.index] = one
            with np.errstate(all="ignore"):
                try:
                    exec(code, self.env)
                except Exception as error:
                    raise self.cannot(f"a later step raised {type(error).__name__}: {error}") from error
