"""One array in several places, where each should have its own: what is added to one of them shows in all.

``[np.zeros(n)] * T``, ``dict.fromkeys(names, np.zeros(n))``, ``dh = dc = np.zeros(n)``, ``dc = dh`` before ``dh += d``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck._mending.outside import Edit
from gradcheck._mending.statement_edits import with_sign
from gradcheck._mending.syntax import Code, indentation, span
from gradcheck._usercode.sums import going_on

_NAMED = (ast.Name, ast.Attribute, ast.Subscript)


def made_for_each(code: Code, statement: ast.stmt) -> Iterator[tuple[Edit, ...]]:
    """An array of its own for each place that the statement puts one into."""
    if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Return)) and statement.value is not None:
        for node in ast.walk(statement.value):
            yield from ((Edit(*span(node), text),) for text in _made_in_rounds(code, node))
    match statement:
        case ast.Assign(targets=[_, _, *_] as targets, value=value):
            yield from _apart(code, statement, targets, value)


def copied(code: Code, statement: ast.stmt) -> Iterator[tuple[Edit, ...]]:
    """A copy where what has a name gets one more, and the function writes into it under one of the two."""
    match statement:
        case ast.Assign(targets=[target], value=ast.Name() | ast.Attribute() | ast.Subscript() as value):
            if _is_written(code, statement, target) or _is_written(code, statement, value):
                yield (Edit(*span(value), _own(code, value)),)


def written_into(code: Code, statement: ast.stmt) -> Iterator[tuple[Edit, ...]]:
    """``g["W"] += x`` for ``g["W"] = g["W"] + x``, which leaves the array as it is that is a part of another."""
    told = going_on(statement)
    if told is not None and told.operand == 0 and isinstance(told.target, (ast.Subscript, ast.Attribute)):
        yield (with_sign(code, told.target, f"{told.sign}=", told.term),)


def _made_in_rounds(code: Code, node: ast.AST) -> Iterator[str]:
    """A list, or a dict, of one array as a comprehension that makes it in each round."""
    match node:
        case (
            ast.BinOp(left=ast.List(elts=[one]), op=ast.Mult(), right=count)
            | ast.BinOp(left=count, op=ast.Mult(), right=ast.List(elts=[one]))
        ) if not isinstance(one, ast.Constant):
            yield f"[{_own(code, one)} for _ in range({code.segment(count)})]"
        case ast.Call(func=ast.Attribute(value=ast.Name(id="dict"), attr="fromkeys"), args=[keys, one]):
            yield f"{{key: {_own(code, one)} for key in {code.segment(keys)}}}"


def _own(code: Code, node: ast.expr) -> str:
    """What makes it anew each time."""
    return f"{code.segment(node)}.copy()" if isinstance(node, _NAMED) else code.segment(node)


def _apart(code: Code, statement: ast.stmt, targets: list[ast.expr], value: ast.expr) -> Iterator[tuple[Edit, ...]]:
    """The same bound to each of several targets, one after the other."""
    indent = indentation(code, statement)
    if indent is not None and not isinstance(value, ast.Constant):
        bound = (f"{code.segment(one)} = {_own(code, value)}" for one in targets)
        yield (Edit(*span(statement), f"\n{indent}".join(bound)),)


def _is_written(code: Code, statement: ast.stmt, target: ast.expr) -> bool:
    """Whether the function around writes into what goes by that name, in place."""
    function, text = code.function(statement), ast.unparse(target)
    for node in ast.walk(function) if function is not None else ():
        match node:
            case ast.AugAssign(target=written) if ast.unparse(_whole(written)) == text:
                return True
            case ast.Assign(targets=[ast.Subscript(value=owner)]) if ast.unparse(owner) == text:
                return True
            case ast.keyword(arg="out", value=written) if ast.unparse(written) == text:
                return True
    return False


def _whole(written: ast.expr) -> ast.expr:
    """The array of which an item is written."""
    return written.value if isinstance(written, ast.Subscript) else written
