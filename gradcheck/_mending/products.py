"""Terms and expressions that are products of what is at hand, found by solving for them rather than by trying each.

A term t in the place of part of an expression is right exactly if the sum of J t over all executions is what lacks. For
t = a * b that is a bilinear form in a and b, so that one matrix product judges all pairs, and one more all triples.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

import numpy as np

from gradcheck._mending.frames import UnknownError
from gradcheck._mending.library import Equation, Library, values_at
from gradcheck._mending.padding import filled_up, have_as_many_axes, widest
from gradcheck._mending.paths import slopes_of
from gradcheck._mending.slots import Candidate, Slot, Workplace
from gradcheck._mending.syntax import binary
from gradcheck._mending.vectors import of_vectors
from gradcheck._tape import TapedRun
from gradcheck._tape.nodes import Array
from gradcheck._tape.pairs import is_complex

#: parts of the expression
MOST_SLOTS = 5
_MEANS = frozenset({"mean", "var", "std"})


def at_hand(place: Workplace) -> Iterator[Candidate]:
    """What is at hand, or a form of it, as a term more or for a part."""
    yield from _solved(place, 1, together=True)


def products(place: Workplace) -> Iterator[Candidate]:
    """A product of two factors, of two matrices, or a sum of products, as a term more or for a part."""
    yield from _solved(place, 2, together=True)
    yield from _broadcast_wholly(place)


def long_products(place: Workplace) -> Iterator[Candidate]:
    """A product of three factors."""
    yield from _solved(place, 3, together=True)


def products_in_part(place: Workplace) -> Iterator[Candidate]:
    """The same, for one wrong gradient alone: another fault may stand in the way of the others."""
    if place.hole.needed is None:
        for degree in (1, 2):
            yield from _solved(place, degree, together=False)


def _solved(place: Workplace, degree: int, *, together: bool) -> Iterator[Candidate]:
    lacking = lacking_of(place)
    if lacking is None:
        return
    library = place.shared("library", lambda: Library(place))
    for slot in _linear_slots(place):
        known = slopes_at(place, slot.node)
        if known is None:
            continue
        slopes, given = known
        shapes = tuple(one.shape for one in given)
        whole = lacking + sum(np.real(s @ v.ravel()) for s, v in zip(slopes, given, strict=True))
        slopes = filled_up(slopes, shapes)
        for sign, wanted in ((None, whole), (ast.Add(), lacking), (ast.Sub(), -lacking)):
            for equation, part in _of_parts(place, _equations(place, slopes, wanted, together)):
                centres = together and (slot.node is place.hole.root or place.hole.suspect.run.once(_normalises))
                found = library.solutions(shapes, equation, degree, centres=centres)
                for new in itertools.chain(found, of_vectors(library, widest(shapes), equation, degree)):
                    told = _part_of(place, new, part)
                    yield Candidate.of(slot.node, told if sign is None else binary(slot.node, sign, told))


def _of_parts(place: Workplace, equations: Iterator[Equation]) -> Iterator[tuple[Equation, str]]:
    """Each equation for what stands there, or for its real part, and for an imaginary part where there may be one."""
    for equation in equations:
        yield equation, "real" if equation.slopes.dtype.kind == "f" else ""
        if equation.slopes.dtype.kind == "f" and place.around.complexes:
            yield Equation(-1j * equation.slopes, equation.lacking, equation.scale), "imag"


def _part_of(place: Workplace, new: ast.expr, part: str) -> ast.expr:
    """A part of what is complex; anything else as it is."""
    if not part or not place.around.complexes:
        return new
    try:
        return ast.Attribute(new, part, ast.Load()) if is_complex(place.hole.first.value(new)) else new
    except UnknownError:
        return new


def _normalises(run: TapedRun) -> bool:
    """Whether the forward takes means, as a normalisation does: a term of its derivative may lack inside another."""
    return any(node.op in _MEANS and run.is_forward(node) for node in run.nodes)


def _broadcast_wholly(place: Workplace) -> Iterator[Candidate]:
    """What is added to an array of another shape than it has."""
    hole = place.hole
    if any(one.target is None or is_complex(one.target) for one in hole.executions):
        return
    targets = [np.asarray(one.target, float) for one in hole.executions]
    change = hole.change([])
    if hole.operator != "Add" or change is None or any(one.slopes[0].shape[1] != t.size for one, t in
                                                       zip(hole.executions, targets, strict=True)):  # fmt: skip
        return
    slopes = [one.slopes[0] for one in hole.executions]
    given = values_at(place, hole.root)
    if given is None or all(v.shape == t.shape for v, t in zip(given, targets, strict=True)):
        return
    wanted = hole.residual.needed - change
    for s, v, t in zip(slopes, given, targets, strict=True):
        wanted = wanted + np.real(s @ np.broadcast_to(v, t.shape).ravel())
    library, shapes = place.shared("library", lambda: Library(place)), tuple(one.shape for one in targets)
    if not have_as_many_axes(shapes):
        return
    for equation in _equations(place, filled_up(slopes, shapes), wanted, together=True):
        for degree in (1, 2):
            for new in library.solutions(shapes, equation, degree):
                yield Candidate.of(hole.root, new)


def _linear_slots(place: Workplace) -> list[Slot]:
    """Sums, differences, products and calls in the expression, itself first."""
    root = place.hole.root
    kinds = (ast.BinOp, ast.Call, ast.UnaryOp)
    inner = [slot for slot in place.floats if isinstance(slot.node, kinds) and slot.node is not root]
    names = [slot for slot in place.floats if slot.is_plain and slot.node is not root]
    return [*(slot for slot in place.floats if slot.node is root), *inner[:MOST_SLOTS], *names[:MOST_SLOTS]]


def lacking_of(place: Workplace) -> Array | None:
    """What the projections lack when the expression stays as it is and all that it reads is right."""
    change = place.hole.change([])
    return None if change is None else place.hole.residual.needed - change


def slopes_at(place: Workplace, part: ast.expr) -> tuple[list[Array], list[Array]] | None:
    """How the projections move with a part of the expression, and its value, at each execution, with as many axes.

    None where the tape does not tell, as of a part that is calculated from arrays of other sizes on the tape.
    """
    slopes = [slopes_of(place.hole, one, part) for one in place.hole.executions]
    given = values_at(place, part)
    found = [one for one in slopes if one is not None]
    if given is None or len(found) < len(slopes) or not have_as_many_axes(tuple(one.shape for one in given)):
        return None
    return (found, given) if all(s.shape[1] == v.size for s, v in zip(found, given, strict=True)) else None


def _equations(place: Workplace, slopes: list[Array], wanted: Array, together: bool) -> Iterator[Equation]:
    """One for all wrong gradients, or one for each of them."""
    residual = place.hole.residual
    joined = np.hstack(slopes)
    rng = np.random.default_rng(2)
    weights = rng.uniform(0.5, 1.5, residual.size) / residual.scale
    wrong = [one for one in residual.names if one in residual.wrong]
    reached = [one for one in wrong if np.any(joined[residual.rows[one]])]
    everything = [reached] if reached == wrong else []
    for chosen in everything if together else [[one] for one in reached]:
        mask = np.zeros(residual.size)
        for one in chosen:
            mask[residual.rows[one]] = weights[residual.rows[one]]
        equation = Equation(mask @ joined, float(mask @ wanted), float(np.sum(mask * residual.scale)))
        if abs(equation.lacking) > 1e-12 * equation.scale:
            yield equation
