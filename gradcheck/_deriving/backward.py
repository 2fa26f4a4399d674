"""Writes the backward: the statements of the forward from the last to the first, its loops from their last step."""

from __future__ import annotations

import ast
from collections.abc import Iterable

import numpy as np

from gradcheck._deriving.pulling import Pulling
from gradcheck._deriving.shares import Context
from gradcheck._deriving.statements import (
    Append,
    Block,
    Branch,
    Let,
    Loop,
    Store,
    bound_in,
    clone,
    every,
    is_active,
    names_in,
    root_of,
    shape_of,
    value_of,
)  # fmt: skip
from gradcheck._deriving.uses import use_of
from gradcheck._mending.vjp import Cotangent, added, full, negated, parsed_with, summed


class Backward(Pulling):
    """Writes the backward of a block."""

    def write(self, block: Block, seeds: Iterable[tuple[ast.expr, Cotangent]]) -> Context:
        """The backward of a whole forward, from the derivatives of its results."""
        context = Context.of(block, None)
        for result, g in seeds:
            self.push(context, result, g, "out")
        self._block(context, block)
        return context

    # -- statements ------------------------------------------------------------------------------------------------

    def _block(self, context: Context, block: Block) -> None:
        for one in reversed(list(block)):
            self.line, self.file = one.line or self.line, one.file or self.file
            match one:
                case Let(names=[name]):
                    self._let(context, name, one.expression)
                case Let():
                    self._unpacked(context, one)
                case Store():
                    self._store(context, one)
                case Append():
                    self._append(context, one)
                case Loop():
                    self._loop(context, block, one)
                case Branch():
                    self._branch(context, one)

    def _let(self, context: Context, name: str, expression: ast.expr) -> None:
        if name not in self.active:
            return
        if isinstance(expression, (ast.Dict, ast.List)) and name in self._filled:
            self.shares.materialise(context, name)
        if self._likelihood(context, name, expression):
            return
        g = self.shares.take(context, name)
        if g is not None and is_active(expression):
            self.push(context, expression, g, name)

    def _unpacked(self, context: Context, one: Let) -> None:
        found = [self.shares.take(context, name) if name in self.active else None for name in one.names]
        if not any(found):
            return
        use = use_of(one.expression)
        parts = [
            part.node if part is not None else parsed_with(f"np.zeros_like({name})")
            for name, part in zip(one.names, found, strict=True)
        ]
        whole = ast.List(parts, ast.Load())
        if use is not None and use.op in ("split", "array_split", "hsplit"):
            x = use.operands[0]
            axis = use.constant("axis", 2, default=0) if use.op != "hsplit" else 1
            if axis < 0:
                axis += len(shape_of(x))
            node = parsed_with(f"np.concatenate({{}}, axis={axis})", whole)
            self.push(context, x, Cotangent(node, shape_of(x)), one.names[0])
            return
        self.push(
            context, one.expression, Cotangent(parsed_with("np.stack({})", whole), shape_of(one.expression)), "out"
        )

    def _store(self, context: Context, one: Store) -> None:
        if not is_active(one.expression):
            return
        base = root_of(one.target)
        assert base is not None
        if isinstance(one.operator, (ast.Mult, ast.Div)):
            raise self.cannot("an entry is multiplied in place: give the product another name")
        self.shares.materialise(self.shares.home(context, base), base)
        node: ast.expr = ast.Name(self.shares.name_of(base), ast.Load())
        for index in _indices(one.target):
            node = ast.Subscript(node, clone(index), ast.Load())
        g = Cotangent(node, shape_of(one.target) if one.at else _stored_shape(one))
        hint = base
        if isinstance(one.operator, ast.Sub):
            g = negated(g)
        value = shape_of(one.expression)
        if value != g.shape:
            g = summed(g, g.shape, value)
        self.push(context, one.expression, g, hint)

    def _append(self, context: Context, one: Append) -> None:
        if not is_active(one.expression):
            return
        self.shares.materialise(self.shares.home(context, one.name), one.name)
        node: ast.expr = ast.Name(self.shares.name_of(one.name), ast.Load())
        if one.position is None:
            raise self.cannot(f"where in {one.name} a step appends cannot be told")
        node = ast.Subscript(node, clone(one.position), ast.Load())
        self.push(context, one.expression, Cotangent(node, shape_of(one.expression)), one.name)

    # -- blocks ----------------------------------------------------------------------------------------------------

    def _ready_for(self, context: Context, blocks: list[Block]) -> None:
        """Derivatives of what an inner block writes into have to be there before it is gone through."""
        inner = set().union(*(bound_in(one) for one in blocks))
        for statement in (one for block in blocks for one in every(block)):
            base = root_of(statement.target) if isinstance(statement, Store) else getattr(statement, "name", None)
            if (
                isinstance(statement, (Store, Append))
                and base
                and base not in inner
                and is_active(statement.expression)
            ):
                self.shares.materialise(self.shares.home(context, base), base)

    def _loop(self, context: Context, block: Block, loop: Loop) -> None:
        carried = [(a, b) for a, b in loop.carried if a in self.active and b in self.active]
        self._ready_for(context, [loop.body])
        inner = Context.of(loop.body, context)
        for outside, _ in carried:
            self.shares.materialise(context, outside) if outside in context.ready else self._begin(context, outside)
            name = ast.Name(self.shares.name_of(outside), ast.Load())
            self.shares.add(inner, ast.Name(outside, ast.Load()), Cotangent(name, self.shares.shape(outside)))
        self._block(inner, _without_entries(loop))
        self.line, self.file = loop.line, loop.file
        self._hand_back(inner, carried)
        for outside, _ in carried:
            name = ast.Name(self.shares.name_of(outside), ast.Load())
            context.ready.discard(outside)
            self.shares.add(context, ast.Name(outside, ast.Load()), Cotangent(name, self.shares.shape(outside)))
        if inner.out:
            kept = self._restored(block, loop, inner.out)
            context.out.append(
                ast.For(ast.Name(loop.index, ast.Store()), _reversed(loop.over), [*kept, *inner.out], [])
            )

    def _begin(self, context: Context, outside: str) -> None:
        """The derivative of the last step's result is what comes after the loop."""
        name = self.shares.name_of(outside)
        found = self.shares.take(context, outside)
        if found is None:
            found = Cotangent(parsed_with(f"np.zeros_like({outside})"), self.shares.shape(outside))
        if not (isinstance(found.node, ast.Name) and found.node.id == name):
            context.out.append(ast.Assign([ast.Name(name, ast.Store())], found.node))

    def _hand_back(self, inner: Context, carried: list[tuple[str, str]]) -> None:
        """What comes back to the step before."""
        targets: list[ast.expr] = []
        values: list[ast.expr] = []
        for outside, before in carried:
            found = self._whole(inner, before)
            name = self.shares.name_of(outside)
            if not (isinstance(found, ast.Name) and found.id == name):
                targets.append(ast.Name(name, ast.Store()))
                values.append(found)
        if len(targets) == 1:
            inner.out.append(ast.Assign(targets, values[0]))
        elif targets:
            inner.out.append(ast.Assign([ast.Tuple(targets, ast.Store())], ast.Tuple(values, ast.Load())))

    def _whole(self, inner: Context, name: str) -> ast.expr:
        shares = inner.shares.get(name, [])
        if name in inner.ready or any(one.index for one in shares):
            found = self.shares.take(inner, name)
            assert found is not None
            return found.node
        inner.shares.pop(name, None)
        if not shares:
            return parsed_with(f"np.zeros_like({name})")

        node = added([one.cotangent.node for one in shares])
        assert node is not None
        shape = np.broadcast_shapes(*(one.cotangent.shape for one in shares))
        return full(Cotangent(node, shape), self.shares.shape(name), ast.Name(name, ast.Load())).node

    def _restored(self, block: Block, loop: Loop, out: list[ast.stmt]) -> list[ast.stmt]:
        """Statements that bring back the values of a step; the forward keeps them."""
        own = bound_in(loop.body) - {
            one for other in every(loop.body) if isinstance(other, Loop) for one in [other.index]
        }
        bound = {node.id for one in out for node in ast.walk(one) if isinstance(node, ast.Name) and isinstance(
            node.ctx, ast.Store)}  # fmt: skip
        read = names_in(*out)
        wanted = [name for one in every(loop.body) if isinstance(one, Let) for name in one.names if name in read & own]
        wanted = [name for name in dict.fromkeys(wanted) if name not in bound]
        result: list[ast.stmt] = []
        again: list[Let] = []
        for one in loop.body:
            if isinstance(one, Let) and len(one.names) == 1 and one.names[0] in wanted and _is_cheap(one, own, loop):
                again.append(one)
                wanted.remove(one.names[0])
        if wanted:
            cache = self.names.fresh("steps")
            index = block.index(loop)
            block.insert(index, Let([cache], ast.List([], ast.Load())))
            self.values[cache] = []
            parts: list[ast.expr] = [ast.Name(name, ast.Load()) for name in wanted]
            loop.body.append(Append(cache, ast.Tuple(parts, ast.Load()) if len(parts) > 1 else parts[0]))
            targets: list[ast.expr] = [ast.Name(name, ast.Store()) for name in wanted]
            into = ast.Tuple(targets, ast.Store()) if len(targets) > 1 else targets[0]
            at = parsed_with(f"{cache}[{loop.index}]" if _counts_up(loop.over) else f"{cache}.pop()")
            result.append(ast.Assign([into], at))
        return result + [ast.Assign([ast.Name(one.names[0], ast.Store())], clone(one.expression)) for one in again]

    def _branch(self, context: Context, branch: Branch) -> None:
        self._ready_for(context, [branch.body, branch.otherwise])
        sides = [Context.of(one, context) for one in (branch.body, branch.otherwise)]
        for name in sorted(sides[0].owned & sides[1].owned & self.active):
            g = self.shares.take(context, name)
            for side in sides if g is not None else ():
                assert g is not None
                self.shares.add(side, ast.Name(name, ast.Load()), g)
        for side, block in zip(sides, (branch.body, branch.otherwise), strict=True):
            self._block(side, block)
        if sides[0].out or sides[1].out:
            test, first, second = clone(branch.test), sides[0].out, sides[1].out
            if not first:
                test, first, second = ast.UnaryOp(ast.Not(), test), second, []
            context.out.append(ast.If(test, first, second))


