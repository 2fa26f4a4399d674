"""Statements beside the suspects: what is no derivative, and decides which derivatives a suspect takes.

A condition, a loop's range, an index, a mask or a value of the forward that is fetched from where it was kept: no
gradient moves with them smoothly, or they multiply each other, so that the tape cannot tell that they could be at
fault. So it is with what only hands on, to a list or a deque. They stand near those that it suspects; edits of them
are run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from itertools import islice

from gradcheck._localising import Suspect
from gradcheck._localising.ground import Ground
from gradcheck._mending.syntax import Code
from gradcheck._repair.forward import forward_statements
from gradcheck._tape import MOVES, Statement, TapedRun

#: suspects around which is looked
MOST_SUSPECTS = 3
#: calls of the function that one stands in which are looked at
MOST_CALLING = 3
#: conditions elsewhere that are looked at
MOST_CONDITIONS = 6
_HEADS = ("For", "While", "If")


def statements_around(run: TapedRun, suspects: Sequence[Suspect], most: int = MOST_SUSPECTS) -> Iterator[Statement]:
    """Statements that bind what no gradient flows through and that the suspects read, and the heads around these.

    And calls of the function that a suspect stands in, with the heads around them, and those that only hand on what the
    suspects give, to a list.
    """
    # what the loss runs as well says what the gradients are of
    seen = {id(one.statement) for one in suspects} | run.once(forward_statements)
    calculating: set[int] = set()
    carrying: set[int] = set()
    carries = run.once(Ground).standings.carries
    for node in run.backward:
        if node.place is not None and carries[node.index]:
            (carrying if node.op in MOVES else calculating).add(id(node.place.statement))
    for suspect in suspects[:most]:
        calling = _calling(run, suspect.statement)
        handed = [one for call in calling[:1] for one in _binding(run, call)]
        nearest = [*_binding(run, suspect.statement), *handed]
        behind = [one for reader in nearest if id(reader) not in carrying for one in _binding(run, reader)]
        bound = [one for one in (*nearest, *behind) if id(one) not in carrying | calculating]
        handing_on = (one for one in _reading(run, suspect.statement) if id(one) not in calculating)
        around = (suspect.statement, *nearest, *behind, *calling)
        heads = (head for one in around for head in heads_around(run, one))
        for statement in (*bound, *handing_on, *heads, *calling[:MOST_CALLING]):
            if id(statement) not in seen:
                seen.add(id(statement))
                yield statement
    yield from _other_conditions(run, carrying | calculating, seen)


def _other_conditions(run: TapedRun, carrying: set[int], seen: set[int]) -> Iterator[Statement]:
    """Conditions in functions that derivatives go through, wherever they stand: they decide where these go."""
    passing = carrying - run.once(forward_statements)
    functions = {(one.file, one.function) for one in run.statements if id(one) in passing}
    conditions = (one for one in run.statements if one.kind == "If" and (one.file, one.function) in functions)
    yield from islice((one for one in conditions if id(one) not in seen), MOST_CONDITIONS)


def _binding(run: TapedRun, reader: Statement) -> Iterator[Statement]:
    """The nearest statements before it, in the same function, that bind names that it reads.

    And those after it in a loop around both: what one round leaves is read by the next.
    """
    tree = _tree(reader)
    if tree is None:
        return
    end = _end(reader)
    last = max((_end(head) for head in heads_around(run, reader) if head.kind in ("For", "While")), default=reader.line)
    for name in sorted(_names_read(tree)):
        bound = [one for one in _beside(run, reader) if one.line <= last and name in _names_bound(one)]
        for found in ([one for one in bound if one.line < reader.line], [one for one in bound if one.line > end]):
            if found:
                yield max(found, key=lambda one: one.line)


def _reading(run: TapedRun, giver: Statement) -> Iterator[Statement]:
    """Statements after it, in the same function, that read names that it binds."""
    bound = _names_bound(giver)
    for one in _beside(run, giver):
        tree = _tree(one) if bound and one.line > giver.line and one.kind not in _HEADS else None
        if tree is not None and bound & _names_read(tree):
            yield one


def _calling(run: TapedRun, inner: Statement) -> list[Statement]:
    """The statements that its function was called from, the innermost first."""
    nodes = (node for node in run.nodes if node.place is not None and node.place.statement is inner)
    calls = dict.fromkeys(node.call for node in nodes if node.call is not None)
    return list(dict.fromkeys(place.statement for call in calls for place in reversed(call.stack)))


def heads_around(run: TapedRun, inner: Statement) -> Iterator[Statement]:
    """The loops and conditions around it, the innermost first."""
    for one in sorted(_beside(run, inner), key=lambda one: -one.line):
        tree = _tree(one) if one.kind in _HEADS else None
        if tree is not None and one is not inner and one.line <= inner.line <= (tree.end_lineno or 0):
            yield one


def _beside(run: TapedRun, other: Statement) -> list[Statement]:
    return [one for one in run.statements if one.file == other.file and one.function == other.function]


def _end(statement: Statement) -> int:
    tree = _tree(statement)
    return statement.line if tree is None else tree.end_lineno or statement.line


def _tree(statement: Statement) -> ast.stmt | None:
    return Code.of(statement.source.text).statement(statement.line, statement.kind)


def _names_read(tree: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _names_bound(statement: Statement) -> set[str]:
    tree = _tree(statement)
    if tree is None or isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return set()
    inside = list(ast.walk(tree.target if isinstance(tree, ast.For) else tree))
    places = (node for node in inside if isinstance(node, (ast.Name, ast.Subscript)))
    written = [one.value if isinstance(one, ast.Subscript) else one for one in places if isinstance(one.ctx, ast.Store)]
    return {node.id for node in written if isinstance(node, ast.Name)}
