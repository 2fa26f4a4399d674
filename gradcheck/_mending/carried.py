"""A derivative that one round of a loop leaves for the next, which does not get it.

Where nobody adds it: the term, and its zero before the loop; where the name has a value before the loop, it is a term
like others (`larger.terms`). Where it is left under another name than it is read by: that name.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from gradcheck._mending.frames import UnknownError
from gradcheck._mending.outside import Edit
from gradcheck._mending.suspects import Suspect, roots
from gradcheck._mending.syntax import Code, binary, expressions, name, span

#: orders in which what is left goes to the names that wait
MOST_ORDERS = 6


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
    read, read_inside = _read_in(function), _read_in(loop)
    waiting = _waiting(loop, code)
    for target in tree.targets:
        for node in ast.walk(target):
            if not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)):
                continue
            if node.id not in read:
                yield from ((Edit(*span(node), one),) for one in waiting)
            elif node is target and node.id not in read_inside:
                start = span(tree)[0]
                yield from ((Edit(start, start, f"{one} = "),) for one in waiting)


def left_by_key(suspect: Suspect) -> Iterator[tuple[Edit, ...]]:
    """What a call leaves in a dict and the loop never reads, bound at its end to the zeros that the loop waits with.

    To all names that wait at once, then to each of them alone.
    """
    code, tree = suspect.code, suspect.tree
    loop = next(code.loops_around(tree), None)
    match tree:
        case ast.Assign(targets=[ast.Name(id=owner)], value=ast.Call()) if loop is not None and len(suspect.frames) > 1:
            left = _unread_items(suspect.frames[1].local.get(owner), owner, loop)
            waiting = [one for one in _waiting(loop, code) if _is_zero(suspect.frames[0].local.get(one))]
            counts = dict.fromkeys((min(len(waiting), len(left)), 1)) if waiting and left else ()
            for count in counts:
                for names in itertools.combinations(waiting, count):
                    for keys in itertools.islice(itertools.permutations(left, count), MOST_ORDERS):
                        yield (_bound_at_end(code, loop, owner, dict(zip(names, keys, strict=True))),)


def _read_in(tree: ast.AST) -> set[str]:
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return {node.id for node in names if isinstance(node.ctx, ast.Load)}


def _unread_items(kept: object, owner: str, loop: ast.For | ast.While) -> list[str]:
    read = set[object]()
    for node in ast.walk(loop):
        match node:
            case ast.Subscript(value=ast.Name(id=of), slice=ast.Constant(value=key), ctx=ast.Load()) if of == owner:
                read.add(key)
    return [key for key in kept if isinstance(key, str) and key not in read] if isinstance(kept, dict) else []


def _waiting(loop: ast.For | ast.While, code: Code) -> list[str]:
    """Names that a loop reads and only what stands before it binds."""
    function = code.function(loop)
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)] if function is not None else []
    inside = [node for node in ast.walk(loop) if isinstance(node, ast.Name)]
    bound = {node.id for node in inside if isinstance(node.ctx, ast.Store)}
    before = {node.id for node in names if isinstance(node.ctx, ast.Store)} - bound
    return list(dict.fromkeys(node.id for node in inside if isinstance(node.ctx, ast.Load) and node.id in before))


def _is_zero(value: object) -> bool:
    return isinstance(value, (np.ndarray, np.floating)) and not np.any(value)


def _bound_at_end(code: Code, loop: ast.For | ast.While, owner: str, keys: Mapping[str, str]) -> Edit:
    last = loop.body[-1]
    texts = (f"{one} = {owner}[{code.quote}{key}{code.quote}]" for one, key in keys.items())
    indent = "\n" + " " * last.col_offset
    return Edit(span(last)[1], span(last)[1], "".join(f"{indent}{text}" for text in texts))


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
