"""A variable that is bound anew before anybody has read it: what it held is added to the new value."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck._mending.misnamed import side_by_side
from gradcheck._mending.outside import Edit
from gradcheck._mending.statement_edits import with_sign
from gradcheck._mending.syntax import Code, binary, is_zeros


def kept_beside(code: Code, statement: ast.stmt) -> Iterator[tuple[Edit, ...]]:
    """``x = x + y`` for ``x = y``, where a statement before it in the block binds `x` and none between reads it."""
    match statement:
        case ast.Assign(targets=[ast.Name() | ast.Attribute() as target], value=value):
            name = ast.unparse(target)
            if not _reads(value, name) and _is_bound_in_vain(name, _before(code, statement)):
                yield (code.replaced(value, binary(target, ast.Add(), value)),)


def added_up(code: Code, statement: ast.stmt) -> Iterator[tuple[Edit, ...]]:
    """``x += y`` for ``x = y`` in a loop, where zeros are bound to `x` before it that nobody reads."""
    loop = next(code.loops_around(statement), None)
    match statement:
        case ast.Assign(targets=[ast.Name(id=name) as target], value=value) if loop is not None:
            others = [one for one in ast.walk(loop) if isinstance(one, ast.expr) and one is not target]
            if not any(_reads(one, name) for one in others) and _begins_with_zeros(name, _before(code, loop)):
                yield (with_sign(code, target, "+=", value),)


def _begins_with_zeros(name: str, before: list[ast.stmt]) -> bool:
    for one in before:
        match one:
            case ast.Assign(targets=[target], value=value):
                bound = next((value for each, value in side_by_side(target, value) if each.id == name), None)
                if bound is not None:
                    return is_zeros(bound)
        if _reads(one, name):
            return False
    return False


def _before(code: Code, statement: ast.stmt) -> list[ast.stmt]:
    """The statements before it in its block, the last one first."""
    around = code.parent(statement)
    blocks = [getattr(around, field, None) for field in ("body", "orelse", "finalbody")]
    block = next((one for one in blocks if isinstance(one, list) and statement in one), [])
    return block[: block.index(statement)][::-1] if block else []


def _is_bound_in_vain(name: str, before: list[ast.stmt]) -> bool:
    for one in before:
        match one:
            case ast.Assign(targets=[target]) | ast.AugAssign(target=target) if ast.unparse(target) == name:
                return True
        if _reads(one, name):
            return False
    return False


def _reads(tree: ast.AST, name: str) -> bool:
    """Whether a variable is read or bound there."""
    parts = (node for node in ast.walk(tree) if isinstance(node, (ast.Name, ast.Attribute)))
    return any(ast.unparse(node) == name for node in parts)
