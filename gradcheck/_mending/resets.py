"""Statements of a loop that set what the loop carries to nothing, left out: at some steps it is lost so."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck._mending.outside import Edit
from gradcheck._mending.statement_edits import left_out
from gradcheck._mending.syntax import Code, is_zeros, names_in


def reset_left_out(code: Code, statement: ast.stmt) -> Iterator[tuple[Edit, ...]]:
    """The statement left out, if it sets a variable to zero in a loop before which that is bound as well."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if is_zeros(value) or _is_zero(value):
            loop = next(code.loops_around(statement), None)
            function = None if loop is None else code.function(loop)
            if loop is not None and function is not None and _is_bound_before(name, loop, function):
                yield from left_out(statement)


def _is_zero(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and type(value.value) in (int, float) and not value.value


def _is_bound_before(name: str, loop: ast.stmt, function: ast.AST) -> bool:
    bound = (node for node in ast.walk(function) if isinstance(node, ast.Assign) and node.lineno < loop.lineno)
    return any(name in names_in(target) for node in bound for target in node.targets)
