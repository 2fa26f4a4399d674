"""Writes what comes back through an expression to the variables that it was calculated from."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from gradcheck._deriving.composed import composed_of
from gradcheck._deriving.naming import Names
from gradcheck._deriving.rules import parts_of
from gradcheck._deriving.shares import Context, Shares
from gradcheck._deriving.slopes import SOFTMAX
from gradcheck._deriving.statements import (
    Append,
    Block,
    CannotError,
    Let,
    Store,
    clone,
    every,
    is_active,
    known,
    root_of,
    shape_of,
    value_of,
)  # fmt: skip
from gradcheck._deriving.uses import like_of, use_of
from gradcheck._mending.vjp import Cotangent, Operand, full, negated, parsed_with, times

#: characters of an expression that is not written twice
LONG = 24


class Pulling:
    """Writes the backward of expressions; `file` is named in errors."""

    def __init__(
        self, names: Names, values: dict[str, Any], active: set[str], parameters: dict[str, ast.expr], file: str
    ) -> None:
        self.names, self.values, self.active, self.file = names, values, active, file
        self.shares = Shares(names, values.__getitem__, parameters)
        self.line = 0

    def cannot(self, why: str) -> CannotError:
        """The error for the line that is derived now."""
        return CannotError(f"{self.file}:{self.line}: no backward can be written: {why}")

    def push(self, context: Context, node: ast.expr, g: Cotangent, hint: str) -> None:
        """What comes back to an expression goes to what it was calculated from."""
        if not is_active(node):
            return
        if isinstance(node, (ast.Subscript, ast.Name)) or _parameter(node):
            self._element(context, node, g, hint)
            return
        if isinstance(node, (ast.List, ast.Tuple)):
            for k, one in enumerate(node.elts):
                if is_active(one):
                    part = Cotangent(ast.Subscript(clone(g.node), ast.Constant(k), ast.Load()), shape_of(one))
                    self.push(context, one, part, hint)
            return
        if isinstance(node, ast.Dict):
            for key, one in zip(node.keys, node.values, strict=True):
                if key is not None and is_active(one):
                    part = Cotangent(ast.Subscript(clone(g.node), clone(key), ast.Load()), shape_of(one))
                    self.push(context, one, part, hint)
            return
        self._operation(context, node, g, hint)

    def _element(self, context: Context, node: ast.expr, g: Cotangent, hint: str) -> None:
        if self.shares.add(context, node, g):
            return
        assert isinstance(node, ast.Subscript)
        base = node.value
        made = self.names.fresh(f"d{hint}")
        context.out.append(ast.Assign([ast.Name(made, ast.Store())], parsed_with("np.zeros_like({})", clone(base))))
        at = ast.Subscript(ast.Name(made, ast.Load()), clone(node.slice), ast.Store())
        context.out.append(ast.AugAssign(at, ast.Add(), g.node))
        self.push(context, base, Cotangent(ast.Name(made, ast.Load()), shape_of(base)), hint)

    def _operation(self, context: Context, node: ast.expr, g: Cotangent, hint: str) -> None:
        found = composed_of(node, self.values)
        if found is not None:
            inner, slope, y = found
            self._through(context, inner, slope, y if y is not None else self._called(node, hint), g, hint)
            return
        use = use_of(node)
        if use is None:
            raise self.cannot(f"{ast.unparse(node)[:60]} has no rule")
        if use.op == "take_along_axis":
            self._taken_along(context, use.operands, use.argument("axis", 2), g, hint)
            return
        if _needs_name(use.operands):
            g = self.shares.keep(context, f"d{hint}", g)
        try:
            parts = parts_of(use, g)
            if parts is None:
                raise self.cannot(f"{use.op} has no rule: {ast.unparse(node)[:60]}")
            for operand, part in parts:
                self.push(context, operand, part, hint)
        except NotImplementedError:
            raise self.cannot(f"{use.op} has no rule in this form: {ast.unparse(node)[:60]}") from None

    def _taken_along(
        self, context: Context, operands: list[ast.expr], axis: ast.expr | None, g: Cotangent, hint: str
    ) -> None:
        """Entries that were picked: each at its place, zeros elsewhere."""
        x, index = operands[:2]
        if axis is None or value_of(axis) is None:
            raise self.cannot("take_along_axis has no rule without an axis")
        made = self.names.fresh(f"d{root_of(x) or hint}")
        context.out.append(ast.Assign([ast.Name(made, ast.Store())], parsed_with("np.zeros_like({})", clone(x))))
        node = g.node
        put = parsed_with(
            "np.put_along_axis({}, {}, {}, axis={})", ast.Name(made, ast.Load()), clone(index), node, clone(axis)
        )
        context.out.append(ast.Expr(put))
        self.push(context, x, Cotangent(ast.Name(made, ast.Load()), shape_of(x)), hint)

    def _called(self, node: ast.expr, hint: str) -> ast.expr:
        """What the result is called: the variable that it was bound to, else the expression again."""
        value = self.values.get(hint)
        if value is not None and hint in self._results and self._results[hint] is node:
            return ast.Name(hint, ast.Load())
        return clone(node)

    @property
    def _results(self) -> dict[str, ast.expr]:
        found: dict[str, ast.expr] = self.__dict__.setdefault("_results_by_name", {})
        return found

    def results_of(self, block: Block) -> None:
        """Remember which expression each variable is."""
        for one in every(block):
            if isinstance(one, Let) and len(one.names) == 1:
                self._results[one.names[0]] = one.expression
            if isinstance(one, (Store, Append)):
                base = root_of(one.target) if isinstance(one, Store) else one.name
                if base is not None:
                    self._filled.add(base)
            if isinstance(one, Let) and isinstance(one.expression, (ast.Dict, ast.List)):
                self._filled.update(one.names)

    def _through(self, context: Context, inner: ast.expr, slope: str, y: ast.expr, g: Cotangent, hint: str) -> None:
        shape = shape_of(inner)
        if not isinstance(y, ast.Name) and len(ast.unparse(y)) > LONG:
            y = self.shares.keep(context, "y", Cotangent(y, shape)).node
        if slope.startswith(SOFTMAX):
            axis = slope.removeprefix(SOFTMAX).strip()
            g = self.shares.keep(context, f"d{hint}", full(g, shape, like_of(inner)))
            text = f"{{}} * ({{}} - ({{}} * {{}}).sum(axis={axis}, keepdims=True))"
            back = Cotangent(parsed_with(text, clone(y), clone(g.node), clone(g.node), clone(y)), shape)
        elif slope == "y * (1 - y)":
            first = times(g, Operand(clone(y), shape))
            back = times(first, Operand(parsed_with("1 - {}", clone(y)), shape))
        else:
            back = times(g, Operand(parsed_with(slope.replace("y", "{}"), clone(y)), shape))
        use = use_of(inner)
        if use is None and not isinstance(inner, (ast.Name, ast.Subscript)):
            raise self.cannot(f"{ast.unparse(inner)[:60]} has no rule")
        if use is not None and _needs_name(use.operands):
            back = self.shares.keep(context, f"dz_{hint}", back)
        self.push(context, inner, back, f"z_{hint}" if not hint.startswith("z_") else hint)

    def _likelihood(self, context: Context, name: str, expression: ast.expr) -> bool:
        """The logarithm of one probability a row: the probabilities, less one at its place, each times a number."""
        found = self.shares.logarithm_of_one(context, name)
        composed = composed_of(expression, self.values) if found is not None else None
        if found is None or composed is None or not composed[1].startswith(SOFTMAX):
            return False
        index, factor = found
        axis = int(composed[1].removeprefix(SOFTMAX))
        ones = np.zeros(self.shares.shape(name))
        np.add.at(ones, _values_of(index), 1.0)
        if not np.all(ones.sum(axis=axis) == 1):
            return False
        made = self.names.fresh(f"dz_{name}")
        scaled = times(negated(factor), Operand(ast.Name(name, ast.Load()), self.shares.shape(name)))
        whole = _over_last(scaled.node)
        context.out.append(ast.Assign([ast.Name(made, ast.Store())], whole))
        at = ast.Subscript(ast.Name(made, ast.Load()), clone(index), ast.Store())
        context.out.append(ast.AugAssign(at, ast.Sub(), negated(factor).node))
        inner = composed[0]
        self.push(context, inner, Cotangent(ast.Name(made, ast.Load()), shape_of(inner)), f"z_{name}")
        return True

    @property
    def _filled(self) -> set[str]:
        found: set[str] = self.__dict__.setdefault("_filled_names", set())
        return found


def _parameter(node: ast.expr) -> bool:
    info = known(node)
    return info is not None and info.parameter is not None


def _needs_name(operands: list[ast.expr]) -> bool:
    """Whether what comes back is written more than once."""
    return sum(is_active(one) for one in operands) > 1


def _values_of(index: ast.expr) -> Any:
    """The value of what stands between brackets."""
    if isinstance(index, ast.Tuple):
        return tuple(_values_of(one) for one in index.elts)
    if isinstance(index, ast.Slice):
        return slice(*(None if one is None else value_of(one) for one in (index.lower, index.upper, index.step)))
    return value_of(index)


def _over_last(node: ast.expr) -> ast.expr:
    """1 / n * p as p / n."""
    match node:
        case ast.BinOp(left=ast.BinOp(left=ast.Constant(value=1), op=ast.Div(), right=n), op=ast.Mult(), right=p):
            return ast.BinOp(p, ast.Div(), n)
        case ast.Name():
            return parsed_with("{}.copy()", node)
    return node
