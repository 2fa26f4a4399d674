"""The forward that was read, as Python."""

from __future__ import annotations

import ast

from gradcheck._deriving.statements import Append, Block, Branch, Do, Let, Loop, Statement, Store


def as_python(block: Block) -> list[ast.stmt]:
    """The statements as Python's own."""
    return [_statement(one) for one in block]


def _statement(one: Statement) -> ast.stmt:
    made: ast.stmt
    match one:
        case Let():
            targets: list[ast.expr] = [ast.Name(name, ast.Store()) for name in one.names]
            target = targets[0] if len(targets) == 1 else ast.Tuple(targets, ast.Store())
            made = ast.Assign([target], one.expression)
        case Store(at=True):
            made = ast.Expr(
                ast.Call(ast.parse("np.add.at", mode="eval").body,
                         [one.target.value, one.target.slice, one.expression], [])
            )  # fmt: skip
        case Store():
            written = ast.Subscript(one.target.value, one.target.slice, ast.Store())
            made = (
                ast.Assign([written], one.expression)
                if one.operator is None
                else ast.AugAssign(written, one.operator, one.expression)
            )
        case Append():
            made = ast.Expr(
                ast.Call(ast.Attribute(ast.Name(one.name, ast.Load()), "append", ast.Load()), [one.expression], [])
            )
        case Do():
            made = one.statement
        case Loop():
            made = ast.For(ast.Name(one.index, ast.Store()), one.over, as_python(one.body) or [ast.Pass()], [])
        case Branch():
            made = ast.If(one.test, as_python(one.body) or [ast.Pass()], as_python(one.otherwise))
    return ast.fix_missing_locations(made)
