"""The variables of the function in which another was made: an edit of the inner one may read these as well.

A vector-Jacobian product that is written as a lambda, or as a function inside that of the forward, sees all variables
of the forward. Python gives it those that it reads; here all others are found, too.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from gradcheck._mending.syntax import Code, span
from gradcheck._tape import Place, TapedRun
from gradcheck._tape.places import Span

#: places whose hooks tell no variables
_SILENT = frozenset({"store", "iterate"})


def place_around(run: TapedRun, place: Place) -> Place | None:
    """The last place of the function in which that of a place was made; None if it was made in none."""
    code = Code.of(place.statement.source.text)
    inner = _function_at(code, place)
    outer = None if inner is None else code.function(inner)
    if outer is None:
        return None
    beside = (one for one in run.places if one.file == place.file and one.kind not in _SILENT)
    own = [one for one in beside if outer.lineno <= one.line <= (outer.end_lineno or 0)]
    return max((one for one in own if _function_at(code, one) is outer), key=lambda one: one.span, default=None)


def _function_at(code: Code, place: Place) -> ast.AST | None:
    """The innermost function that a place is in, which may stand in its statement."""
    tree = code.statement(place.statement.line, place.statement.kind, place.column)
    if tree is None:
        return None
    around = [one for one in ast.walk(tree) if isinstance(one, ast.Lambda) and _is_inside(place.span, span(one.body))]
    return min(around, key=lambda one: _length(code, one), default=None) or code.function(tree)


def _is_inside(inner: Span, outer: Span) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _length(code: Code, node: ast.expr) -> int:
    return len(code.segment(node))


def made_in(frame: Any, outer: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of the variables of an outer function at several calls, the last in which the function of a frame was made.

    They are told by what it has of them; where it has nothing, nothing is known.
    """
    own, shared = frame.f_locals, frame.f_code.co_freevars
    if not shared:
        return {}
    calls = (one for one in reversed(outer) if all(name in one and one[name] is own.get(name) for name in shared))
    return next(calls, {})