def _indices(target: ast.expr) -> list[ast.expr]:
    found: list[ast.expr] = []
    while isinstance(target, ast.Subscript):
        found.insert(0, target.slice)
        target = target.value
    return found


def _stored_shape(one: Store) -> tuple[int, ...]:
    base = value_of(one.target.value)
    return shape_of(one.target) if isinstance(base, np.ndarray) else shape_of(one.expression)


def _without_entries(loop: Loop) -> Block:
    """The body without the copies of what it is handed."""
    before = {one for _, one in loop.carried}
    return [one for one in loop.body if not (isinstance(one, Let) and set(one.names) & before)]


def _is_cheap(one: Let, own: set[str], loop: Loop) -> bool:
    """Whether the value can be read again: an element of what stays as it was."""
    if not isinstance(one.expression, (ast.Subscript, ast.Name, ast.Attribute)):
        return False
    return not (names_in(one.expression) - {loop.index}) & own


def _counts_up(over: ast.expr) -> bool:
    return isinstance(over, ast.Call) and isinstance(over.func, ast.Name) and over.func.id == "range" and len(
        over.args) == 1  # fmt: skip


def _reversed(over: ast.expr) -> ast.expr:
    if isinstance(over, ast.Call) and isinstance(over.func, ast.Name) and over.func.id == "reversed":
        return clone(over.args[0])
    return parsed_with("reversed({})", clone(over))
