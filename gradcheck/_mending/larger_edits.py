"""Larger edits of an expression: another expression of the function, a factor or a term more."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from gradcheck._mending.details import Family, forms, more_forms, numpys
from gradcheck._mending.frames import UnknownError
from gradcheck._mending.slopes import slopes
from gradcheck._mending.slots import Candidate, Workplace
from gradcheck._mending.small_edits import scales
from gradcheck._mending.syntax import binary, name, number, one_minus, transposed
from gradcheck._tape.nodes import Array

#: what is added to a sum of squares, so that nothing is divided by zero, takes less than this from it
LITTLE = 0.01
#: numbers between which something is kept
MOST_ENDS = 6
#: conditions under which a term more is tried
MOST_CONDITIONS = 4


def other_expressions(place: Workplace) -> Iterator[Candidate]:
    """Another expression of the same function, of the same shape."""
    for slot in place.floats:
        for atom in place.around.of_shape(slot.shape):
            if atom.node is not slot.node and not (atom.plain and slot.is_plain):
                yield Candidate.of(slot.node, atom.node)


def helped(place: Workplace) -> Iterator[Candidate]:
    """A helper's value of something at hand, or of its negative, or one less that value: sigmoid(-x)."""
    for slot in place.floats:
        for helper in place.around.helpers:
            for atom in place.around.of_shape(slot.shape):
                if atom.plain or isinstance(atom.node, ast.Call):
                    called = ast.Call(name(helper), [atom.node], [])
                    yield Candidate.of(slot.node, called)
                    if atom.plain:
                        less = ast.UnaryOp(ast.USub(), atom.node)
                        yield Candidate.of(slot.node, ast.Call(name(helper), [less], []))
                        yield Candidate.of(slot.node, one_minus(called))


def formed_others(place: Workplace) -> Iterator[Candidate]:
    """A form of another value in the place of a part."""
    for slot in place.floats:
        for atom in place.around.of_shape(slot.shape):
            if atom.plain:
                for new in (*forms(atom.node), *more_forms(atom.node)):
                    yield Candidate.of(slot.node, new)


def formed_inside(place: Workplace) -> Iterator[Candidate]:
    """A form of a part in the place of what it is a part of: 1 - a for 1 / (1 + a)."""
    for slot in place.outermost(ast.Mult):
        inside = {id(node) for node in ast.walk(slot.node) if node is not slot.node}
        for part in place.floats:
            if id(part.node) in inside and part.shape == slot.shape and not isinstance(part.node, ast.BinOp):
                for new in (*forms(part.node), *more_forms(part.node)):
                    yield Candidate.of(slot.node, new)


def other_operands(place: Workplace) -> Iterator[Candidate]:
    """Something of another shape for an argument of a call, or for a factor of a product of matrices."""
    for slot in place.floats:
        match slot.node:
            case ast.Call(args=args):
                operands = args
            case ast.BinOp(left=left, op=ast.MatMult(), right=right):
                operands = [left, right]
            case _:
                continue
        shapes = {id(one.node): one.shape for one in place.floats}
        for operand in operands:
            if id(operand) in shapes:
                for atom in place.around.floats:
                    if atom.shape != shapes[id(operand)] and atom.shape:
                        yield Candidate.of(operand, atom.node)


def clipped(place: Workplace) -> Iterator[Candidate]:
    """A part kept between a number that is at hand and its negative: the derivative of Huber's loss.

    Huber, Robust estimation of a location parameter, 1964.
    """
    ends = [one.node for one in place.around.floats if one.shape == () and one.plain and one.value > 0][:MOST_ENDS]
    for slot in (one for one in place.floats if one.shape and one.is_plain):
        for end in ends:
            limits = [ast.UnaryOp(ast.USub(), end), end]
            yield Candidate.of(slot.node, ast.Call(numpys("clip"), [slot.node, *limits], []))


def under_conditions(place: Workplace) -> Iterator[Candidate]:
    """A term more, or a factor, where a condition holds that stands in the file: what is added in some layers alone."""
    root = place.hole.root
    for slot in (one for one in place.floats if one.node is root):
        for test in _conditions(place):
            for atom in place.around.of_shape(slot.shape):
                for op in (ast.Add(), ast.Mult()) if atom.plain and atom.text != place.code.segment(root) else ():
                    more = binary(root, op, atom.node)
                    yield Candidate.of(root, ast.IfExp(test, more, root))
                    yield Candidate.of(root, ast.IfExp(test, root, more))


