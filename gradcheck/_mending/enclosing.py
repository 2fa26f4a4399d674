"""The variables of the function in which another was made: an edit of the inner one may read these as well.

A vector-Jacobian product that is written as a lambda, or as a function inside that of the forward, sees all variables
of the forward. Python gives it those that it reads; here all others are found, too.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from gradcheck._mending.syntax import Code, span
from gradcheck._tape import Place, TapedRun
from gradcheck._tape.places import Span

#: a function by its file, and the line and column in which it begins
_Function: TypeAlias = tuple[str, int, int]
#: places whose hooks tell no variables
_SILENT = frozenset({"store", "iterate"})


def place_around(run: TapedRun, place: Place) -> Place | None:
    """The last place of the function in which that of a place was made; None if it was made in none."""
    functions = run.once(_functions)
    outer = functions[place.number][1]
    if outer is None:
        return None
    own = (one for one in run.places if one.kind not in _SILENT and functions[one.number][0] == outer)
    return max(own, key=lambda one: one.span, default=None)


def _functions(run: TapedRun) -> dict[int, tuple[_Function | None, _Function | None]]:
    """By the number of a place: the innermost function that it is in, as a lambda of its statement, and the next."""
    return {place.number: _functions_at(place) for place in run.places}


def _functions_at(place: Place) -> tuple[_Function | None, _Function | None]:
    code = Code.of(place.statement.source.text)
    tree = code.statement(place.statement.line, place.statement.kind, place.column)
    if tree is None:
        return None, None
    around = [one for one in ast.walk(tree) if isinstance(one, ast.Lambda) and _is_inside(place.span, span(one.body))]
    inner = min(around, key=lambda one: len(code.segment(one)), default=None) or code.function(tree)
    outer = None if inner is None else code.function(inner)
    told = (None if one is None else (place.file, one.lineno, one.col_offset) for one in (inner, outer))
    return next(told), next(told)


def _is_inside(inner: Span, outer: Span) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def made_in(frame: Any, outer: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of the variables of an outer function at several calls, the last in which the function of a frame was made.

    They are told by what it has of them; where it has nothing, nothing is known.
    """
    own, shared = frame.f_locals, frame.f_code.co_freevars
    if not shared:
        return {}
    calls = (one for one in reversed(outer) if all(name in one and one[name] is own.get(name) for name in shared))
    return next(calls, {})
