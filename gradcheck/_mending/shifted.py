"""A sequence that lies one step beside: all steps side by side in an array, where each needs its neighbour."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck._mending.details import numpys
from gradcheck._mending.slots import Candidate, Slot, Workplace
from gradcheck._mending.syntax import number

#: axes that may be those of time: the first, or the one behind the batch
_AXES = (0, 1)
#: arrays that may be what stands before the first step
MOST_FIRST = 4


def shifted(place: Workplace) -> Iterator[Candidate]:
    """What a step later or earlier holds: zeros come in at the end, or what there is before the first step."""
    for slot in place.floats:
        for axis in _AXES if slot.is_plain else ():
            if len(slot.shape) > max(axis, 1) and slot.shape[axis] > 1:
                for parts in _neighbours(place, slot, axis):
                    keywords = [ast.keyword("axis", number(axis))] if axis else []
                    call = ast.Call(numpys("concatenate"), [ast.List(parts, ast.Load())], keywords)
                    yield Candidate.of(slot.node, call)


def _neighbours(place: Workplace, slot: Slot, axis: int) -> Iterator[list[ast.expr]]:
    one, end = number(1), ast.UnaryOp(ast.USub(), number(1))
    nothing = ast.Call(numpys("zeros_like"), [_steps(slot.node, axis, ast.Slice(None, one))], [])
    yield [_steps(slot.node, axis, ast.Slice(one)), nothing]
    yield [nothing, _steps(slot.node, axis, ast.Slice(None, end))]
    of_one_step = (*slot.shape[:axis], *slot.shape[axis + 1 :])
    for atom in [one for one in place.around.of_shape(of_one_step) if one.plain][:MOST_FIRST]:
        first = _steps(atom.node, axis, ast.Constant(None))
        yield [first, _steps(slot.node, axis, ast.Slice(None, end))]


def _steps(node: ast.expr, axis: int, index: ast.expr) -> ast.expr:
    """Some of the steps along an axis: x[index] or x[:, index]."""
    whole = index if not axis else ast.Tuple([ast.Slice(), index], ast.Load())
    return ast.Subscript(node, whole, ast.Load())