def _conditions(place: Workplace) -> list[ast.expr]:
    """Conditions of the file that hold at some of the executions alone."""
    found: dict[str, ast.expr] = {}
    for node in ast.walk(place.code.tree):
        if isinstance(node, (ast.IfExp, ast.If)):
            found.setdefault(ast.unparse(node.test), node.test)
    return [test for test in found.values() if _differs(place, test)][:MOST_CONDITIONS]


def _differs(place: Workplace, test: ast.expr) -> bool:
    try:
        values = {bool(one.frame.value(test)) for one in place.hole.executions}
    except (UnknownError, ValueError):  # arrays are neither true nor false
        return False
    return len(values) > 1


def swishes(place: Workplace) -> Iterator[Candidate]:
    """The derivative of x * s, where s is the logistic function of x: s * (1 + x * (1 - s)).

    Ramachandran, Zoph and Le, Searching for activation functions, 2017.
    """
    for slot in place.floats if any(_is_between(one.value) for one in place.floats) else ():
        for s, x in place.shared(f"swishes of {slot.shape}", partial(_logistic_pairs, place, slot.shape)):
            more = binary(number(1), ast.Add(), binary(x, ast.Mult(), one_minus(s)))
            yield Candidate.of(slot.node, binary(s, ast.Mult(), more))


def _logistic_pairs(place: Workplace, shape: tuple[int, ...]) -> list[tuple[ast.expr, ast.expr]]:
    """What is the logistic function of what, of all that is at hand in this shape."""
    around = [one for one in place.around.of_shape(shape) if one.plain and one.is_float and np.size(one.value)]
    between = [one for one in around if _is_between(one.value)]
    return [
        (s.node, x.node)
        for s in between
        for x in around
        if np.allclose(np.log(s.value) - np.log1p(-np.asarray(s.value)), x.value, rtol=1e-9, atol=1e-9)
    ]


def _is_between(value: Array) -> bool:
    """Whether all of it is between 0 and 1, as what a logistic function gives."""
    return bool(np.size(value) and np.min(value) > 0 and np.max(value) < 1)


def jacobians(place: Workplace) -> Iterator[Candidate]:
    """The vector-Jacobian products of a softmax, its logarithm, and a normalisation, of what is at hand.

    s * (g - sum(g * s)) where s sums to one along an axis, or g - s * sum(g); (g - mean(g) - x * mean(g * x)), to be
    divided by the spread, where x has the mean zero and the variance one (Ba, Kiros and Hinton, Layer normalization,
    2016); the same without the mean of g where x has the mean square one (Zhang and Sennrich, Root mean square layer
    normalization, 2019), or with sums where its squares sum to one.
    """
    for slot in place.floats:
        around = place.around.of_shape(slot.shape)
        for one in around if slot.shape else ():
            others = [other.node for other in around if other.node is not one.node]
            for axis in range(len(slot.shape) if one.is_float else 0):
                products = _products_along(np.asarray(one.value), axis)
                for other in others if products else ():
                    yield from (Candidate.of(slot.node, through(one.node, other, axis)) for through in products)


def _products_along(value: Array, axis: int) -> tuple[Callable[[ast.expr, ast.expr, int], ast.expr], ...]:
    """The vector-Jacobian products of what gave a value, as far as it tells by itself what that was."""
    # what is masked has no share
    if np.all(value >= 0) and np.any((value > 0) & (value < 1)) and np.allclose(value.sum(axis=axis), 1):
        return _through_softmax, _through_log_softmax
    if np.all(value < 0) and np.allclose(np.exp(value).sum(axis=axis), 1):
        return (lambda x, g, axis: _through_log_softmax(ast.Call(numpys("exp"), [x], []), g, axis),)
    if value.shape[axis] > 1 and (scale := _scale_of_squares(value, axis)) is not None:
        return (partial(_through_scale, function=scale),)
    return (_through_norm,) if value.shape[axis] > 2 and _is_normalised(value, axis) else ()


def _scale_of_squares(value: Array, axis: int) -> str | None:
    """How squares are added up to one, or to a little less where something was added to them; None if they are not.

    What has the mean zero as well went through another normalisation.
    """
    if np.allclose(value.mean(axis=axis), 0, atol=1e-9):
        return None
    squares = value**2
    for function, total in (("sum", squares.sum(axis=axis)), ("mean", squares.mean(axis=axis))):
        if np.all((total > 1 - LITTLE) & (total < 1 + 1e-9)):
            return function
    return None


def _is_normalised(value: Array, axis: int) -> bool:
    """Whether it has the mean zero, and the variance one or, where something was added to its square, less."""
    spread = (value**2).mean(axis=axis)
    return bool(np.allclose(value.mean(axis=axis), 0, atol=1e-9) and np.all((spread > 0.1) & (spread < 1 + 1e-9)))


