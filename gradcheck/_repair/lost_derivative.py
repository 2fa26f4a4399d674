"""A derivative that gets lost, added to what is read after it.

As the gradient of the state in which a decoder began, which the encoder behind it has to go on with.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from gradcheck._localising.incomplete import given_whole
from gradcheck._localising.lost import Lost, lost_derivatives
from gradcheck._mending import Mend
from gradcheck._mending.gaps import Function, Gap, gaps_behind, own_nodes, parameters_of
from gradcheck._mending.idle import Known
from gradcheck._mending.syntax import Code, is_zeros
from gradcheck._repair.forward import forward_statements
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.missing_statement import functions_known
from gradcheck._repair.wrong_values import EVIDENCE, Progress, Taped, asked_with, progress_of, wrong_gradients
from gradcheck._tape import TapedRun
from gradcheck._usercode.source import Edit, Source
from gradcheck._usercode.style import in_file_style

#: derivatives that are looked at
MOST_LOST = 2
#: statements that are tried for one
MOST_EDITS = 8


def lost_derivative(found: Found, taped: Taped) -> Mended | None:
    """The first that is lost, with the statement that adds it where more of what follows is right then.

    Args:
        found: What is found so far.
        taped: Puts edits in place, and gives a run with them.
    """
    with taped(found) as run:
        wrong, forward, reached = wrong_gradients(run), run.once(forward_statements), progress_of(run)
        lost = run.once(lost_derivatives) if wrong else []
        asked = [one for one in lost if id(one.statement) not in forward][:MOST_LOST]
        edits = [list(itertools.islice(_edits(run, one), MOST_EDITS)) for one in asked]
    for one, of_one in zip(asked, edits, strict=True):
        gradients = tuple(sorted(wrong.intersection(one.parameters))) or tuple(sorted(wrong))
        mends = [Mend(one.statement.file, (edit,), one.statement, (), (), EVIDENCE) for edit in of_one]
        faults = [Mended(one.statement, gradients, None, mend, is_by_value=True) for mend in mends]
        scored = ((asked_with(found, fault, taped, partial(_progress, one)), fault) for fault in faults)
        better = [(score, fault) for score, fault in scored if score is not None and score > reached]
        if better:
            return max(better, key=lambda pair: pair[0])[1]
    return None


def _progress(lost: Lost, run: TapedRun) -> Progress | None:
    """How much is right; None if the whole derivative that the lost one is a part of is not given."""
    parameter = next((name for name, leaf in run.leaves.items() if leaf.index == lost.source), None)
    is_right = parameter in run.true_gradients and parameter not in wrong_gradients(run)
    return progress_of(run) if is_right or lost.source in run.once(given_whole) else None


def _edits(run: TapedRun, one: Lost) -> Iterator[Edit]:
    """A sum that begins with it behind the gap, in the place of nothing; or a statement in the gap that adds it."""
    code = Code.of(one.statement.source.text)
    source = Source(one.statement.file, code.text)
    for gap, function, known in _places(run, one):
        for node in own_nodes(function):
            if isinstance(node, ast.Assign) and node.lineno >= gap.line and is_zeros(node.value):
                begun = known.local.get(ast.unparse(node.targets[0]))
                if isinstance(begun, np.ndarray) and begun.shape == one.value.shape:
                    yield code.replaced(node.value, ast.Name(one.name, ast.Load()))
        yield from (gap.filled(in_file_style(text, source)) for text in _added(run, one, gap, function, known))


def _places(run: TapedRun, one: Lost) -> Iterator[tuple[Gap, Function, Known]]:
    """The gaps in which the variable still has that value, each with its function and what is known of that."""
    for statement, function, known in run.once(functions_known):
        if statement.file == one.statement.file and function.lineno <= one.statement.line <= (function.end_lineno or 0):
            for gap, is_behind_loop in gaps_behind(function, one.statement.line):
                if is_behind_loop or one.is_always:
                    yield gap, function, known


def _added(run: TapedRun, one: Lost, gap: Gap, function: Function, known: Known) -> Iterator[str]:
    """What can be added to, of all that is read behind the gap or was handed over: arrays, their ends, and gradients.

    The forward's values stay what they are.
    """
    own = list(own_nodes(function))
    items = {ast.unparse(node.value) for node in own if isinstance(node, ast.Subscript)}
    read = [
        node.id
        for node in own
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.lineno >= gap.line
    ]
    handed = [key for key in parameters_of(function) if isinstance(known.local.get(key), dict)]
    names = [name for name in dict.fromkeys((*read, *handed)) if name != one.name]
    taken = run.once(_values_of_forward)
    parameter = next((key for key, leaf in run.leaves.items() if leaf.index == one.source), None)
    for name in names:
        if known.local.get(name) is None or _bytes_of(known.local[name]) in taken:
            continue
        for target, value in _targets(name, known.local[name], parameter, has_items=name in items):
            if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or _bytes_of(value) in taken:
                continue
            if value.shape == one.value.shape:
                yield f"{target} += {one.name}"
            elif value.ndim and value.shape == one.value.shape[1:]:
                yield f"{target} += {one.name}.sum(axis=0)"


def _values_of_forward(run: TapedRun) -> frozenset[bytes]:
    values = (np.asarray(node.value) for node in run.nodes if node.value is not None and run.is_forward(node))
    return frozenset(one.tobytes() for one in values if np.any(one))


def _bytes_of(value: Any) -> bytes:
    return value.tobytes() if isinstance(value, np.ndarray) else b""


def _targets(name: str, value: Any, parameter: str | None, *, has_items: bool) -> Iterator[tuple[str, Any]]:
    """A variable, or items of what it holds, each with its value.

    The derivative of a parameter is the gradient of that name; that of a state is no gradient of a dictionary.
    """
    yield name, value
    if isinstance(value, dict):
        if parameter in value:
            yield f"{name}[{parameter!r}]", value[parameter]
    elif not has_items:
        return
    elif isinstance(value, list) and value:
        yield from ((f"{name}[{index}]", value[index]) for index in (-1, 0))
    elif isinstance(value, np.ndarray) and value.size:
        if value.ndim > 1:
            yield from ((f"{name}[{index}]", value[index]) for index in (-1, 0))
        if value.ndim > 2:
            yield from ((f"{name}[:, {index}]", value[:, index]) for index in (-1, 0))
