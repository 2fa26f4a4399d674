"""Reads loops: those over numbers and arrays stay loops, those over names, objects and literals are written out."""

from __future__ import annotations

import ast
import itertools
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from gradcheck._deriving.carrying import CarryingReader, ReadAgainError
from gradcheck._deriving.environment import is_simple
from gradcheck._deriving.rendering import as_python
from gradcheck._deriving.scopes import Scope
from gradcheck._deriving.statements import (
    Append,
    Block,
    Info,
    Loop,
    bound_in,
    clone,
    every,
    is_active,
    note,
    value_of,
)  # fmt: skip
from gradcheck._deriving.unrolling import MOST_WRITTEN_OUT


class IterationReader(CarryingReader):
    """Reads loops and comprehensions."""

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
        before_loop = self.block
        with self.within() as block:
            self.around.append((before_loop, block, index))
            for one in carried:
                self._enter(scope, one)
            self.of_loops |= {one.before for one in carried}
            at = self.noted(ast.Name(index, ast.Load()), steps[0])
            self.bind(scope, target, at if elements is None else elements(at))
            before = set(bound_in(block))
            step()
            self.of_loops |= bound_in(block) | before
        self.touched.pop()
        self.around.pop()
        for key in self.of_one_step:
            self.attributes.pop(key, None)
        self.of_one_step.clear()
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
                shortest = min(sources, key=lambda one: (len(value_of(one)), not isinstance(value_of(one), np.ndarray)))
                return self._length(shortest), lambda at: self.noted(
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