def _through_softmax(s: ast.expr, g: ast.expr, axis: int) -> ast.expr:
    total = _along(binary(g, ast.Mult(), s), "sum", axis)
    return binary(s, ast.Mult(), binary(g, ast.Sub(), total))


def _through_log_softmax(s: ast.expr, g: ast.expr, axis: int) -> ast.expr:
    return binary(g, ast.Sub(), binary(s, ast.Mult(), _along(g, "sum", axis)))


def _through_scale(x: ast.expr, g: ast.expr, axis: int, function: str) -> ast.expr:
    return binary(g, ast.Sub(), binary(x, ast.Mult(), _along(binary(g, ast.Mult(), x), function, axis)))


def _through_norm(x: ast.expr, g: ast.expr, axis: int) -> ast.expr:
    rest = binary(g, ast.Sub(), _along(g, "mean", axis))
    return binary(rest, ast.Sub(), binary(x, ast.Mult(), _along(binary(g, ast.Mult(), x), "mean", axis)))


def _along(node: ast.expr, function: str, axis: int) -> ast.expr:
    keywords = [ast.keyword("axis", ast.Constant(axis)), ast.keyword("keepdims", ast.Constant(True))]
    return ast.Call(ast.Attribute(node, function, ast.Load()), [], keywords)


def masks(place: Workplace) -> Iterator[Candidate]:
    """A condition more, or its opposite."""
    for slot in place.outermost(ast.Mult, ast.Div):
        for atom in place.around.conditions_fitting(slot.shape):
            yield Candidate.of(slot.node, binary(slot.node, ast.Mult(), atom.node))
            yield Candidate.of(slot.node, binary(slot.node, ast.Mult(), ast.UnaryOp(ast.Invert(), atom.node)))


def lengths(place: Workplace) -> Iterator[Candidate]:
    """A division by a length of its own for each example, or a product with it."""
    for slot in place.outermost(ast.Mult, ast.Div):
        for atom in place.around.counts_fitting(slot.shape):
            yield Candidate.of(slot.node, binary(slot.node, ast.Div(), atom.node))
            yield Candidate.of(slot.node, binary(slot.node, ast.Mult(), atom.node))


def mirrored_terms(place: Workplace) -> Iterator[Candidate]:
    """A square matrix less its transpose, or both added: what comes back to W through W - W.T or W + W.T."""
    for slot in place.floats:
        if len(slot.shape) == 2 and slot.shape[0] == slot.shape[1]:
            for op in (ast.Sub(), ast.Add()):
                yield Candidate.of(slot.node, binary(slot.node, op, transposed(slot.node)))


def terms(place: Workplace) -> Iterator[Candidate]:
    """A term more."""
    for slot in place.outermost(ast.Add, ast.Sub):
        for atom in place.around.fitting(slot.shape):
            yield Candidate.of(slot.node, binary(slot.node, ast.Add(), atom.node))
            yield Candidate.of(slot.node, binary(slot.node, ast.Sub(), atom.node))


def factors(place: Workplace) -> Iterator[Candidate]:
    """A factor more."""
    for slot in place.outermost(ast.Mult, ast.Div):
        for atom in place.around.fitting(slot.shape):
            if not atom.plain:
                yield Candidate.of(slot.node, binary(slot.node, ast.Mult(), atom.node))
                continue
            yield Candidate.of(slot.node, binary(slot.node, ast.Mult(), atom.node))
            for new in (*forms(atom.node), ast.Compare(atom.node, [ast.Gt()], [number(0)])):
                yield Candidate.of(slot.node, binary(slot.node, ast.Mult(), new))
            yield Candidate.of(slot.node, binary(slot.node, ast.Div(), atom.node))
        if slot.shape:
            for atom in place.around.widening(slot.shape):
                if atom.plain:
                    yield Candidate.of(slot.node, binary(atom.node, ast.Mult(), slot.node))


def other_scales(place: Workplace) -> Iterator[Candidate]:
    """Something else in the place of a number that scales: a mask, or what there is of each example, as its weight."""
    for scale, shape in scales(place):
        around = place.code.parent(scale)
        for atom in place.around.fitting(shape):
            if atom.plain:
                yield Candidate.of(scale, atom.node)
            if atom.plain and isinstance(around, ast.BinOp) and isinstance(around.op, ast.Div):
                yield Candidate.of(around, binary(around.left, ast.Mult(), atom.node))


SECOND: tuple[Family, ...] = (
    masks, lengths, mirrored_terms, slopes, other_scales, jacobians, swishes, formed_inside, other_operands, factors,
    terms, other_expressions, helped, formed_others, clipped, under_conditions,
)  # fmt: skip
