"""What is at hand times a number that is at hand: `lam * c / B`, where the derivative of a penalty is missing."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

import numpy as np

from gradcheck._mending.library import Library
from gradcheck._mending.padding import filled_up, side_by_side
from gradcheck._mending.products import lacking_of, slopes_at
from gradcheck._mending.residual import TOLERANCE
from gradcheck._mending.slots import Candidate, Workplace
from gradcheck._mending.syntax import binary, number
from gradcheck._tape.nodes import Array

#: numbers that are multiplied and divided
MOST_NUMBERS = 16
#: how exactly they have to give the number that is wanted
SAME = 1e-9

#: a number, and how it is written
Number = tuple[float, ast.expr]


def multiples(place: Workplace) -> Iterator[Candidate]:
    """A multiple of what is at hand, as a term more or for the whole expression."""
    root = place.hole.root
    slot = next((one for one in place.floats if one.node is root), None)
    lacking = None if slot is None else lacking_of(place)
    found = None if lacking is None else slopes_at(place, root)
    if slot is None or lacking is None or found is None:
        return
    slopes, given = found
    shapes = tuple(one.shape for one in given)
    library = place.shared("library", lambda: Library(place))
    rows, joined = library.rows(shapes), np.hstack(filled_up(slopes, shapes))
    if rows.values.size == 0 or rows.values.shape[1] != joined.shape[1]:
        return
    moved = np.real(rows.values @ joined.T)
    whole = lacking + np.real(joined @ side_by_side(given).ravel())
    is_zero = not any(np.any(one) for one in given)
    for wanted, is_term in ((whole, False), *(() if is_zero else ((lacking, True),))):
        for row, factor in _parallel(moved, wanted, place.hole.residual.scale):
            for scaled in _scaled(place, rows.nodes[row], abs(factor)):
                sign = ast.Add() if factor > 0 else ast.Sub()
                if is_term:
                    yield Candidate.of(root, binary(root, sign, scaled))
                else:
                    yield Candidate.of(root, scaled if factor > 0 else ast.UnaryOp(ast.USub(), scaled))


def _parallel(moved: Array, wanted: Array, scale: Array) -> Iterator[tuple[int, float]]:
    """The rows of which a multiple is wanted, and which."""
    rows, target = moved / scale, wanted / scale
    if not np.any(np.abs(target) > 10 * TOLERANCE):
        return
    with np.errstate(all="ignore"):
        factors = (rows @ target) / np.sum(rows**2, axis=1)
    left = np.max(np.abs(target - factors[:, None] * rows), axis=1)
    for row in np.flatnonzero(left <= 10 * TOLERANCE):
        yield int(row), float(factors[row])


def _scaled(place: Workplace, node: ast.expr, factor: float) -> Iterator[ast.expr]:
    """An expression times a number: by one number that has a name, or over one, else by two or three."""
    if abs(factor - 1) <= SAME:
        return  # it is at hand as it is
    numbers = _numbers(place)
    ones: list[Number] = [(1.0, number(1)), *numbers]
    found = [
        _times(node, [above], [below])
        for (a, above), (b, below) in itertools.product(ones, ones)
        if abs(a / b - factor) <= SAME * factor
    ]
    for ((a, one), (b, other)), (c, below) in itertools.product(itertools.combinations(numbers, 2), ones):
        if found or c in (a, b):
            continue
        if abs(a * b / c - factor) <= SAME * factor:
            found.append(_times(node, [one, other], [below]))
        elif c != 1 and abs(c / (a * b) - factor) <= SAME * factor:
            found.append(_times(node, [below], [one, other]))
    yield from found


def _times(node: ast.expr, above: list[ast.expr], below: list[ast.expr]) -> ast.expr:
    for one in above:
        node = node if _is_one(one) else binary(one, ast.Mult(), node)
    for one in below:
        node = node if _is_one(one) else binary(node, ast.Div(), one)
    return node


def _is_one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1


def _numbers(place: Workplace) -> list[Number]:
    around = place.around
    floats = [one for one in around.floats if one.shape == () and one.plain]
    found = [(float(one.value), one.node) for one in (*floats, *around.integers, *around.scalars) if one.value]
    by_value: dict[float, ast.expr] = {}  # one name for each number, the nearest
    for value, node in found:
        if value > 0 and value != 1 and len(by_value) < MOST_NUMBERS:
            by_value.setdefault(value, node)
    by_value.setdefault(2.0, number(2))
    return list(by_value.items())
