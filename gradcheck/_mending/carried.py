"""A derivative that one round of a loop leaves for the next, which does not get it.

Where nobody adds it: the term, and its zero before the loop; where the name has a value before the loop, it is a term
like others (`larger.terms`). Where it is left under another name than it is read by: that name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from gradcheck._mending.frames import UnknownError
from gradcheck._mending.outside import Edit
from gradcheck._mending.suspects import Suspect, roots
from gradcheck._mending.syntax import Code, binary, expressions, name, span


def carried(suspect: Suspect) -> Iterator[tuple[Edit, ...]]:
    """The term added to each expression that it fits, which have to be run."""
    code, tree = suspect.code, suspect.tree
    loop = next(code.loops_around(tree), None)
    if loop is None or len(suspect.frames) < 2:
        return
    start = span(loop)[0]
    for one in _only_bound_in(loop, code):
        zero = Edit(start, start, f"{one} = 0\n{' ' * loop.col_offset}")
        for node in _that_fit(suspect, one):
            yield zero, code.replaced(node, binary(node, ast.Add(), name(one)))


def left_by_another_name(code: Code, tree: ast.stmt) -> Iterator[tuple[Edit, ...]]:
    """The names that a loop reads and only what stands before it binds, for one that it binds and nobody reads.

    Beside it, where that is read behind the loop.
    """
    loop, function = next(code.loops_around(tree), None), code.function(tree)
    if loop is None or function is None or not isinstance(tree, ast.Assign):
        return
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
    read = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    inside = [node for node in ast.walk(loop) if isinstance(node, ast.Name)]
    bound = {node.id for node in inside if isinstance(node.ctx, ast.Store)}
    read_inside = {node.id for node in inside if isinstance(node.ctx, ast.Load)}
    before = {node.id for node in names if isinstance(node.ctx, ast.Store)} - bound
    waiting = dict.fromkeys(node.id for node in inside if node.id in read_inside & before)
    for target in tree.targets:
        for node in ast.walk(target):
            if not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)):
                continue
            if node.id not in read:
                yield from ((Edit(*span(node), one),) for one in waiting)
            elif node is target and node.id not in read_inside:
                start = span(tree)[0]
                yield from ((Edit(start, start, f"{one} = "),) for one in waiting)


def _only_bound_in(loop: ast.For | ast.While, code: Code) -> list[str]:
    """Names that the loop binds, and nothing before it."""
    function = code.function(loop)
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return []
    inside = {id(node) for node in ast.walk(loop)}
    before = {
        node.id if isinstance(node, ast.Name) else node.arg
        for node in ast.walk(function)
        if id(node) not in inside
        and (isinstance(node, ast.arg) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)))
    }
    bound = [one for part in loop.body for one in ast.walk(part) if isinstance(one, ast.Name)]
    return list(dict.fromkeys(one.id for one in bound if isinstance(one.ctx, ast.Store) and one.id not in before))


def _that_fit(suspect: Suspect, carried_name: str) -> Iterator[ast.expr]:
    """Expressions of the statement with the shape of what was left, the outer ones last: arguments come first."""
    first, later = suspect.frames[0], suspect.frames[-1]
    left = later.local.get(carried_name)
    if not isinstance(left, (np.ndarray, np.floating)) or carried_name in first.local:
        return
    for root in roots(suspect.tree):
        for node in sorted(expressions(root), key=lambda one: isinstance(one, ast.Call)):
            try:
                value = first.value(node)
            except UnknownError:
                continue
            if isinstance(value, (np.ndarray, np.floating)) and value.shape == left.shape:
                yield node
