"""Arrays that are written as a whole where they stand, though they may be kept under another name: written apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck._mending.outside import Edit
from gradcheck._mending.statement_edits import other_buffers
from gradcheck._mending.syntax import Code, indentation, span

_ATOMS = (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.Constant)


def written_apart(code: Code, statement: ast.stmt) -> Iterator[tuple[Edit, ...]]:
    """A new array in the place of the one that the statement writes into: x = x * y for x *= y, or a copy before it."""
    match statement:
        case ast.AugAssign(target=ast.Name() | ast.Attribute() as target, value=value) if _is_arithmetic(statement):
            sign, _, right = code.between(span(target)[1], span(statement)[1]).partition("=")
            is_bracketed = right.strip() != code.segment(value) or isinstance(value, _ATOMS)
            right = right.strip() if is_bracketed else f"({right.strip()})"
            left = code.segment(target)
            yield (Edit(span(target)[1], span(statement)[1], f" = {left} {sign.strip()} {right}"),)
        case ast.Assign(targets=[ast.Subscript(value=ast.Name() | ast.Attribute() as array, slice=index)]):
            if _is_everything(index):
                yield from _copied(code, statement, array)
        case ast.Expr(value=ast.Call(keywords=keywords)) | ast.Assign(value=ast.Call(keywords=keywords)):
            for one in keywords:
                if one.arg == "out" and isinstance(one.value, (ast.Name, ast.Attribute)):
                    yield from _copied(code, statement, one.value)


def bound_elsewhere(code: Code, statement: ast.stmt) -> Iterator[tuple[Edit, ...]]:
    """Another array to write to for a call that writes over what it reads, though its value gets a name of its own."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(args=args, keywords=keywords)):
            written = [code.segment(one.value) for one in keywords if one.arg == "out"]
            if written and written[0] != name and written[0] in map(code.segment, args):
                yield from other_buffers(code, statement)


def _is_arithmetic(statement: ast.AugAssign) -> bool:
    return isinstance(statement.op, (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.MatMult))


def _is_everything(index: ast.expr) -> bool:
    """Whether it takes all entries: `[:]` or `[...]`."""
    if isinstance(index, ast.Slice):
        return index.lower is index.upper is index.step is None
    return isinstance(index, ast.Constant) and index.value is Ellipsis


def _copied(code: Code, statement: ast.stmt, array: ast.expr) -> Iterator[tuple[Edit, ...]]:
    start, text, indent = span(statement)[0], code.segment(array), indentation(code, statement)
    if indent is not None:
        yield (Edit(start, start, f"{text} = {text}.copy()\n{indent}"),)
