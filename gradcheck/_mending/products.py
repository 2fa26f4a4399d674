"""Terms and expressions that are products of what is at hand, found by solving for them rather than by trying each.

A term t in the place of part of an expression is right exactly if the sum of J t over all executions is what lacks. For
t = a * b that is a bilinear form in a and b, so that one matrix product judges all pairs, and one more all triples.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gradcheck._mending.atoms import Atom
from gradcheck._mending.frames import UnknownError
from gradcheck._mending.holes import Execution
from gradcheck._mending.slots import Candidate, Slot, Workplace
from gradcheck._mending.small import forms
from gradcheck._mending.syntax import binary, transposed
from gradcheck._tape.nodes import Array

#: arrays that are multiplied by entry, and pairs of them that are multiplied by a third
MOST_ROWS, MOST_PAIRS, MOST_MATRICES = 140, 6000, 40
#: solutions of one equation
MOST_FOUND = 12
Build = Callable[[ast.expr], ast.expr]


@dataclass
class _Rows:
    """Expressions with their values at all executions, one after the other."""

    nodes: list[ast.expr]
    values: Array


@dataclass
class _Equation:
    """slopes . t = lacking, for t at all executions one after the other."""

    slopes: Array
    lacking: float
    scale: float


def products(place: Workplace) -> Iterator[Candidate]:
    """A product of up to three factors, a product of matrices, or a sum of products, as a term more or for a part."""
    for slot in _linear_slots(place):
        slopes = _slopes_of(place, slot)
        if slopes is None:
            continue
        lacking = _lacking(place)
        given = _values(place, slot.node)
        if lacking is None or given is None:
            continue
        whole = lacking + sum(s @ v.ravel() for s, v in zip(slopes, given, strict=True))
        plus: Build = lambda new, node=slot.node: binary(node, ast.Add(), new)  # type: ignore[misc]  # noqa: E731
        minus: Build = lambda new, node=slot.node: binary(node, ast.Sub(), new)  # type: ignore[misc]  # noqa: E731
        for wanted, build in ((lacking, plus), (-lacking, minus), (whole, lambda new: new)):
            for equation in _equations(place, slopes, wanted):
                for new in _solutions(place, slot, equation):
                    yield Candidate.of(slot.node, build(new))


def _linear_slots(place: Workplace) -> list[Slot]:
    """Sums, differences, products and calls in the expression, itself first."""
    kinds = (ast.BinOp, ast.Call, ast.UnaryOp)
    return [slot for slot in place.floats if slot.node is place.hole.root or isinstance(slot.node, kinds)][:8]


def _lacking(place: Workplace) -> Array | None:
    """What the projections lack when the expression stays as it is and all that it reads is right."""
    change = place.hole.change([])
    return None if change is None else place.hole.residual.needed - change


def _values(place: Workplace, node: ast.expr) -> list[Array] | None:
    try:
        return [np.asarray(one.frame.value(node), float) for one in place.hole.executions]
    except (UnknownError, TypeError, ValueError):
        return None


def _slopes_of(place: Workplace, slot: Slot) -> list[Array] | None:
    """How the projections move with a part of the expression, at each execution."""
    found = [_slope_at(place, one, slot) for one in place.hole.executions]
    return None if any(one is None for one in found) else [one for one in found if one is not None]


def _slope_at(place: Workplace, one: Execution, slot: Slot) -> Array | None:
    hole = place.hole
    if slot.node is hole.root:
        if len(one.slopes) != 1 or one.values[0] is None:
            return None
        if hole.operator is None:
            return one.slopes[0] if one.slopes[0].shape[1] == one.values[0].size else None
        if hole.operator in ("Add", "Sub") and np.size(one.target) == one.values[0].size:
            return one.slopes[0] if hole.operator == "Add" else -one.slopes[0]
        return None
    return hole.inner_slopes(one, slot.node)


def _equations(place: Workplace, slopes: list[Array], wanted: Array) -> Iterator[_Equation]:
    """One for all wrong gradients together, then one for each of them."""
    residual = place.hole.residual
    joined = np.hstack(slopes)
    rng = np.random.default_rng(2)
    weights = rng.uniform(0.5, 1.5, residual.size) / residual.scale
    wrong = [name for name in residual.names if name in residual.wrong]
    reached = [name for name in wrong if np.any(joined[residual.rows[name]])]
    chosen = [reached, *([one] for one in reached if len(reached) > 1)]
    for names in chosen if reached == wrong else chosen[1:] or chosen:
        mask = np.zeros(residual.size)
        for name in names:
            mask[residual.rows[name]] = weights[residual.rows[name]]
        yield _Equation(mask @ joined, float(mask @ wanted), float(np.sum(mask * residual.scale)))


def _solutions(place: Workplace, slot: Slot, equation: _Equation) -> Iterator[ast.expr]:
    shape = slot.shape
    if abs(equation.lacking) <= 1e-12 * equation.scale:
        return
    rows = _rows(place, shape)
    yield from _by_entry(rows, equation)
    if len(shape) == 2:
        yield from _of_matrices(place, shape, equation)
    if len(shape) == 1:
        yield from _summed(place, shape, equation)


def _rows(place: Workplace, shape: tuple[int, ...]) -> _Rows:
    """What broadcasts to the shape, and its forms."""
    nodes: list[ast.expr] = []
    values: list[Array] = []
    for atom in place.around.fitting(shape):
        found = _spread(place, atom, shape)
        if found is None or not np.any(found):
            continue
        made = [(atom.node, found)]
        if atom.plain:
            made += zip(forms(atom.node), (1 - found, found**2, found * (1 - found), 1 - found**2), strict=True)
        for node, value in made:
            if not any(np.array_equal(value, one) for one in values[-60:]):
                nodes.append(node)
                values.append(value)
        if len(nodes) >= MOST_ROWS:
            break
    return _Rows(nodes, np.array(values) if values else np.zeros((0, 0)))


def _spread(place: Workplace, atom: Atom, shape: tuple[int, ...]) -> Array | None:
    parts = _values(place, atom.node)
    if parts is None:
        return None
    try:
        return np.concatenate([np.broadcast_to(part, shape).ravel() for part in parts])
    except ValueError:
        return None


def _by_entry(rows: _Rows, equation: _Equation) -> Iterator[ast.expr]:
    values, nodes = rows.values, rows.nodes
    if values.size == 0 or values.shape[1] != equation.slopes.size:
        return
    close = 1e-9 * equation.scale
    weighted = values * equation.slopes
    yield from (nodes[i] for i in np.flatnonzero(np.abs(weighted.sum(axis=1) - equation.lacking) <= close)[:MOST_FOUND])
    pairs = weighted @ values.T
    first, second = np.nonzero(np.abs(np.triu(pairs) - equation.lacking) <= close)
    for i, j in list(zip(first, second, strict=True))[:MOST_FOUND]:
        yield binary(nodes[i], ast.Mult(), nodes[j])
    left, right = np.triu_indices(len(nodes))
    left, right = left[:MOST_PAIRS], right[:MOST_PAIRS]
    triples = (weighted[left] * values[right]) @ values.T
    which, third = np.nonzero(np.abs(triples - equation.lacking) <= close)
    found = [(left[p], right[p], k) for p, k in zip(which, third, strict=True) if right[p] <= k]
    for i, j, k in found[:MOST_FOUND]:
        yield binary(binary(nodes[i], ast.Mult(), nodes[j]), ast.Mult(), nodes[k])


def _of_matrices(place: Workplace, shape: tuple[int, ...], equation: _Equation) -> Iterator[ast.expr]:
    """a @ b, where each may be transposed."""
    count = len(place.hole.executions)
    weights = equation.slopes.reshape(count, *shape)
    sides: list[tuple[ast.expr, list[Array]]] = []
    for atom in [one for one in place.around.floats if len(one.shape) == 2][:MOST_MATRICES]:
        parts = _values(place, atom.node)
        if parts is not None and all(part.shape == atom.shape for part in parts):
            sides += [(atom.node, parts), (transposed(atom.node), [part.T for part in parts])]
    found = 0
    for a, left in sides:
        if left[0].shape[0] != shape[0]:
            continue
        for b, right in sides:
            if right[0].shape != (left[0].shape[1], shape[1]):
                continue
            total = sum(float(np.sum((w @ y.T) * x)) for w, x, y in zip(weights, left, right, strict=True))
            if abs(total - equation.lacking) <= 1e-9 * equation.scale and found < MOST_FOUND:
                found += 1
                yield binary(a, ast.MatMult(), b)


def _summed(place: Workplace, shape: tuple[int, ...], equation: _Equation) -> Iterator[ast.expr]:
    """(a * b).sum(axis=0)."""
    count = len(place.hole.executions)
    lengths = {one.shape[0] for one in place.around.floats if len(one.shape) == 2 and one.shape[1:] == shape}
    for length in sorted(lengths):
        weights = equation.slopes.reshape(count, 1, *shape)
        spread = np.broadcast_to(weights, (count, length, *shape)).ravel()
        rows = _rows(place, (length, *shape))
        for node in _by_entry(rows, _Equation(spread, equation.lacking, equation.scale)):
            axis = [ast.keyword("axis", ast.Constant(0))] if place.code.names_axis else []
            args: list[ast.expr] = [] if axis else [ast.Constant(0)]
            yield ast.Call(ast.Attribute(node, "sum", ast.Load()), args, axis)
