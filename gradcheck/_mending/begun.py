"""A term where its variable is begun, in the place of a statement more that adds it further down."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from gradcheck._mending.gaps import Function, blocks_of
from gradcheck._mending.outside import Edit
from gradcheck._mending.syntax import is_zeros, parsed, span
from gradcheck._usercode.sums import going_on

#: expressions behind which a term can be written as it is
_SUMMANDS = (ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Attribute, ast.Subscript, ast.Constant)
#: operators that bind less than a sum does
_LOOSE = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.LShift, ast.RShift)


class Begun(NamedTuple):
    """A statement that gives a variable its value, and the edit that adds a term to it."""

    bound: ast.Assign
    edit: Edit


def begun_with(name: str, sign: str, term: str, above: Sequence[ast.stmt]) -> Begun | None:
    """A term added in the first of the statements above that gives the variable its value.

    None where none of them does, or not in a form behind which a term can be written.

    Args:
        name: The variable.
        sign: "+" or "-".
        term: What is added or subtracted, as it is to be written, on one line.
        above: Statements of one block.
    """
    bound = _first_binding(name, above)
    if bound is None or not _binds(bound.value) or "\n" in term:
        return None
    tree, (start, end) = parsed(term), span(bound.value)
    if is_zeros(bound.value) and sign == "+" and isinstance(tree, (ast.BinOp, ast.Call)):  # a name is another's memory
        return Begun(bound, Edit(start, end, term))
    binds = _binds(tree, but=(ast.Add, ast.Sub) if sign == "-" else ())
    return Begun(bound, Edit(end, end, f" {sign} {term}" if binds else f" {sign} ({term})"))


def added_where_begun(functions: Sequence[Function], edit: Edit) -> Edit | None:
    """The edit that adds in the first statement of its block what an inserted statement adds.

    None where the inserted statement adds nothing to a variable, or none of its block above gives it a value.

    Args:
        functions: Where it may stand.
        edit: Inserts one statement on lines of its own.
    """
    text = textwrap.dedent(edit.text)
    body = ast.parse(text).body
    told = going_on(body[0]) if len(body) == 1 else None
    if told is None or told.operand == 1 or not isinstance(told.target, ast.Name):
        return None
    for function in functions:
        for block, _, _ in blocks_of(function, set()):
            above = [one for one in block if (one.end_lineno or 0) < edit.start[0] or span(one)[1] <= edit.start]
            if above and _stands_behind(edit, above[-1]):
                begun = begun_with(told.target.id, told.sign, ast.get_source_segment(text, told.term) or "", above)
                if begun is not None:
                    return begun.edit
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


def _binds(term: ast.expr, but: tuple[type[ast.operator], ...] = ()) -> bool:
    """Whether it stays together behind a sign, as all that binds as a sum does, but for these operators."""
    return isinstance(term, _SUMMANDS) and not (isinstance(term, ast.BinOp) and isinstance(term.op, (*_LOOSE, *but)))
