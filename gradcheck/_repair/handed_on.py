"""Edits beside a statement that spoils derivatives: where its function is called, and of a clip that it is.

Where a parameter reads better under the name of another one, the two may have been exchanged by who calls: one edit
there mends what else reads them. A clip gives what it reads, cut off; without it, it gives nothing new, so that no other
value could be expected of it.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence

from gradcheck._mending.syntax import Code, span
from gradcheck._tape import Place, Statement, TapedRun
from gradcheck._usercode.source import Edit

#: functions that cut values off
_CLIPS = frozenset({"clip", "minimum", "maximum"})

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
    pairs = {pair for (edit, *more) in edits if not more and (pair := _exchanged(code, edit, names)) is not None}
    for place in _calls_of(run, statement) if pairs else ():
        call = _call_at(place)
        bound = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        for pair in sorted(pairs):
            first, second = (names.index(name) - bound for name in pair)
            if isinstance(call, ast.Call) and 0 <= min(first, second) <= max(first, second) < len(call.args):
                yield place.statement, _swapped(place, call.args[first], call.args[second])


def _exchanged(code: Code, edit: Edit, names: Sequence[str]) -> tuple[str, str] | None:
    """The parameter that stood there, and the one that is put there."""
    was = code.between(edit.start, edit.end).strip()
    now = edit.text.strip()
    return (min(was, now), max(was, now)) if was != now and {was, now} <= set(names) else None


def _calls_of(run: TapedRun, statement: Statement) -> list[Place]:
    """Where the function around a statement was called from, each place once; in the same file."""
    inside = (node.call for node in run.nodes if node.place is not None and node.place.statement is statement)
    places = {id(call.place): call.place for call in inside if call is not None}
    return [place for place in places.values() if place.file == statement.file]


def _call_at(place: Place) -> ast.AST | None:
    code = Code.of(place.statement.source.text)
    tree = code.statement(place.statement.line, place.statement.kind)
    where = (place.line, place.column), (place.end_line, place.end_column)
    return (
        next((node for node in ast.walk(tree) if isinstance(node, ast.expr) and span(node) == where), None)
        if tree
        else None
    )


def _swapped(place: Place, first: ast.expr, second: ast.expr) -> Edits:
    code = Code.of(place.statement.source.text)
    return tuple(sorted((code.replaced(first, second), code.replaced(second, first))))


def without_clips(statement: Statement) -> Iterator[Edits]:
    """Its clips taken out, each alone."""
    code = Code.of(statement.source.text)
    tree = code.statement(statement.line, statement.kind)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Call) and _is_clip(node) and node.args:
            yield (code.replaced(node, node.args[0]),)


def _is_clip(call: ast.Call) -> bool:
    name = (
        call.func.attr
        if isinstance(call.func, ast.Attribute)
        else call.func.id
        if isinstance(call.func, ast.Name)
        else ""
    )
    return name in _CLIPS
