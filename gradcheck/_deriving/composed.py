"""Activations that are written out: an expression whose slope follows from its result, in one operand of its own."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from gradcheck._deriving.slopes import slope_of
from gradcheck._deriving.statements import clone, is_active, known, operands, shape_of, value_of

#: the operand, the slope, and the result if it is called something
Found = tuple[ast.expr, str, ast.expr | None]


def composed_of(node: ast.expr, values: dict[str, Any]) -> Found | None:
    """The innermost operand that the slope is told by; None if it is no activation."""
    info = known(node)
    if info is None or not isinstance(info.value, np.ndarray):
        return None
    if info.slope is not None:
        assert isinstance(node, ast.Call)
        return node.args[0], info.slope, None
    if not isinstance(node, (ast.BinOp, ast.Call)) or not _has_call(node):
        return None
    for inner in reversed(_same_shaped(node)):
        slope = slope_of(lambda u, inner=inner: _evaluated(node, inner, u, values), value_of(inner))  # type: ignore[misc]
        if slope is not None:
            return inner, slope, None
    return None


def _has_call(node: ast.expr) -> bool:
    return any(isinstance(one, ast.Call) and is_active(one) for one in ast.walk(node))


def _same_shaped(node: ast.expr) -> list[ast.expr]:
    """The operands below that all derivatives go through, of the same shape; the innermost last."""
    found: list[ast.expr] = []
    while True:
        below = [one for one in operands(node) if is_active(one)]
        texts = {ast.dump(one) for one in below}
        if len(texts) != 1:
            inner = _shared(below)
            if inner is None:
                return found
            below = [inner]
        node = below[0]
        if shape_of(node) == shape_of(below[0]) and isinstance(value_of(node), np.ndarray):
            found.append(node)
        if isinstance(node, (ast.Name, ast.Subscript)) or not list(operands(node)):
            return [one for one in found if shape_of(one) == shape_of(found[0])]


def _shared(nodes: list[ast.expr]) -> ast.expr | None:
    """The one variable that several operands depend on."""
    leaves: dict[str, ast.expr] = {}
    waiting = list(nodes)
    while waiting:
        one = waiting.pop()
        if isinstance(one, (ast.Name, ast.Subscript)):
            leaves[ast.dump(one)] = one
        else:
            waiting += [below for below in operands(one) if is_active(below)]
    return next(iter(leaves.values())) if len(leaves) == 1 else None


def _evaluated(node: ast.expr, inner: ast.expr, u: Any, values: dict[str, Any]) -> Any:
    """The value of an expression with another one in the place of an operand, wherever that is written."""
    text = ast.dump(inner)

    class Replaced(ast.NodeTransformer):
        def visit(self, one: ast.AST) -> Any:
            if isinstance(one, ast.expr) and ast.dump(one) == text:
                return ast.Name("_gradcheck_u", ast.Load())
            return self.generic_visit(one)

    tree = ast.Expression(ast.fix_missing_locations(Replaced().visit(clone(node))))
    space = _names_of(node, values) | {"_gradcheck_u": u}
    return eval(compile(tree, "<derived>", "eval"), space)


def _names_of(node: ast.expr, values: dict[str, Any]) -> dict[str, Any]:
    """The values at the first execution of the names in it."""
    found = dict(values)
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and known(one) is not None:
            found[one.id] = value_of(one)
    return found
