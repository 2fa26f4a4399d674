"""The derivative of a penalty on the weights, which the loss has and their gradient lacks."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

import numpy as np

from gradcheck._mending.atoms import Atom, Surroundings
from gradcheck._mending.outside import Edit
from gradcheck._mending.residual import agree
from gradcheck._mending.suspects import Suspect
from gradcheck._mending.syntax import Code, loop_counters, names_in, span

#: factors that are tried beside one of the user's numbers: of c * w**2 there comes 2 * c * w
_FACTORS = ((1.0, "{}"), (2.0, "2 * {}"), (0.5, "0.5 * {}"), (-1.0, "-{}"), (-2.0, "-2 * {}"))
#: what binds less than a sum
_LOOSE = (ast.IfExp, ast.Lambda, ast.BoolOp, ast.Compare, ast.Starred, ast.Tuple)
#: how many digits a number has that is written as it is
DIGITS = 3


def penalties(suspect: Suspect, around: Surroundings) -> Iterator[tuple[Edit, ...]]:
    """A multiple of an array added to what the statement gives, or to the sum that it goes on with, behind the loop."""
    for term in _terms(suspect, around):
        edit = _added(suspect, term)
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
            value = np.asarray(atom.value, np.float64)
            square = float(np.vdot(value, value))
            factor = float(np.vdot(value, lacking)) / square if square else 0.0
            if factor and agree(factor * value, lacking):
                yield from (f"{text} * {atom.text}" for text in _written(factor, around))


def _written(factor: float, around: Surroundings) -> Iterator[str]:
    """A number in the user's names, or as it is where it is a short one."""
    numbers = [one for one in (*around.floats, *around.integers) if not one.shape and one.value]
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
        if one.shape or not one.value:
            continue
        for count in around.integers:
            if count.value > 1 and _is_close(float(one.value) / count.value, factor):
                yield one, count


def _is_close(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-7 * abs(other)


def _added(suspect: Suspect, term: str) -> Edit | None:
    code, tree = suspect.code, suspect.tree
    match tree:
        case ast.Assign(value=value) if not isinstance(value, _LOOSE):
            return Edit(*span(value), f"{code.segment(value)} + {term}")
        case ast.AugAssign(target=target, op=ast.Add()):
            around = _last_sum_behind(code, [tree, *code.loops_around(tree)][-1])
            names = names_in(target)
            if names & set(loop_counters(code, tree)):
                return None
            end = span(around)[1]
            return Edit(end, end, f"\n{' ' * around.col_offset}{code.segment(target)} += {term}")
    return None


def _last_sum_behind(code: Code, statement: ast.stmt) -> ast.stmt:
    """The last of the sums that go on right behind a statement; the statement itself where none does."""
    around = code.parent(statement)
    blocks = [block for _, block in ast.iter_fields(around)] if around is not None else []
    block = next((one for one in blocks if isinstance(one, list) and statement in one), [statement])
    behind = block[block.index(statement) + 1 :]
    sums = list[ast.stmt](itertools.takewhile(lambda one: isinstance(one, ast.AugAssign), behind))
    return sums[-1] if sums else statement
