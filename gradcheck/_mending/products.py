"""Terms and expressions that are products of what is at hand, found by solving for them rather than by trying each.

A term t in the place of part of an expression is right exactly if the sum of J t over all executions is what lacks. For
t = a * b that is a bilinear form in a and b, so that one matrix product judges all pairs, and one more all triples.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradcheck._mending.atoms import Atom
from gradcheck._mending.frames import UnknownError
from gradcheck._mending.paths import slopes_of
from gradcheck._mending.slots import Candidate, Slot, Workplace
from gradcheck._mending.small import FORMS, forms
from gradcheck._mending.syntax import binary, name, transposed
from gradcheck._tape.nodes import Array

#: arrays that are multiplied by entry, and pairs of them that are multiplied by a third
MOST_ROWS, MOST_PAIRS, MOST_MATRICES = 140, 3000, 120
#: parts of the expression
MOST_SLOTS = 5
#: arrays that are multiplied before they are summed, and after
MOST_PLAIN = 40
_REDUCTIONS = (("mean", True), ("sum", False))
#: solutions of one equation
MOST_FOUND = 12


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
    lacking = _lacking(place)
    if lacking is None:
        return
    library = place.shared("library", lambda: _Library(place))
    for slot in _linear_slots(place):
        slopes, given = _slopes_of(place, slot), _values(place, slot.node)
        if slopes is None or given is None:
            continue
        whole = lacking + sum(s @ v.ravel() for s, v in zip(slopes, given, strict=True))
        for sign, wanted in ((None, whole), (ast.Add(), lacking), (ast.Sub(), -lacking)):
            for equation in _equations(place, slopes, wanted, together):
                for new in library.solutions(slot.shape, equation, degree):
                    yield Candidate.of(slot.node, new if sign is None else binary(slot.node, sign, new))


def _broadcast_wholly(place: Workplace) -> Iterator[Candidate]:
    """What is added to an array of another shape than it has."""
    hole = place.hole
    targets = [np.asarray(one.target, float) for one in hole.executions]
    change = hole.change([])
    if hole.operator != "Add" or change is None or any(one.slopes[0].shape[1] != t.size for one, t in
                                                       zip(hole.executions, targets, strict=True)):  # fmt: skip
        return
    slopes = [one.slopes[0] for one in hole.executions]
    given = _values(place, hole.root)
    if given is None or all(v.shape == t.shape for v, t in zip(given, targets, strict=True)):
        return
    wanted = hole.residual.needed - change
    for s, v, t in zip(slopes, given, targets, strict=True):
        wanted = wanted + s @ np.broadcast_to(v, t.shape).ravel()
    library = place.shared("library", lambda: _Library(place))
    for equation in _equations(place, slopes, wanted, together=True):
        for degree in (1, 2):
            for new in library.solutions(targets[0].shape, equation, degree):
                yield Candidate.of(hole.root, new)


def _linear_slots(place: Workplace) -> list[Slot]:
    """Sums, differences, products and calls in the expression, itself first."""
    root = place.hole.root
    kinds = (ast.BinOp, ast.Call, ast.UnaryOp)
    inner = [slot for slot in place.floats if isinstance(slot.node, kinds) and slot.node is not root]
    names = [slot for slot in place.floats if slot.is_plain and slot.node is not root]
    return [*(slot for slot in place.floats if slot.node is root), *inner[:MOST_SLOTS], *names[:MOST_SLOTS]]


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
    found = [slopes_of(place.hole, one, slot.node) for one in place.hole.executions]
    return None if any(one is None for one in found) else [one for one in found if one is not None]


def _equations(place: Workplace, slopes: list[Array], wanted: Array, together: bool) -> Iterator[_Equation]:
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
        equation = _Equation(mask @ joined, float(mask @ wanted), float(np.sum(mask * residual.scale)))
        if abs(equation.lacking) > 1e-12 * equation.scale:
            yield equation


class _Library:
    """What is at hand, by shape, with its values at all executions."""

    def __init__(self, place: Workplace) -> None:
        self.place, self.count = place, len(place.hole.executions)
        self._by_shape: dict[tuple[int, ...], _Rows] = {}
        self._matrices: list[tuple[ast.expr, Array]] | None = None

    def solutions(self, shape: tuple[int, ...], equation: _Equation, degree: int) -> Iterator[ast.expr]:
        """Expressions of this shape with so many factors that solve the equation."""
        yield from _by_entry(self._rows(shape), equation, degree)
        if len(shape) == 2 and degree == 2:
            yield from self._of_matrices(shape, equation)
            yield from self._of_blocks(shape, equation)
        if len(shape) > 1 and degree == 2:
            yield from self._centred(shape, equation)
        if len(shape) == 1:
            yield from self._summed(shape, equation, degree)

    def _rows(self, shape: tuple[int, ...]) -> _Rows:
        """What broadcasts to the shape, and its forms."""
        if shape not in self._by_shape:
            made: dict[bytes, tuple[ast.expr, Array]] = {}
            for atom in self.place.around.fitting(shape):
                found = _spread(self.place, atom, shape)
                if found is None or not np.any(found) or len(made) >= MOST_ROWS:
                    continue
                made.setdefault(found.tobytes(), (atom.node, found))
                if atom.plain:
                    for node, of in zip(forms(atom.node), FORMS, strict=True):
                        value = of(found)
                        made.setdefault(value.tobytes(), (node, value))
            nodes = [node for node, _ in made.values()]
            rows = np.array([value for _, value in made.values()]) if made else np.zeros((0, 0))
            self._by_shape[shape] = _Rows(nodes, rows)
        return self._by_shape[shape]

    def _sides(self) -> list[tuple[ast.expr, Array]]:
        """Matrices, and their transposes, each (executions, rows, columns)."""
        if self._matrices is None:
            made: dict[tuple[tuple[int, ...], bytes], tuple[ast.expr, Array]] = {}
            for atom in [one for one in self.place.around.floats if len(one.shape) == 2]:
                parts = _values(self.place, atom.node)
                if parts is None or any(part.shape != atom.shape for part in parts) or len(made) >= 2 * MOST_MATRICES:
                    continue
                stacked = np.array(parts)
                turned = np.ascontiguousarray(stacked.transpose(0, 2, 1))
                made.setdefault((stacked.shape, stacked.tobytes()), (atom.node, stacked))
                made.setdefault((turned.shape, turned.tobytes()), (transposed(atom.node), turned))
            self._matrices = list(made.values())
        return self._matrices

    def _of_matrices(self, shape: tuple[int, ...], equation: _Equation) -> Iterator[ast.expr]:
        """a @ b, where each may be transposed."""
        weights = equation.slopes.reshape(self.count, *shape)
        by_shape: dict[tuple[int, ...], list[tuple[ast.expr, Array]]] = {}
        for node, stacked in self._sides():
            by_shape.setdefault(stacked.shape[1:], []).append((node, stacked))
        for (rows, inner), lefts in by_shape.items():
            rights = by_shape.get((inner, shape[1]), [])
            if rows != shape[0] or not rights:
                continue
            left = np.array([(x.transpose(0, 2, 1) @ weights).ravel() for _, x in lefts])
            right = np.array([y.ravel() for _, y in rights])
            close = np.abs(left @ right.T - equation.lacking) <= 1e-9 * equation.scale
            for i, j in list(zip(*np.nonzero(close), strict=True))[:MOST_FOUND]:
                yield binary(lefts[i][0], ast.MatMult(), rights[j][0])

    def _of_blocks(self, shape: tuple[int, ...], equation: _Equation) -> Iterator[ast.expr]:
        """Arrays with two axes in common, both of which are summed over."""
        weights = equation.slopes.reshape(self.count, *shape)
        blocks = [one for one in self.place.around.floats if len(one.shape) == 3]
        valued = [(one, parts) for one in blocks if (parts := _values(self.place, one.node)) is not None]
        found = 0
        for (a, left), (b, right) in itertools.product(valued, valued):
            if (a.shape[2], b.shape[2]) != shape or a.shape[:2] != b.shape[:2] or found >= MOST_FOUND:
                continue
            total = sum(float(np.sum((x @ w) * y)) for w, x, y in zip(weights, left, right, strict=True))
            if abs(total - equation.lacking) <= 1e-9 * equation.scale:
                found += 1
                letters = ast.Constant("tbi,tbj->ij")
                yield ast.Call(ast.Attribute(name("np"), "einsum", ast.Load()), [letters, a.node, b.node], [])

    def _centred(self, shape: tuple[int, ...], equation: _Equation) -> Iterator[ast.expr]:
        """c * (a * b).mean(axis), or its sum, where the axis is kept: what normalisation and softmax give back."""
        rows = self._rows(shape)
        plain = [k for k, node in enumerate(rows.nodes) if isinstance(node, (ast.Name, ast.Subscript, ast.Attribute))]
        plain = plain[:MOST_PLAIN]
        values, nodes = rows.values[plain] if plain else rows.values[:0], [rows.nodes[k] for k in plain]
        weights = equation.slopes.reshape(self.count, *shape)
        for axis, (method, share) in itertools.product(range(len(shape) - 1, -1, -1), _REDUCTIONS):
            scale = 1 / shape[axis] if share else 1.0
            for outer in (None, *range(len(nodes))):
                through = weights if outer is None else weights * values[outer].reshape(weights.shape)
                summed = scale * through.sum(axis=axis + 1, keepdims=True)
                spread = np.broadcast_to(summed, weights.shape).ravel()
                over = _Equation(spread, equation.lacking, equation.scale)
                own = _Rows(nodes, values)
                for node in itertools.chain(_by_entry(own, over, 1), _by_entry(own, over, 2)):
                    kept = ast.keyword("keepdims", ast.Constant(True))
                    reduced = ast.Attribute(node, method, ast.Load())
                    term = ast.Call(reduced, [], [ast.keyword("axis", ast.Constant(axis)), kept])
                    yield term if outer is None else binary(nodes[outer], ast.Mult(), term)

    def _summed(self, shape: tuple[int, ...], equation: _Equation, degree: int) -> Iterator[ast.expr]:
        """(a * b).sum(axis=0)."""
        place = self.place
        lengths = {one.shape[0] for one in place.around.floats if len(one.shape) == 2 and one.shape[1:] == shape}
        for length in sorted(lengths):
            weights = equation.slopes.reshape(self.count, 1, *shape)
            spread = np.broadcast_to(weights, (self.count, length, *shape)).ravel()
            over_all = _Equation(spread, equation.lacking, equation.scale)
            for node in _by_entry(self._rows((length, *shape)), over_all, degree):
                axis = [ast.keyword("axis", ast.Constant(0))] if place.code.names_axis else []
                args: list[ast.expr] = [] if axis else [ast.Constant(0)]
                yield ast.Call(ast.Attribute(node, "sum", ast.Load()), args, axis)


def _spread(place: Workplace, atom: Atom, shape: tuple[int, ...]) -> Array | None:
    parts = _values(place, atom.node)
    if parts is None:
        return None
    try:
        return np.concatenate([np.broadcast_to(part, shape).ravel() for part in parts])
    except ValueError:
        return None


def _by_entry(rows: _Rows, equation: _Equation, degree: int) -> Iterator[ast.expr]:
    """One, two or three of the rows multiplied by entry."""
    values, nodes = rows.values, rows.nodes
    if values.size == 0 or values.shape[1] != equation.slopes.size:
        return
    close = 1e-9 * equation.scale
    weighted = values * equation.slopes
    if degree == 1:
        found = np.flatnonzero(np.abs(weighted.sum(axis=1) - equation.lacking) <= close)
        yield from (nodes[i] for i in found[:MOST_FOUND])
    elif degree == 2:
        pairs = np.triu(np.abs(weighted @ values.T - equation.lacking) <= close)
        for i, j in list(zip(*np.nonzero(pairs), strict=True))[:MOST_FOUND]:
            yield binary(nodes[i], ast.Mult(), nodes[j])
    else:
        left, right = np.triu_indices(len(nodes))
        order = np.argsort(left + right, kind="stable")[:MOST_PAIRS]  # those that stand near come first
        left, right = left[order], right[order]
        triples = (weighted[left] * values[right]) @ values.T
        which, third = np.nonzero(np.abs(triples - equation.lacking) <= close)
        several = [(left[p], right[p], k) for p, k in zip(which, third, strict=True) if right[p] <= k]
        for i, j, k in several[:MOST_FOUND]:
            yield binary(binary(nodes[i], ast.Mult(), nodes[j]), ast.Mult(), nodes[k])
