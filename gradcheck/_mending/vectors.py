"""Products of vectors, as code has them that takes one example at a time: W v, u vᵀ, u·v, and sums over all entries."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from gradcheck._mending.details import numpys
from gradcheck._mending.library import MOST_MATRICES, Equation, Library, pairs
from gradcheck._mending.syntax import binary, matrix_product
from gradcheck._tape.nodes import Array


def of_vectors(library: Library, shape: tuple[int, ...], equation: Equation, degree: int) -> Iterator[ast.expr]:
    """Expressions of this shape that solve the equation, of one factor that is summed, or of two.

    Args:
        library: What is at hand.
        shape: Of the expression.
        equation: What it has to solve.
        degree: The number of factors.
    """
    entries = int(np.prod(shape))
    if equation.slopes.size != library.count * entries or len(shape) > 2:
        return
    weights = equation.slopes.reshape(library.count, *shape)
    if entries == 1:
        yield from _summed(library, weights.reshape(-1), equation, degree)
    if degree != 2:
        return
    code, vectors = library.place.code, library.stacked(1)[:MOST_MATRICES]
    if len(shape) == 1:
        by_shape = defaultdict(list)
        for node, matrix in library.sides():
            by_shape[matrix.shape[1:]].append((node, matrix))
        for (rows, inner), matrices in by_shape.items():
            if rows == shape[0]:
                lefts = [(node, np.einsum("enk,en->ek", matrix, weights)) for node, matrix in matrices]
                rights = [one for one in vectors if one[1].shape[1] == inner]
                yield from (matrix_product(code, a, b) for a, b in pairs(lefts, rights, equation))
    elif len(shape) == 2:
        lefts = [(u, np.einsum("en,enm->em", x, weights)) for u, x in vectors if x.shape[1] == shape[0]]
        rights = [one for one in vectors if one[1].shape[1] == shape[1]]
        for a, b in pairs(lefts, rights, equation):
            yield ast.Call(numpys("outer"), [a, b], [])


def _summed(library: Library, weights: Array, equation: Equation, degree: int) -> Iterator[ast.expr]:
    """The sum of all entries of an array, or of a product of two; of vectors that is their dot product."""
    by_shape = defaultdict(list)
    for node, value in (one for axes in (1, 2, 3) for one in library.stacked(axes)[:MOST_MATRICES]):
        by_shape[value.shape].append((node, value))
    for shape, arrays in by_shape.items():
        weighted = [(node, value * weights.reshape(-1, *[1] * (len(shape) - 1))) for node, value in arrays]
        if degree == 1:
            for node, value in weighted:
                if abs(float(np.real(value.sum())) - equation.lacking) <= 1e-9 * equation.scale:
                    yield ast.Call(ast.Attribute(node, "sum", ast.Load()), [], [])
        elif degree == 2:
            for a, b in pairs(weighted, arrays, equation):
                both = ast.Call(numpys("sum"), [binary(a, ast.Mult(), b)], [])
                yield matrix_product(library.place.code, a, b) if len(shape) == 2 else both
