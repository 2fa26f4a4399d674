"""Running sums from the last entry to the first: what comes back through a running sum is one the other way round."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from gradcheck._mending.details import is_numpys
from gradcheck._mending.slots import Candidate, Workplace
from gradcheck._mending.syntax import backwards, item


def from_the_end(place: Workplace) -> Iterator[Candidate]:
    """The same sum, of what is turned round, turned round."""
    for slot in place.slots:
        match slot.node:
            case ast.Call(func=ast.Attribute(attr="cumsum") as func, args=args, keywords=keywords):
                axis = _axis(args[1:] if is_numpys(func) else args, keywords)
            case _:
                continue
        if axis is None or not isinstance(slot.value, np.ndarray) or not -slot.value.ndim <= axis < slot.value.ndim:
            continue  # without one, what is summed is flattened before
        turn = _round_along(axis % slot.value.ndim)
        if is_numpys(func):
            call = ast.Call(func, [item(args[0], turn), *args[1:]], keywords)
        else:
            call = ast.Call(ast.Attribute(item(func.value, turn), "cumsum", ast.Load()), args, keywords)
        yield Candidate.of(slot.node, item(call, turn))


def _axis(args: list[ast.expr], keywords: list[ast.keyword]) -> int | None:
    """The number of the axis; zero where none is named, as of a vector."""
    given = [*args[:1], *(one.value for one in keywords if one.arg == "axis")]
    try:
        axis = ast.literal_eval(given[0]) if given else 0
    except ValueError:
        return None
    return axis if isinstance(axis, int) else None


def _round_along(axis: int) -> ast.expr:
    """The index that turns an array round along an axis."""
    return ast.Tuple([*(ast.Slice() for _ in range(axis)), backwards()], ast.Load()) if axis else backwards()
