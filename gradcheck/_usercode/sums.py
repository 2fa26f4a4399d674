"""Sums that go on: what a statement adds to the variable that it binds."""

from __future__ import annotations

import ast
from typing import NamedTuple


class GoingOn(NamedTuple):
    """A term that a statement adds to what a variable holds, or subtracts from it."""

    #: the variable, item or attribute
    target: ast.expr
    #: "+" or "-"
    sign: str
    term: ast.expr
    #: which operand of a sum that is bound anew is the variable; None where it is changed in place (`x += y`)
    operand: int | None


def going_on(tree: ast.stmt) -> GoingOn | None:
    """What a statement adds: of `x += y`, `x = x + y`, `x = y + x`, `x -= y` and `x = x - y` the y; None of others."""
    match tree:
        case ast.AugAssign(target=target, op=ast.Add() | ast.Sub() as op, value=value):
            return GoingOn(target, _sign(op), value, None)
        case ast.Assign(targets=[target], value=ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right)):
            if ast.unparse(left) == ast.unparse(target):
                return GoingOn(target, _sign(op), right, 0)
            if isinstance(op, ast.Add) and ast.unparse(right) == ast.unparse(target):
                return GoingOn(target, _sign(op), left, 1)
    return None


def _sign(op: ast.Add | ast.Sub) -> str:
    return "+" if isinstance(op, ast.Add) else "-"
