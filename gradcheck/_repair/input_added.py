"""What a layer is handed added to what it hands back, in the place of an edit of whoever calls it.

A residual layer adds its input to what it calculates. On the way back that is its own to do as well: a caller could
make up for it, and the layer would stay wrong for all others.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress

from gradcheck._common.errors import TargetError
from gradcheck._localising.unchanged import ALIKE
from gradcheck._mending.gaps import Function
from gradcheck._mending.syntax import Code, binary
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.where_bound import Instead, replacements, statement_of, takes
from gradcheck._repair.wrong_values import Taped
from gradcheck._tape import Statement
from gradcheck._usercode.patching import RebindError


def add_inputs(found: Found, taped: Taped) -> None:
    """Take an edit of what a layer returns for that of its caller, where as much is right with it.

    Args:
        found: What is found.
        taped: Puts edits in place, and gives a run with them.
    """
    for fault in list(found.faults):
        line = _line_of_call(found, fault)
        if line is not None:
            any(takes(found, taped, [fault], instead) for instead in _returned_with_input(found, taped, fault, line))


def _line_of_call(found: Found, fault: Mended) -> int | None:
    """The line of a call whose only edit, there or where it is read, adds to what it gives what it was handed."""
    source = found.sources.get(fault.statement.file)
    if source is None or fault.line is None or len(fault.edits) != 1:
        return None
    code = Code.of(source.text)
    statement = statement_of(code.tree, fault.line)
    if fault.edits[0].text.strip() == "+=":
        match statement:
            case ast.Assign(targets=[target], value=ast.Call(args=args)) if _is_among(target, args):
                return fault.line
    for _, (old, new) in replacements(found, fault):
        match old, new:
            case ast.Name(id=name), ast.BinOp(left=ast.Name(id=left), op=ast.Add(), right=ast.Name(id=right)):
                added = right if left == name else left
                return _line_of_binding(code, statement, name, added)
    return None


def _is_among(one: ast.expr, others: list[ast.expr]) -> bool:
    return any(ast.unparse(one) == ast.unparse(other) for other in others)


def _line_of_binding(code: Code, statement: ast.stmt | None, name: str, handed: str) -> int | None:
    """The line that binds the name to what a call gives that is handed the other."""
    function = None if statement is None else code.function(statement)
    for node in ast.walk(function) if function is not None else ():
        match node:
            case ast.Assign(targets=[target], value=ast.Call(args=args)):
                bound = target.elts if isinstance(target, ast.Tuple) else [target]
                if _is_among(ast.Name(name), bound) and _is_among(ast.Name(handed), args):
                    return node.lineno
    return None


def _returned_with_input(found: Found, taped: Taped, fault: Mended, line: int) -> list[Instead]:
    """What the call at a line returns with what it was handed, if that is how the layer calculates."""
    at = fault.statement.file, line
    with suppress(TargetError, SyntaxError, RebindError), taped(found.before_edits()) as run:
        calls = ((node, node.call.place) for node in run.backward if node.call is not None)
        inside = (node for node, caller in calls if (caller.file, caller.line) == at)
        returned = dict.fromkeys(node.place.statement for node in inside if node.place is not None)
        return [told for one in returned if one.kind == "Return" for told in _with_input(one)]
    return []


def _with_input(statement: Statement) -> Iterator[Instead]:
    code = Code.of(statement.source.text)
    match code.statement(statement.line, statement.kind):
        case ast.Return(value=ast.expr() as value) as tree:
            function = code.function(tree)
            if isinstance(function, Function) and any(map(adds_its_input, _beside(code, function))):
                given = value.elts[:1] if isinstance(value, ast.Tuple) else [value]
                for one, name in [(one, of.arg) for one in given for of in function.args.args]:
                    edit = code.replaced(one, binary(one, ast.Add(), ast.Name(name, ast.Load())))
                    yield Instead(statement.file, statement.line, statement.kind, statement.text, edit)


def _beside(code: Code, function: ast.AST) -> Iterator[Function]:
    """The other methods of its class, or functions of the file whose names begin alike."""
    around = code.parent(function)
    others = [one for one in getattr(around, "body", []) if isinstance(one, Function) and one is not function]
    is_method = isinstance(around, ast.ClassDef)
    yield from (one for one in others if is_method or one.name[:ALIKE] == getattr(function, "name", "")[:ALIKE])


def adds_its_input(function: Function) -> bool:
    """Whether a function adds something to one of its arguments."""
    inputs = {one.arg for one in function.args.args}
    sums = (node for node in ast.walk(function) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add))
    return any(isinstance(one, ast.Name) and one.id in inputs for node in sums for one in (node.left, node.right))
