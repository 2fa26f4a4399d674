"""The derivative of a penalty on the weights, which the loss has and their gradient lacks."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from gradcheck._mending.atoms import Atom, Surroundings
from gradcheck._mending.gaps import Function, Gap, gap_at_end, gap_before
from gradcheck._mending.outside import Edit
from gradcheck._mending.residual import factor_between
from gradcheck._mending.suspects import Suspect
from gradcheck._mending.syntax import Code, loop_counters, names_in, span
from gradcheck._usercode.source import Source
from gradcheck._usercode.style import in_file_style

#: factors that are tried beside one of the user's numbers: of c * w**2 there comes 2 * c * w
_FACTORS = ((1.0, "{}"), (2.0, "2 * {}"), (0.5, "0.5 * {}"), (-1.0, "-{}"), (-2.0, "-2 * {}"))
#: what binds less than a sum
_LOOSE = (ast.IfExp, ast.Lambda, ast.BoolOp, ast.Compare, ast.Starred, ast.Tuple)
#: how many digits a number has that is written as it is
DIGITS = 3


def penalties(suspect: Suspect, around: Surroundings) -> Iterator[tuple[Edit, ...]]:
    """A multiple of an array added to what the statement gives, or to the sum that it goes on with, behind the loop."""
    source = Source(suspect.statement.file, suspect.code.text)
    for term in _terms(suspect, around):
        edit = _added(suspect, in_file_style(term, source))
        if edit is not None:
            yield (edit,)


def _terms(suspect: Suspect, around: Surroundings) -> Iterator[str]:
    """Multiples of arrays at hand that are just what a wrong gradient lacks."""
    residual = suspect.residual
    for name in residual.names:
        if name not in residual.wrong:
            continue
        lacking = residual.truth[name] - residual.given[name]
        for atom in around.of_shape(lacking.shape) if lacking.size > 1 else ():
            if atom.is_complex:
                continue
            factor = factor_between(np.asarray(atom.value, np.float64), lacking)
            if factor:
                yield from (f"{text} * {atom.text}" for text in _written(factor, around))


def _written(factor: float, around: Surroundings) -> Iterator[str]:
    """A number in the user's names, or as it is where it is a short one."""
    numbers = [one for one in (*around.floats, *around.integers) if one.plain and not one.shape and one.value]
    told = [
        text.format(one.text)
        for times, text in _FACTORS
        for one in numbers
        if _is_close(times * float(one.value), factor)
    ]
    told += [f"{one.text} / {count.text}" for one, count in _quotients(around, factor)]
    short = f"{factor:.{DIGITS}g}"
    yield from told or [short] * _is_close(float(short), factor)


def _quotients(around: Surroundings, factor: float) -> Iterator[tuple[Atom, Atom]]:
    for one in around.floats:
        if one.shape or not one.value or not one.plain:
            continue
        for count in around.integers:
            if count.plain and count.value > 1 and _is_close(float(one.value) / count.value, factor):
                yield one, count


def _is_close(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-7 * abs(other)


def _added(suspect: Suspect, term: str) -> Edit | None:
    code, tree = suspect.code, suspect.tree
    match tree:
        case ast.Assign(value=value) if not isinstance(value, _LOOSE):
            return Edit(*span(value), f"{code.segment(value)} + {term}")
        case ast.AugAssign(target=target, op=ast.Add()) if not names_in(target) & set(loop_counters(code, tree)):
            gap = _behind_sums(code, [tree, *code.loops_around(tree)][-1])
            return None if gap is None else gap.filled(f"{code.segment(target)} += {term}")
    return None


def _behind_sums(code: Code, statement: ast.stmt) -> Gap | None:
    """The place behind a statement, and behind sums that go on right there."""
    function, block = code.function(statement), code.block(statement)
    if not isinstance(function, Function):
        return None
    number = block.index(statement) + 1
    while number < len(block) and isinstance(block[number], ast.AugAssign):
        number += 1
    return gap_at_end(block, function) if number == len(block) else gap_before(block, number, function)
