"""Operations in expressions: what each is called, and its operands."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck._deriving.statements import clone, shape_of, value_of
from gradcheck._mending.vjp import Cotangent, full

OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.MatMult: "matmul",
    ast.Pow: "power",
}  # fmt: skip


@dataclass
class Use:
    """An operation: its name, its operands, what else it was given; `whole` is the expression itself."""

    op: str
    operands: list[ast.expr]
    keywords: dict[str, ast.expr]
    whole: ast.expr

    @property
    def like(self) -> ast.expr:
        """An expression of the shape of the result: a variable, if there is one in it."""
        return like_of(self.whole)

    def filled(self, g: Cotangent) -> Cotangent:
        """A cotangent of the result with an entry for each of it."""
        return full(g, shape_of(self.whole), self.like)

    def argument(self, name: str, position: int) -> ast.expr | None:
        """An argument by its name or its position."""
        if name in self.keywords:
            return self.keywords[name]
        return self.operands[position] if len(self.operands) > position else None

    def constant(self, name: str, position: int, default: Any = None) -> Any:
        """The value of one."""
        found = self.argument(name, position)
        return default if found is None else value_of(found)


def use_of(node: ast.expr) -> Use | None:
    """The operation of an expression, None if it is none that has a rule."""
    match node:
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return Use(OPERATORS[type(op)], [left, right], {}, node)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Use("negative", [operand], {}, node)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return Use("positive", [operand], {}, node)
        case ast.Attribute(value=value, attr="T"):
            return Use("transpose", [value], {}, node)
        case ast.Attribute(value=value, attr="real"):
            return Use("real", [value], {}, node)
        case ast.Call(func=func, args=args, keywords=keywords):
            named = {one.arg: one.value for one in keywords if one.arg is not None}
            if isinstance(func, ast.Attribute) and isinstance(value_of(func.value), (np.ndarray, np.generic, float)):
                return Use(func.attr, [func.value, *args], named, node)
            name = getattr(value_of(func), "__name__", None)
            if value_of(func) is sum:
                name = "sum of elements"
            return None if name is None else Use(str(name), list(args), named, node)
    return None


def like_of(node: ast.expr) -> ast.expr:
    """An expression with the same shape: a variable, if there is one in it."""
    shape = shape_of(node)
    for one in ast.walk(node):
        value = value_of(one) if isinstance(one, ast.Name) else None
        if isinstance(one, ast.Name) and isinstance(value, np.ndarray) and value.dtype.kind == "f" and (
            value.shape == shape
        ):  # fmt: skip
            return clone(one)
    return clone(node)
