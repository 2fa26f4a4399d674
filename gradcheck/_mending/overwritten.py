"""Arrays that are written as a whole where they stand, though they may be kept under another name: written apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck._mending.outside import Edit
from gradcheck._mending.syntax import Code, span


def written_apart(code: Code, statement: ast.stmt) -> Iterator[tuple[Edit, ...]]:
    """A new array in the place of the one that the statement writes into: x = x * y for x *= y, or a copy before it."""
    match statement:
        case ast.AugAssign(target=ast.Name() | ast.Attribute() as target, value=value) if _is_arithmetic(statement):
            sign = code.between(span(target)[1], span(value)[0]).strip().removesuffix("=")
            right = code.segment(value)
            right = f"({right})" if isinstance(value, (ast.BinOp, ast.IfExp, ast.Compare, ast.Lambda)) else right
            left = code.segment(target)
            yield (Edit(span(target)[1], span(statement)[1], f" = {left} {sign} {right}"),)
        case ast.Assign(targets=[ast.Subscript(value=ast.Name() | ast.Attribute() as array, slice=index)]):
            if _is_everything(index):
                yield (_copied(code, statement, array),)
        case ast.Expr(value=ast.Call(keywords=keywords)) | ast.Assign(value=ast.Call(keywords=keywords)):
            for one in keywords:
                if one.arg == "out" and isinstance(one.value, (ast.Name, ast.Attribute)):
                    yield (_copied(code, statement, one.value),)


def _is_arithmetic(statement: ast.AugAssign) -> bool:
    return isinstance(statement.op, (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.MatMult))


def _is_everything(index: ast.expr) -> bool:
    """Whether it takes all entries: `[:]` or `[...]`."""
    if isinstance(index, ast.Slice):
        return index.lower is index.upper is index.step is None
    return isinstance(index, ast.Constant) and index.value is Ellipsis


def _copied(code: Code, statement: ast.stmt, array: ast.expr) -> Edit:
    start, text = span(statement)[0], code.segment(array)
    return Edit(start, start, f"{text} = {text}.copy()\n{' ' * statement.col_offset}")
