"""How the gradients move with a part of an expression, given how they move with the whole."""

from __future__ import annotations

import ast

import numpy as np

from gradcheck._mending.frames import UnknownError
from gradcheck._mending.holes import Execution, Hole
from gradcheck._tape.nodes import Array
from gradcheck._tape.pairs import as_pairs, in_double, is_complex, slopes_as_before


def slopes_of(hole: Hole, one: Execution, part: ast.expr) -> Array | None:
    """The projections' derivatives with respect to a part of the hole at one execution, (m, size).

    Of complex values one complex number for each (`slopes_as_before`).

    The way from the whole to the part is gone with the values that its variables have now, which may be those that they
    will have once the statement is right; through calls, with those on the tape.
    """
    if part is hole.root:
        return _of_whole(hole, one)
    around = hole.code.parent(part)
    if isinstance(around, (ast.BinOp, ast.UnaryOp, ast.Attribute)):
        behind = slopes_of(hole, one, around)
        try:
            found = None if behind is None else _step(one, behind, around, part)
        except (UnknownError, ValueError, TypeError):
            return None
        if found is not None:
            return found.reshape(len(found), -1)
    return hole.inner_slopes(one, part)


def _of_whole(hole: Hole, one: Execution) -> Array | None:
    if len(one.slopes) != 1 or one.values[0] is None:
        return None
    given = one.values[0]
    like = given if hole.operator is None else one.target
    if one.slopes[0].shape[1] != np.size(as_pairs(like)):
        return None
    slopes = slopes_as_before(one.slopes[0], like)
    slopes = slopes if is_complex(given) else np.real(slopes)
    if hole.operator is None:
        return slopes
    if hole.operator in ("Add", "Sub") and np.size(one.target) == given.size:
        return slopes if hole.operator == "Add" else -slopes
    return None


def _step(one: Execution, behind: Array, around: ast.expr, part: ast.expr) -> Array | None:
    """From an expression to one of its operands; None if this kind of step is unknown."""
    frame = one.frame
    whole = np.asarray(in_double(frame.value(around)))
    g = behind.reshape(len(behind), *whole.shape)
    match around:
        case ast.UnaryOp(op=ast.USub()):
            return -g
        case ast.Attribute(attr="T"):
            return g.transpose(0, *range(whole.ndim, 0, -1))
        case ast.Attribute(attr="real" | "imag" as attr) if is_complex(frame.value(around.value)):
            return g + 0j if attr == "real" else -1j * g
        case ast.BinOp():
            left, right = (np.asarray(in_double(frame.value(side))) for side in (around.left, around.right))
            first = around.left is part
            result = _operand(g, around.op, left, right, first=first)
            own = left if first else right
            result = result if result is None or is_complex(own) else np.real(result)
            return None if result is None else _summed(result, own.shape)
    return None


def _operand(g: Array, op: ast.operator, left: Array, right: Array, *, first: bool) -> Array | None:
    match op:
        case ast.Add():
            return g
        case ast.Sub():
            return g if first else -g
        case ast.Mult():
            return g * (right if first else left)
        case ast.Div():
            return g / right if first else -g * left / right**2
        case ast.Pow() if first:
            return np.asarray(g * right * left ** (right - 1))
        case ast.MatMult() if left.ndim == right.ndim == 2:
            return g @ right.T if first else left.T @ g
    return None


def _summed(g: Array, shape: tuple[int, ...]) -> Array:
    """Summed over what was broadcast."""
    extra = g.ndim - 1 - len(shape)
    if extra > 0:
        g = g.sum(axis=tuple(range(1, 1 + extra)))
    axes = tuple(axis + 1 for axis, length in enumerate(shape) if length == 1 and g.shape[axis + 1] != 1)
    return g.sum(axis=axes, keepdims=True) if axes else g
