"""What comes back through one use of a value, added where only the rest of its derivative is given."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial

from gradcheck._localising.in_part import InPart, in_part
from gradcheck._localising.spoiling import Spoiling, Wanted
from gradcheck._mending import Mend
from gradcheck._mending.suspects import roots
from gradcheck._mending.syntax import Code, expressions, span
from gradcheck._repair.derivative_edits import edits_to_derivatives
from gradcheck._repair.each_gradient import gradients_behind
from gradcheck._repair.forward import forward_statements
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.points import Point
from gradcheck._repair.wrong_values import (
    EVIDENCE,
    Taped,
    best_of,
    growth_of,
    progress_of,
    wrong_gradients,
)
from gradcheck._tape import TapedRun
from gradcheck._tape.places import Span

#: places that are looked at
MOST_PLACES = 4
#: edits of one
MOST_EDITS = 4
#: characters of a term: where it takes more, not even the derivative that it begins with is at hand
LONGEST = 60


def lacking_part(found: Found, taped: Taped, others: Sequence[Point]) -> Mended | None:
    """The first place that gives a part of a derivative, with the edit after which more of what follows is right.

    Args:
        found: What is found so far.
        taped: Puts edits in place, and gives a run with them.
        others: Where else edits are tried.
    """
    with taped(found) as run:
        faults, reached = list(_faults(run, others)), progress_of(run)
    before = dict(found.edits)
    better = (best_of(found, one, before, taped, reached) for one in faults)
    return next((one for one in better if one is not None), None)


def _faults(run: TapedRun, others: Sequence[Point]) -> Iterator[Mended]:
    wrong, again = wrong_gradients(run), [one.taped for one in others]
    left = places_in_part(run, wrong)[:MOST_PLACES]
    for asked in (_without_added, _whole, _at_first):
        places = [one for one in left if asked(one)]
        lacking, there = [_as_spoiling(one, asked(one)) for one in places], partial(_all, asked)
        edits_of_each = edits_to_derivatives(run, lacking, again, set(), there)
        for one, edits in zip(places, edits_of_each, strict=True):
            edits = [edit for edit in edits if growth_of(edit) <= LONGEST]
            if not edits:
                continue
            left.remove(one)
            gradients = gradients_behind(run, one.statement, wrong)
            file = one.statement.file
            first, *more = [Mend(file, edit, one.statement, (), (), EVIDENCE) for edit in edits[:MOST_EDITS]]
            yield Mended(one.statement, gradients, None, first, tuple(more), is_by_value=True)


def places_in_part(run: TapedRun, wrong: Collection[str]) -> list[InPart]:
    """Those of the backward."""
    forward = run.once(forward_statements)
    return [one for one in in_part(run, wrong) if id(one.statement) not in forward]


def _all(asked: Callable[[InPart], Mapping[int, Wanted]], run: TapedRun) -> list[Spoiling]:
    places = places_in_part(run, wrong_gradients(run))
    return [_as_spoiling(one, asked(one)) for one in places if asked(one)]


def _without_added(place: InPart) -> Mapping[int, Wanted]:
    return place.without_added


def _whole(place: InPart) -> Mapping[int, Wanted]:
    return place.wanted


def _at_first(place: InPart) -> Mapping[int, Wanted]:
    """At the first of several executions: what is lost there, others go on with."""
    told = place.without_added or place.wanted
    return {min(told): told[min(told)]} if len(told) > 1 else {}


def _as_spoiling(one: InPart, wanted: Mapping[int, Wanted]) -> Spoiling:
    """As a statement in which an expression has to give something else, which is known."""
    told = tuple(wanted.values())
    return Spoiling(one.statement, tuple(wanted), (), frozenset(), wanted=told, at=summed_up(one))


def summed_up(one: InPart) -> Span | None:
    """The sum around a place, since a part may be given beside it, or it alone; None where that is all of a statement.

    Inside a product it is no more than itself: what it is multiplied by stays.
    """
    where = one.place.span
    if one.of_stack:
        return where
    code = Code.of(one.statement.source.text)
    tree = code.statement(one.statement.line, one.statement.kind)
    evaluated = [] if tree is None else list(roots(tree))
    node: ast.AST | None = next((each for root in evaluated for each in expressions(root) if span(each) == where), None)
    while isinstance(node, ast.expr) and node not in evaluated:
        around = code.parent(node)
        if not (isinstance(around, ast.BinOp) and isinstance(around.op, (ast.Add, ast.Sub))):
            return span(node)
        node = around
    return None
