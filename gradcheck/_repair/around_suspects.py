"""Statements beside the suspects: what is no derivative, and decides which derivatives a suspect takes.

A condition, a loop's range, an index, a mask or a value of the forward that is fetched from where it was kept: no
gradient moves with them smoothly, or they multiply each other, so that the tape cannot tell that they could be at
fault. They stand near those that it suspects; edits of them are run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from gradcheck._localising import Suspect
from gradcheck._mending.syntax import Code
from gradcheck._tape import Statement, TapedRun

#: suspects around which is looked
MOST_SUSPECTS = 3
_HEADS = ("For", "While", "If")


def statements_around(run: TapedRun, suspects: Sequence[Suspect]) -> Iterator[Statement]:
    """Statements that bind what no gradient flows through and that the suspects read, and the heads around these."""
    seen: set[int] = set()
    carrying = {id(node.place.statement) for node in run.nodes if node.place is not None and _carries(run, node.index)}
    for suspect in suspects[:MOST_SUSPECTS]:
        for statement in (*_binding(run, suspect.statement), *_heads(run, suspect.statement)):
            if id(statement) not in seen and (statement.kind in _HEADS or id(statement) not in carrying):
                seen.add(id(statement))
                yield statement


def _carries(run: TapedRun, index: int) -> bool:
    """Whether it is a value of the backward that was calculated there from others."""
    node = run.nodes[index]
    return index >= run.boundary and bool(node.inputs) and not run.is_forward(node)


def _binding(run: TapedRun, reader: Statement) -> Iterator[Statement]:
    """The nearest statements before it, in the same function, that bind names that it reads."""
    tree = _tree(reader)
    if tree is None:
        return
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    for name in sorted(read):
        bound = [one for one in _beside(run, reader) if one.line < reader.line and name in _names_bound(one)]
        if bound:
            yield max(bound, key=lambda one: one.line)


def _heads(run: TapedRun, inner: Statement) -> Iterator[Statement]:
    """The loops and conditions around it, the innermost first."""
    for one in sorted(_beside(run, inner), key=lambda one: -one.line):
        tree = _tree(one) if one.kind in _HEADS else None
        if tree is not None and one.line < inner.line <= (tree.end_lineno or 0):
            yield one


def _beside(run: TapedRun, other: Statement) -> list[Statement]:
    return [one for one in run.statements if one.file == other.file and one.function == other.function]


def _tree(statement: Statement) -> ast.stmt | None:
    return Code.of(statement.source.text).statement(statement.line, statement.kind)


def _names_bound(statement: Statement) -> set[str]:
    tree = _tree(statement)
    if tree is None:
        return set()
    inside = tree.target if isinstance(tree, ast.For) else tree
    return {node.id for node in ast.walk(inside) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
