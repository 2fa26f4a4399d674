"""Edits of statements that put gradients into dictionaries, where what was there before is lost."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck._mending.frames import UnknownError
from gradcheck._mending.outside import Edit
from gradcheck._mending.suspects import Suspect, roots
from gradcheck._mending.syntax import Code, names_in, span

#: what needs no brackets before a dot
_TIGHT = (ast.Name, ast.Attribute, ast.Subscript, ast.Call)
_EACH = "{{{k}: {left}.get({k}, 0) + {v} for {k}, {v} in {right}.items()}}"


def added_to_kept(suspect: Suspect) -> Iterator[tuple[Edit, ...]]:
    """What is put under a key is added to what is there, where a key may be new; also where all of another is put in.

    ``d[key] = value``, ``d.update(other)``, ``{**d, **other}`` and ``d | other`` forget what `d` had.
    """
    code, tree = suspect.code, suspect.tree
    match tree:
        case ast.Assign(targets=[ast.Subscript(value=owner, slice=key)], value=value):
            if not isinstance(key, ast.Slice) and _is_dict(suspect, owner):
                kept, start = f"{code.segment(owner)}.get({code.segment(key)}, 0) + ", span(value)[0]
                is_tight = isinstance(value, (ast.BinOp, *_TIGHT))
                whole = Edit(*span(value), f"{kept}({code.segment(value)})")
                yield (Edit(start, start, kept) if is_tight else whole,)
    for node in _inside(tree):
        if (pair := _pair(node)) is not None:
            left, right = pair
            for one in _merged(code, suspect, left, right):
                is_display = isinstance(node, ast.Dict)
                text = f"{{**{code.segment(left)}, **{one}}}" if is_display else one
                yield (Edit(*span(node if is_display else right), text),)


def merges(tree: ast.stmt) -> bool:
    """Whether a statement puts all of one dictionary into another, as far as its text tells."""
    return any(isinstance(one, (ast.Dict, ast.BinOp, ast.Call)) and _pair(one) is not None for one in _inside(tree))


def _inside(tree: ast.stmt) -> Iterator[ast.AST]:
    return (node for root in roots(tree) for node in ast.walk(root))


def _pair(node: ast.AST) -> tuple[ast.expr, ast.expr] | None:
    """What is put together, and what of it counts where both have the same key."""
    match node:
        case ast.Dict(keys=[None, None], values=[left, right]):
            return left, right
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return left, right
        case ast.Call(func=ast.Attribute(value=left, attr="update"), args=[right], keywords=[]):
            return left, right
    return None


def _merged(code: Code, suspect: Suspect, left: ast.expr, right: ast.expr) -> Iterator[str]:
    """What is in the right one, with what the left one has under the same keys added."""
    if isinstance(left, _TIGHT) and isinstance(right, (*_TIGHT, ast.Dict)) and _is_dict(suspect, left):
        used = names_in(suspect.tree)
        k, v = (next(one for one in (name, f"{name}_") if one not in used) for name in ("key", "value"))
        yield _EACH.format(k=k, v=v, left=code.segment(left), right=code.segment(right))


def _is_dict(suspect: Suspect, node: ast.expr) -> bool:
    try:
        return bool(suspect.frames) and isinstance(suspect.frames[-1].value(node), dict)
    except UnknownError:  # what a function in an expression is handed is not known outside
        return isinstance(node, ast.Name) and any(
            node.id == one.arg
            for inside in _inside(suspect.tree)
            if isinstance(inside, ast.Lambda)
            for one in inside.args.args
        )
