"""What can be multiplied, with its values at all executions, and which products solve an equation."""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from gradcheck._mending.atoms import Atom
from gradcheck._mending.details import FORMS, forms
from gradcheck._mending.frames import UnknownError
from gradcheck._mending.padding import Shapes, side_by_side, widest
from gradcheck._mending.slots import Workplace
from gradcheck._mending.syntax import binary, conjugate, matrix_product, name, transposed
from gradcheck._tape.nodes import Array
from gradcheck._tape.pairs import in_double

#: arrays that are multiplied by entry, and pairs of them that are multiplied by a third
MOST_ROWS, MOST_PAIRS, MOST_MATRICES = 140, 3000, 120
#: arrays that are multiplied before they are summed, and after
MOST_PLAIN = 40
_REDUCTIONS = (("mean", True), ("sum", False))
#: entries of a factor at all executions: buffers for the longest sequence are no factors of a step's gradient
MOST_ENTRIES = 20_000
#: solutions of one equation
MOST_FOUND = 12


#: an expression, and its values at all executions: (executions, ...)
Valued: TypeAlias = tuple[ast.expr, Array]


@dataclass
class Rows:
    """Expressions with their values at all executions, one after the other."""

    nodes: list[ast.expr]
    values: Array


@dataclass
class Equation:
    """The real part of slopes . t = lacking, for t at all executions one after the other."""

    slopes: Array
    lacking: float
    scale: float


def values_at(place: Workplace, node: ast.expr) -> list[Array] | None:
    try:
        values = [np.asarray(in_double(one.frame.value(node))) for one in place.hole.executions]
    except (UnknownError, TypeError, ValueError):
        return None
    return values if all(one.dtype.kind in "fciub" for one in values) else None  # a function may return nothing


