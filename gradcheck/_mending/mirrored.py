"""The derivative of a difference of neighbours has two ends: x[1:] - x[:-1] adds to one and takes from the other."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck._mending.outside import Edit
from gradcheck._mending.syntax import Code, indentation, index_parts, span


def other_end(code: Code, statement: ast.stmt) -> Iterator[tuple[Edit, ...]]:
    """The same taken from the other end, in a statement more: `dx[:-1] -= d` beside `dx[1:] += d`."""
    match statement:
        case ast.AugAssign(target=ast.Subscript() as target, op=ast.Add() | ast.Sub() as op, value=value):
            sign = "-=" if isinstance(op, ast.Add) else "+="
        case _:
            return
    end, indent = span(statement)[1], indentation(code, statement)
    for index in _mirrored(target.slice) if indent is not None else ():
        where = ast.unparse(ast.Subscript(target.value, index, ast.Load()))
        yield (Edit(end, end, f"\n{indent}{where} {sign} {ast.unparse(value)}"),)


def _mirrored(index: ast.expr) -> Iterator[ast.expr]:
    """Indices with one slice turned round: what leaves the first out for what leaves the last out."""
    parts = index_parts(index)
    for number, part in enumerate(parts):
        turned = _turned(part)
        if turned is not None:
            others = [*parts[:number], turned, *parts[number + 1 :]]
            yield ast.Tuple(others, ast.Load()) if isinstance(index, ast.Tuple) else turned


def _turned(part: ast.expr) -> ast.Slice | None:
    match part:
        case ast.Slice(lower=ast.Constant(value=int() as count), upper=None, step=None) if count > 0:
            return ast.Slice(None, ast.UnaryOp(ast.USub(), ast.Constant(count)), None)
        case ast.Slice(
            lower=None, upper=ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as count)), step=None
        ) if count > 0:
            return ast.Slice(ast.Constant(count), None, None)
    return None
