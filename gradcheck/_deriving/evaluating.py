"""Copies of expressions to be evaluated or written again."""

from __future__ import annotations

import ast
from typing import Any

from gradcheck._deriving.statements import clone, known, value_of


def slice_of(node: ast.Slice) -> slice:
    """The slice that it is."""
    return slice(*(None if one is None else value_of(one) for one in (node.lower, node.upper, node.step)))


def bare(node: ast.AST) -> Any:
    """A copy without what is known of it."""
    copied = clone(node)  # type: ignore[arg-type]
    for one in ast.walk(copied):
        if known(one) is not None:
            del one.info  # type: ignore[attr-defined]
    return copied


def with_values(node: ast.AST, values: dict[str, Any], *, is_root: bool) -> Any:
    """A copy in which names stand for the operands whose values are known."""
    info = known(node)
    if info is not None and not is_root and isinstance(node, ast.expr):
        name = f"_gradcheck_{len(values)}"
        values[name] = info.value
        return ast.Name(name, ast.Load())
    fields: dict[str, Any] = {}
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            fields[name] = with_values(value, values, is_root=False)
        elif isinstance(value, list):
            fields[name] = [
                with_values(one, values, is_root=False) if isinstance(one, ast.AST) else one for one in value
            ]
        else:
            fields[name] = value
    return type(node)(**fields)