class Library:
    """What is at hand, by shape, with its values at all executions."""

    def __init__(self, place: Workplace) -> None:
        self.place, self.count = place, len(place.hole.executions)
        self._by_shape: dict[Shapes, Rows] = {}
        self._stacked: dict[int, list[Valued]] = {}
        self._matrices: list[Valued] | None = None

    def solutions(
        self, shapes: Shapes, equation: Equation, degree: int, *, centres: bool = False
    ) -> Iterator[ast.expr]:
        """Expressions of these shapes with so many factors that solve the equation; `centres`: also means and sums."""
        shape = widest(shapes)
        if equation.slopes.size != self.count * int(np.prod(shape)):
            return
        yield from _by_entry(self.rows(shapes), equation, degree)
        if len(shape) == 2 and degree == 2:
            yield from self._of_matrices(shape, equation)
            yield from self._of_blocks(shape, equation)
        if len(shape) == 3 and degree == 2:
            yield from self._of_layers(shape, equation)
        if centres and len(shape) > 1 and degree == 2:
            yield from self._centred(shapes, equation)
        if len(shape) == 1:
            yield from self._summed(shapes, equation, degree)

    def rows(self, shapes: Shapes) -> Rows:
        """What broadcasts to the shapes, and its forms."""
        if shapes not in self._by_shape:
            shape = widest(shapes)
            made: dict[bytes, tuple[ast.expr, Array]] = {}
            for atom in self.place.around.fitting(shapes[0]):
                found = _spread(self.place, atom, shapes)
                if found is None or not np.any(found) or len(made) >= MOST_ROWS:
                    continue
                made.setdefault(found.tobytes(), (atom.node, found))
                if atom.is_complex:
                    turned = np.conj(found)
                    made.setdefault(turned.tobytes(), (conjugate(self.place.code, atom.node), turned))
                elif atom.plain:
                    for node, of in zip(forms(atom.node), FORMS, strict=True):
                        value = of(found)
                        made.setdefault(value.tobytes(), (node, value))
            if len(shape) == 2:
                for node, stacked in self.sides():
                    if stacked.shape[1:] == shape and len(made) < MOST_ROWS:
                        made.setdefault(stacked.tobytes(), (node, stacked.ravel()))
            nodes = [node for node, _ in made.values()]
            rows = np.array([value for _, value in made.values()]) if made else np.zeros((0, 0))
            self._by_shape[shapes] = Rows(nodes, rows)
        return self._by_shape[shapes]

    def stacked(self, axes: int) -> list[Valued]:
        """What is at hand with so many axes at all executions."""
        if axes not in self._stacked:
            around = self.place.around
            atoms = [one for one in (*around.floats, *around.complexes) if len(one.shape) == axes]
            valued = [(one, parts) for one in atoms if (parts := self._factor(one)) is not None]
            stacked = [(one, side_by_side(parts)) for one, parts in valued if all(part.ndim == axes for part in parts)]
            turned = [
                (conjugate(self.place.code, one.node), np.conj(value)) for one, value in stacked if one.is_complex
            ]
            self._stacked[axes] = [*((one.node, value) for one, value in stacked), *turned]
        return self._stacked[axes]

    def _factor(self, atom: Atom) -> list[Array] | None:
        if math.prod(atom.shape) * self.count > MOST_ENTRIES:
            return None
        return values_at(self.place, atom.node)

    def sides(self) -> list[Valued]:
        """All matrices, and their transposes, each (executions, rows, columns)."""
        if self._matrices is None:
            made: dict[tuple[tuple[int, ...], bytes], tuple[ast.expr, Array]] = {}
            for node, stacked in self.stacked(2):
                if len(made) >= 2 * MOST_MATRICES:
                    continue
                turned = np.ascontiguousarray(stacked.transpose(0, 2, 1))
                made.setdefault((stacked.shape, stacked.tobytes()), (node, stacked))
                made.setdefault((turned.shape, turned.tobytes()), (transposed(node), turned))
            self._matrices = list(made.values())
        return self._matrices

    def _of_matrices(self, shape: tuple[int, ...], equation: Equation) -> Iterator[ast.expr]:
        """a @ b, where each may be transposed."""
        weights = equation.slopes.reshape(self.count, *shape)
        by_shape: dict[tuple[int, ...], list[Valued]] = {}
        for node, stacked in self.sides():
            by_shape.setdefault(stacked.shape[1:], []).append((node, stacked))
        for (rows, inner), lefts in by_shape.items():
            rights = by_shape.get((inner, shape[1]), [])
            if rows != shape[0] or not rights:
                continue
            moved = [(node, x.transpose(0, 2, 1) @ weights) for node, x in lefts]
            for a, b in pairs(moved, rights, equation):
                yield matrix_product(self.place.code, a, b)

    def _of_layers(self, shape: tuple[int, ...], equation: Equation) -> Iterator[ast.expr]:
        """a @ b, where a has all time steps, or all examples, side by side, and b may be transposed."""
        weights = equation.slopes.reshape(self.count, *shape)
        lefts = [(node, x) for node, x in self.stacked(3) if x.shape[1:3] == shape[:2]]
        moved = [(node, np.einsum("etbk,etbm->ekm", x, weights)) for node, x in lefts]
        for inner in dict.fromkeys(x.shape[1] for _, x in moved):
            of_inner = [one for one in moved if one[1].shape[1] == inner]
            rights = [one for one in self.sides() if one[1].shape[1:] == (inner, shape[2])]
            for a, b in pairs(of_inner, rights, equation):
                yield matrix_product(self.place.code, a, b)

    def _of_blocks(self, shape: tuple[int, ...], equation: Equation) -> Iterator[ast.expr]:
        """Arrays with two axes in common, both of which are summed over."""
        weights = equation.slopes.reshape(self.count, *shape)
        found = 0
        for (a, left), (b, right) in itertools.product(self.stacked(3), repeat=2):
            fits = (left.shape[3], right.shape[3]) == shape and left.shape[1:3] == right.shape[1:3]
            if not fits or found >= MOST_FOUND:
                continue
            total = float(np.real(np.sum((left @ weights[:, None]) * right)))
            if abs(total - equation.lacking) <= 1e-9 * equation.scale:
                found += 1
                letters = ast.Constant("tbi,tbj->ij")
                yield ast.Call(ast.Attribute(name("np"), "einsum", ast.Load()), [letters, a, b], [])

    def _centred(self, shapes: Shapes, equation: Equation) -> Iterator[ast.expr]:
        """c * (a * b).mean(axis), or its sum, where the axis is kept: what normalisation and softmax give back."""
        rows, shape = self.rows(shapes), widest(shapes)
        plain = [k for k, node in enumerate(rows.nodes) if isinstance(node, (ast.Name, ast.Subscript, ast.Attribute))]
        plain = plain[:MOST_PLAIN]
        values, nodes = rows.values[plain] if plain else rows.values[:0], [rows.nodes[k] for k in plain]
        weights = equation.slopes.reshape(self.count, *shape)
        for axis, (method, share) in itertools.product(range(len(shape) - 1, -1, -1), _REDUCTIONS):
            sizes = np.array([one[axis] for one in shapes], float).reshape(-1, *[1] * len(shape))
            scale = 1 / sizes if share else 1.0
            for outer in (None, *range(len(nodes))):
                through = weights if outer is None else weights * values[outer].reshape(weights.shape)
                summed = scale * through.sum(axis=axis + 1, keepdims=True)
                spread = np.broadcast_to(summed, weights.shape).ravel()
                over = Equation(spread, equation.lacking, equation.scale)
                own = Rows(nodes, values)
                for node in itertools.chain(_by_entry(own, over, 1), _by_entry(own, over, 2)):
                    kept = ast.keyword("keepdims", ast.Constant(True))
                    reduced = ast.Attribute(node, method, ast.Load())
                    term = ast.Call(reduced, [], [ast.keyword("axis", ast.Constant(axis)), kept])
                    yield term if outer is None else binary(nodes[outer], ast.Mult(), term)

    def _summed(self, shapes: Shapes, equation: Equation, degree: int) -> Iterator[ast.expr]:
        """(a * b).sum(axis=0)."""
        place, shape = self.place, widest(shapes)
        for of_all in self._longer(shapes):
            weights = equation.slopes.reshape(self.count, 1, *shape)
            spread = np.broadcast_to(weights, (self.count, *widest(of_all))).ravel()
            over_all = Equation(spread, equation.lacking, equation.scale)
            for node in _by_entry(self.rows(of_all), over_all, degree):
                axis = [ast.keyword("axis", ast.Constant(0))] if place.code.names_axis else []
                args: list[ast.expr] = [] if axis else [ast.Constant(0)]
                yield ast.Call(ast.Attribute(node, "sum", ast.Load()), args, axis)

    def _longer(self, shapes: Shapes) -> list[Shapes]:
        """The shapes of what is at hand with one axis before these."""
        around = (*self.place.around.floats, *self.place.around.complexes)
        atoms = (one for one in around if len(one.shape) == 2 and one.shape[1:] == shapes[0])
        of_each = (self._factor(one) for one in atoms)
        found = {tuple(part.shape for part in parts) for parts in of_each if parts is not None}
        return sorted(one for one in found if tuple(shape[1:] for shape in one) == shapes)


