"""Edits beside a statement that spoils derivatives: where its function is called, and of a clip that it is.

Where a parameter reads better under the name of another one, the two may have been exchanged by who calls: one edit
there mends what else reads them. A clip gives what it reads, cut off: no other derivative is to be expected of it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from gradcheck._mending.syntax import Code, span
from gradcheck._tape import CLIPS, Place, Statement, TapedRun
from gradcheck._usercode.source import Edit

Edits = tuple[Edit, ...]


def exchanges_by_callers(
    run: TapedRun, statement: Statement, edits: Sequence[Edits]
) -> Iterator[tuple[Statement, Edits]]:
    """Where one of the edits puts a parameter in the place of another: the arguments exchanged where they are given."""
    code = Code.of(statement.source.text)
    tree = code.statement(statement.line, statement.kind)
    function = None if tree is None else code.function(tree)
    if function is None:
        return
    names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    pairs = sorted({pair for more in edits if (pair := _exchanged(code, more, names)) is not None})
    for place in calls_of(run, statement) if pairs else ():
        for pair in pairs if place.file == statement.file else ():
            edit = _with_arguments_exchanged(place, [names.index(name) for name in pair])
            if edit is not None:
                yield place.statement, (edit,)


def _exchanged(code: Code, edits: Edits, names: Sequence[str]) -> tuple[str, str] | None:
    """The two parameters, one of which an edit puts in the place of the other."""
    if len(edits) != 1:
        return None
    was, now = code.between(edits[0].start, edits[0].end).strip(), edits[0].text.strip()
    return (min(was, now), max(was, now)) if was != now and {was, now} <= {*names} else None


def calls_of(run: TapedRun, statement: Statement) -> list[Place]:
    """Where the function around a statement was called from, each place once."""
    inside = (node.call for node in run.nodes if node.place is not None and node.place.statement is statement)
    return list({id(call.place): call.place for call in inside if call is not None}.values())


def argument_of(call: ast.Call, number: int) -> ast.expr | None:
    """What is given for a parameter by its place; a method is handed its object besides."""
    number -= isinstance(call.func, ast.Attribute)
    return call.args[number] if 0 <= number < len(call.args) else None


def call_at(place: Place) -> ast.Call | None:
    """The call that stands at a place, as it is written."""
    code = Code.of(place.statement.source.text)
    tree = code.statement(place.statement.line, place.statement.kind)
    where = (place.line, place.column), (place.end_line, place.end_column)
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call)) if tree is not None else iter(())
    return next((node for node in calls if span(node) == where), None)


def _with_arguments_exchanged(place: Place, parameters: Sequence[int]) -> Edit | None:
    """The call with the arguments of two parameters exchanged; a method is handed its object besides."""
    call = call_at(place)
    if call is None:
        return None
    first, second = (number - isinstance(call.func, ast.Attribute) for number in parameters)
    if not 0 <= min(first, second) <= max(first, second) < len(call.args):
        return None
    arguments = list(call.args)
    arguments[first], arguments[second] = arguments[second], arguments[first]
    return Code.of(place.statement.source.text).replaced(call, ast.Call(call.func, arguments, call.keywords))


def without_clips(statement: Statement) -> Iterator[Edits]:
    """Its clips taken out, each alone."""
    code = Code.of(statement.source.text)
    tree = code.statement(statement.line, statement.kind)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Call) and _is_clip(node) and node.args:
            yield (code.replaced(node, node.args[0]),)


def _is_clip(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in CLIPS
