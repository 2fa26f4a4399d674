"""A term where its variable is begun, in the place of a statement more that adds it further down."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Sequence

from gradcheck._mending.gaps import Function, blocks_of
from gradcheck._mending.outside import Edit
from gradcheck._mending.syntax import span

#: expressions behind which a term can be written as it is
_SUMMANDS = (ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Attribute, ast.Subscript, ast.Constant)
#: operators that bind less than a sum does
_LOOSE = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.LShift, ast.RShift)


def added_where_begun(functions: Sequence[Function], edit: Edit) -> Edit | None:
    """The edit that adds the same in the first statement of the block that gives the variable its value.

    None where the inserted statement adds nothing to a variable, or none of its block above gives it a value.

    Args:
        functions: Where it may stand.
        edit: Inserts one statement on lines of its own.
    """
    told = _added(textwrap.dedent(edit.text))
    if told is None:
        return None
    name, sign, term = told
    for function in functions:
        for block, _, _ in blocks_of(function, set()):
            above = [one for one in block if (one.end_lineno or 0) < edit.start[0] or span(one)[1] <= edit.start]
            if not above or not _stands_behind(edit, above[-1]):
                continue
            begun = _first_binding(name, above)
            if begun is not None and _binds(begun.value):
                end = span(begun.value)[1]
                return Edit(end, end, f" {sign} {term}")
    return None


def _stands_behind(edit: Edit, statement: ast.stmt) -> bool:
    """Whether what is inserted follows a statement in its block."""
    line = next(line for line in edit.text.split("\n") if line.strip())
    is_next = edit.start[0] - (statement.end_lineno or 0) <= 1
    return is_next and len(line) - len(line.lstrip()) == statement.col_offset


def _first_binding(name: str, block: Sequence[ast.stmt]) -> ast.Assign | None:
    for statement in block:
        match statement:
            case ast.Assign(targets=[ast.Name(id=target)]) if target == name:
                return statement
    return None


def _added(text: str) -> tuple[str, str, str] | None:
    """The variable, the sign and the term, of `x = x + term` or `x += term`."""
    match ast.parse(text).body:
        case [ast.Assign(targets=[ast.Name(id=name)], value=ast.BinOp(left=ast.Name(id=same), op=op, right=term))]:
            is_sum = name == same
        case [ast.AugAssign(target=ast.Name(id=name), op=op, value=term)]:
            is_sum = True
        case _:
            return None
    written = ast.get_source_segment(text, term) or ""
    if not _binds(term) or (isinstance(op, ast.Sub) and not _binds(term, but=(ast.Add, ast.Sub))):
        written = f"({written})"
    sign = "+" if isinstance(op, ast.Add) else "-" if isinstance(op, ast.Sub) else ""
    return (name, sign, written) if is_sum and sign and "\n" not in written else None


def _binds(term: ast.expr, but: tuple[type[ast.operator], ...] = ()) -> bool:
    """Whether it stays together behind a sign, as all that binds as a sum does, but for these operators."""
    return isinstance(term, _SUMMANDS) and not (isinstance(term, ast.BinOp) and isinstance(term.op, (*_LOOSE, *but)))