def pairs(lefts: Sequence[Valued], rights: Sequence[Valued], equation: Equation) -> list[tuple[ast.expr, ast.expr]]:
    """Those whose products, summed over all entries and executions, are what lacks."""
    if not lefts or not rights:
        return []
    left, right = (np.array([value.ravel() for _, value in of_side]) for of_side in (lefts, rights))
    close = np.abs(np.real(left @ right.T) - equation.lacking) <= 1e-9 * equation.scale
    return [(lefts[i][0], rights[j][0]) for i, j in list(zip(*np.nonzero(close), strict=True))[:MOST_FOUND]]


def _spread(place: Workplace, atom: Atom, shapes: Shapes) -> Array | None:
    parts = values_at(place, atom.node)
    if parts is None:
        return None
    try:
        return side_by_side([np.broadcast_to(one, to) for one, to in zip(parts, shapes, strict=True)]).ravel()
    except ValueError:
        return None


def _by_entry(rows: Rows, equation: Equation, degree: int) -> Iterator[ast.expr]:
    """One, two or three of the rows multiplied by entry."""
    values, nodes = rows.values, rows.nodes
    if values.size == 0 or values.shape[1] != equation.slopes.size:
        return
    close = 1e-9 * equation.scale
    weighted = values * equation.slopes
    if degree == 1:
        found = np.flatnonzero(np.abs(np.real(weighted.sum(axis=1)) - equation.lacking) <= close)
        yield from (nodes[i] for i in found[:MOST_FOUND])
    elif degree == 2:
        pairs = np.triu(np.abs(np.real(weighted @ values.T) - equation.lacking) <= close)
        for i, j in list(zip(*np.nonzero(pairs), strict=True))[:MOST_FOUND]:
            yield binary(nodes[i], ast.Mult(), nodes[j])
    else:
        left, right = np.triu_indices(len(nodes))
        order = np.argsort(left + right, kind="stable")[:MOST_PAIRS]  # those that stand near come first
        left, right = left[order], right[order]
        triples = (weighted[left] * values[right]) @ values.T
        which, third = np.nonzero(np.abs(np.real(triples) - equation.lacking) <= close)
        several = [(left[p], right[p], k) for p, k in zip(which, third, strict=True) if right[p] <= k]
        for i, j, k in several[:MOST_FOUND]:
            yield binary(binary(nodes[i], ast.Mult(), nodes[j]), ast.Mult(), nodes[k])
