"""Small constants that the loss adds and the backward leaves out: ``log(p + 1e-7)`` with ``p - y``.

All gradients are off by as little then, and nothing in the backward is quite a derivative. The other faults are looked
for in the code without the constant, which is told and left where it is. One that is so small that the tape takes what
it changes for right is left out at the end alone, for the check of the edits, which sees it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

import numpy as np

from gradcheck._common.arrays import distance, norm
from gradcheck._mending import Mend
from gradcheck._repair.found import Mended
from gradcheck._repair.where_made import made_at
from gradcheck._repair.wrong_values import EVIDENCE, wrong_gradients
from gradcheck._tape import Node, TapedRun
from gradcheck.report.codes import FindingCode

#: the largest of them; what is larger is meant to change the loss
LARGEST = 1e-4
#: the least part of what they are added to that is no rounding
LEAST = 1e-13
#: statements with one that are looked at
MOST = 4
#: without the constants, gradients that differ by them alone are nearer to the truth by this factor ...
_NEARER = 10.0
#: ... and what is this near to it differs by rounding
_ROUNDING = 1e-12


def small_constants(run: TapedRun) -> list[Mended]:
    """The statements of the forward that add one, each with the edit that leaves it out, in the order of running.

    Where something is divided by what it is added to, it may keep that from being zero: with zeros it stays.
    """
    found = {id(node.place.statement): node for node in run.nodes[: run.boundary] if node.place and _adds_small(node)}
    return [fault for node in list(found.values())[:MOST] for fault in _left_out(node)]


def sizes_of(run: TapedRun) -> dict[str, float]:
    """The norm of each true gradient."""
    return {name: norm(one) for name, one in run.true_gradients.items()}


def vanishes(before: Mapping[str, float], run: TapedRun) -> bool:
    """Whether a true gradient is gone, and not only moved by what was left out: then all that is near zero is right.

    What is normalised over two units is the same whatever they are, but for the constant.
    """
    return any(after < LARGEST * before[name] for name, after in sizes_of(run).items() if before.get(name))


def doubt_about(run: TapedRun) -> float:
    """By what part of themselves gradients differ from the truth that are not wrong, at the most."""
    wrong, given = wrong_gradients(run), run.gradients  # there may be one of no parameter, or of another shape
    told = {name: true for name, true in run.true_gradients.items() if name in given and name not in wrong}
    pairs = [(true, np.asarray(given[name])) for name, true in told.items() if np.any(true)]
    return max((distance(one, true) / norm(true) for true, one in pairs if one.shape == true.shape), default=0.0)


def is_settled(before: float, after: float) -> bool:
    """Whether doubt of this size comes from what was left out between."""
    return before > _ROUNDING and after * _NEARER < before


def _adds_small(node: Node) -> bool:
    if node.op not in ("add", "subtract") or len(node.inputs) != 1 or node.value is None or not node.size:
        return False
    before = np.asarray(node.inputs[0].value)
    if before.shape != np.shape(node.value):
        return False
    added = _added(node)
    return LEAST * float(np.max(np.abs(before))) < added <= LARGEST and added < float(np.min(np.abs(before)))


def _added(node: Node) -> float:
    return float(np.max(np.abs(np.asarray(node.value) - np.asarray(node.inputs[0].value))))


def _left_out(node: Node) -> Iterator[Mended]:
    assert node.place is not None
    statement, (code, expression) = node.place.statement, made_at(node.place)
    if isinstance(expression, ast.BinOp) and isinstance(expression.op, (ast.Add, ast.Sub)):
        constant = expression.left if node.operands == (1,) else expression.right
        edit = code.replaced(constant, ast.Constant(0))
        mend = Mend(statement.file, (edit,), statement, (), (), EVIDENCE)
        name, value = ast.unparse(constant), _added(node)
        told = name if isinstance(constant, ast.Constant) else f"{name} = {value:.3g}"
        yield Mended(statement, (), None, mend, code=FindingCode.CONSTANT_LEFT_OUT, name=told)
