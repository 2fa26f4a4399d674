"""Penalties on the weights that the loss has and a gradient lacks: what is missing is a multiple of the weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from gradcheck._localising.misdirected import TermsOfParameters
from gradcheck._mending import MendSearch
from gradcheck._mending.residual import factor_between
from gradcheck._repair.found import Mended
from gradcheck._repair.likeliest_mend import SMALL_BUDGET
from gradcheck._repair.points import Point
from gradcheck._tape import Statement, TapedRun

#: statements that give a gradient, the last first
MOST_GIVERS = 4


def mend_of_penalty(run: TapedRun, wrong: Collection[str], others: Sequence[Point]) -> Mended | None:
    """The edit that adds it to the first gradient that lacks it; None where there is none."""
    again = [one.taped for one in others]
    for name in sorted(wrong):
        if not _lacks_multiple(run, name):
            continue
        for statement in _givers(run, name):
            found = MendSearch(run, statement, again, SMALL_BUDGET).penalties()
            if found:
                return Mended.of(statement, found)
    return None


def _lacks_multiple(run: TapedRun, name: str) -> bool:
    """Whether a gradient lacks a multiple of its parameter, and a use of it brings just that back."""
    given, true, weights = run.gradients.get(name), run.true_gradients[name], run.base.get(name)
    if weights is None or given is None or given.shape != true.shape or weights.size < 2:
        return False
    lacking = true - given
    if not factor_between(weights, lacking):
        return False
    terms = run.once(TermsOfParameters).of(name)
    # w @ w uses it twice
    return terms is not None and any(terms.find(lacking / uses) is not None for uses in (1, 2))


def _givers(run: TapedRun, name: str) -> Iterator[Statement]:
    """The statements on the way to a gradient by which it only was handed on or added to, the last first."""
    node, told = run.sinks.get(name), dict[Statement, None]()
    while node is not None and not run.is_forward(node) and len(told) < MOST_GIVERS:
        if node.place is not None and node.place.statement not in told:
            told[node.place.statement] = None
            yield node.place.statement
        node = node.inputs[0] if node.inputs else None
