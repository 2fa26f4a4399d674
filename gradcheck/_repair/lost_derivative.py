"""A derivative that gets lost, added to what is read after it.

As the gradient of the state in which a decoder began, which the encoder behind it has to go on with.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gradcheck._localising.lost import Lost, lost_derivatives
from gradcheck._mending import Mend
from gradcheck._mending.gaps import Function, Gap, gaps_behind, own_nodes
from gradcheck._repair.each_gradient import gradients_behind
from gradcheck._repair.forward import forward_statements
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.missing_statement import functions_known
from gradcheck._repair.wrong_values import EVIDENCE, Taped, best_of, progress_of, wrong_gradients
from gradcheck._tape import TapedRun
from gradcheck._usercode.source import Source
from gradcheck._usercode.style import in_file_style

#: derivatives that are looked at
MOST_LOST = 3
#: statements that are tried for one
MOST_EDITS = 16


def lost_derivative(found: Found, taped: Taped) -> Mended | None:
    """The first that is lost, with the statement that adds it where more of what follows is right then.

    Args:
        found: What is found so far.
        taped: Puts edits in place, and gives a run with them.
    """
    with taped(found) as run:
        faults, reached = list(_faults(run)), progress_of(run)
    before = dict(found.edits)
    better = (best_of(found, one, before, taped, reached) for one in faults)
    return next((one for one in better if one is not None), None)


def _faults(run: TapedRun) -> Iterator[Mended]:
    wrong, forward = wrong_gradients(run), run.once(forward_statements)
    lost = [one for one in run.once(lost_derivatives) if id(one.statement) not in forward]
    for one in lost[:MOST_LOST]:
        texts = [
            (gap, text) for gap, function, local in _places(run, one) for text in _added(one, gap, function, local)
        ]
        source = Source(one.statement.file, one.statement.source.text)
        edits = [gap.filled(in_file_style(text, source)) for gap, text in texts[:MOST_EDITS]]
        mends = [Mend(one.statement.file, (edit,), one.statement, (), (), EVIDENCE) for edit in edits]
        if mends:
            gradients = gradients_behind(run, one.statement, wrong) or tuple(sorted(wrong))
            yield Mended(one.statement, gradients, None, mends[0], tuple(mends[1:]), is_by_value=True)


def _places(run: TapedRun, one: Lost) -> Iterator[tuple[Gap, Function, Mapping[str, Any]]]:
    """The gaps in which the variable still has that value, each with its function and the variables of that."""
    for statement, function, known in run.once(functions_known):
        if statement.file == one.statement.file and function.lineno <= one.statement.line <= (function.end_lineno or 0):
            for gap, is_behind_loop in gaps_behind(function, one.statement.line):
                if is_behind_loop or one.is_always:
                    yield gap, function, known.local


def _added(one: Lost, gap: Gap, function: Function, local: Mapping[str, Any]) -> Iterator[str]:
    """What can be added to, of all that is read behind the gap: arrays, their first and last items, and gradients."""
    nodes = (node for node in own_nodes(function) if isinstance(node, ast.Name) and node.lineno >= gap.line)
    names = dict.fromkeys(node.id for node in nodes if isinstance(node.ctx, ast.Load) and node.id != one.name)
    for name in names:
        for target, value in _targets(name, local.get(name)):
            if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
                continue
            if value.shape == one.value.shape:
                yield f"{target} += {one.name}"
            elif value.ndim and value.shape == one.value.shape[1:]:
                yield f"{target} += {one.name}.sum(axis=0)"


def _targets(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    yield name, value
    if isinstance(value, dict):
        yield from ((f"{name}[{key!r}]", one) for key, one in value.items() if isinstance(key, str))
    elif isinstance(value, list) and value:
        yield from ((f"{name}[{index}]", value[index]) for index in (-1, 0))
    elif isinstance(value, np.ndarray) and value.size:
        if value.ndim > 1:
            yield from ((f"{name}[{index}]", value[index]) for index in (-1, 0))
        if value.ndim > 2:
            yield from ((f"{name}[:, {index}]", value[:, index]) for index in (-1, 0))
