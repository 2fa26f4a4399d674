"""Makes holes of a statement's expressions, from the tape and the variables around it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck._mending.frames import Frame, UnknownError
from gradcheck._mending.holes import Execution, Hole, Needed
from gradcheck._mending.looking import looked_at
from gradcheck._mending.needed import as_derivatives, by_least_squares, needed_elements
from gradcheck._mending.residual import agree
from gradcheck._mending.suspects import Suspect, roots
from gradcheck._mending.syntax import expressions
from gradcheck._tape import Node, Place
from gradcheck._tape.nodes import Array
from gradcheck._tape.pairs import in_double
from gradcheck._tape.sweep import ancestors


def holes_of(suspect: Suspect) -> list[Hole]:
    """The holes of a statement: all that it evaluates.

    Where that cannot be evaluated again, or could be right with several values, arguments in it as well.
    """
    result: list[Hole] = []
    for root in roots(suspect.tree):
        there = suspect.within(root)
        whole = hole_of(there, root)
        if whole is not None:
            result.append(whole)
        parts = list(elements(root))
        if whole is None or not whole.is_certain or not _can_be_evaluated(whole):
            parts += _arguments(root)
        result += [one for part in parts if (one := hole_of(there, part)) is not None]
    return result


def bare_hole(suspect: Suspect, root: ast.expr) -> Hole:
    """An expression of which the tape knows nothing: what stands in its place has to be run."""
    return Hole(
        suspect, root, [Execution(number, frame, [], [], []) for number, frame in enumerate(suspect.frames)], None, None
    )


def elements(root: ast.expr) -> Iterator[ast.expr]:
    """What a tuple, list or dict is written out with, however deep."""
    match root:
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Dict(values=parts):
            for part in parts:
                if isinstance(part, (ast.Tuple, ast.List, ast.Dict)):
                    yield from elements(part)
                else:
                    yield part


def _can_be_evaluated(hole: Hole) -> bool:
    """Whether the expression has its value again if all its parts do."""
    touched = {id(node) for node in expressions(hole.root) if not isinstance(node, (ast.Name, ast.Constant))}
    try:
        hole.first.value(hole.root, {}, touched)
    except UnknownError:
        return False
    return True


def _arguments(root: ast.expr) -> Iterator[ast.expr]:
    """What calls in it are handed; those in functions that are written in it are made there."""
    apart = (one.body for one in ast.walk(root) if isinstance(one, ast.Lambda))
    inside = {id(node) for body in apart for node in ast.walk(body)}
    for node in expressions(root):
        if isinstance(node, ast.Call) and id(node) not in inside:
            yield from (one for one in node.args if not isinstance(one, ast.Starred))
            yield from (one.value for one in node.keywords)


def hole_of(suspect: Suspect, root: ast.expr, *, alone: bool = False) -> Hole | None:
    """The hole of an expression; None where no gradient moves with it.

    `alone`: what it gives is looked at by itself, and not what an augmented assignment makes of it.
    """
    parts = _needed_parts(suspect, [_parts(suspect, root, number) for number in range(len(suspect.frames))])
    cut = {node.index for of_one in parts for node in of_one if node is not None}
    sums = (suspect.written("augment", number) for number in range(len(suspect.frames)))
    slopes = suspect.residual.held(cut, beside={node.index for node in sums if node is not None})
    everywhere = list({n.index: n for one in parts for n in one if n is not None}.values())
    nodes = [node for node in everywhere if _flows(node, slopes)]
    frames = suspect.frames
    needed: Needed | None = None
    if len({node.execution for node in nodes}) > 1:
        frames, needed = _with_right_values(suspect, root, nodes, slopes, everywhere)
    elif nodes and (known := as_derivatives(suspect.residual, nodes, slopes, everywhere)) is not None:
        values = dict(zip((node.index for node in nodes), known.values, strict=True))
        needed = Needed(known, [node.execution for node in nodes], values, True)
    tree = suspect.tree
    augmented = isinstance(tree, ast.AugAssign) and root is tree.value and not alone
    executions: list[Execution] = []
    for number, frame in enumerate(frames):
        before = suspect.frames[number]
        one = (
            _augmented(suspect, frame, before, number, parts[number], slopes)
            if augmented
            else _execution(number, frame, parts[number], slopes)
        )
        if one is not None and any(np.any(slope) for slope in one.slopes):
            executions.append(one)
    if not executions:
        return None
    operator = type(tree.op).__name__ if isinstance(tree, ast.AugAssign) and augmented else None
    return Hole(suspect, root, executions, operator, needed)


def _needed_parts(suspect: Suspect, parts: list[list[Node | None]]) -> list[list[Node | None]]:
    """Of a tuple that is executed several times, the elements that are enough for all gradients to be right."""
    by_element = list(zip(*parts, strict=False))
    if len(parts) < 2 or len(by_element) < 2 or not suspect.residual.is_of_gradients:
        return parts
    kept = needed_elements(suspect.residual, [[node for node in of_one if node is not None] for of_one in by_element])
    return [[node if number in kept else None for number, node in enumerate(of_one)] for of_one in parts]


def _flows(node: Node, held: Mapping[int, Array]) -> bool:
    return node.place is not None and bool(np.any(held.get(node.index, 0.0)))


def _with_right_values(
    suspect: Suspect, root: ast.expr, nodes: list[Node], held: Mapping[int, Array], everywhere: list[Node]
) -> tuple[list[Frame], Needed | None]:
    """The variables in a run in which the hole has values with which all gradients are right, and those values.

    What one execution gives goes into the next, so that only there all other variables are what they should be.
    """
    residual = suspect.residual
    if suspect.place is None or not residual.is_of_gradients:
        return suspect.frames, None
    known = as_derivatives(residual, nodes, held, everywhere)
    found = by_least_squares(residual, nodes) if known is None else (known.values, True)
    if found is None:
        return suspect.frames, None
    solved, only = found
    values: dict[tuple[Place, int], Any] = {
        (node.place, node.execution): value for node, value in zip(nodes, solved, strict=True) if node.place is not None
    }
    frames, gradients = looked_at(suspect.run, suspect.place, values)
    left = frozenset[str]() if known is None else residual.wrong - known.right
    asked = [name for name in residual.names if name not in left]
    right = all(name in gradients and agree(gradients[name], residual.truth[name], 1e-6) for name in asked)
    if not right or len(frames) != len(suspect.frames):
        return suspect.frames, None
    values_of = {node.index: value for node, value in zip(nodes, solved, strict=True)}
    if not _reads_another(everywhere):
        _remember_calls(frames, suspect.frames, root)
    return frames, Needed(known, [node.execution for node in nodes], values_of, only)


def _remember_calls(frames: Sequence[Frame], before: Sequence[Frame], root: ast.expr) -> None:
    """What calls gave that cannot be called again: it is the same, whatever the hole gives elsewhere."""
    inside = [id(node) for node in expressions(root)]
    for frame, one in zip(frames, before, strict=True):
        frame.known.update((key, one.known[key]) for key in inside if key in one.known)


def _reads_another(nodes: Sequence[Node]) -> bool:
    """Whether any of these values was calculated from another one."""
    behind = ancestors(*(source for node in nodes for source in node.inputs))
    return any(node.index in behind for node in nodes)


def _augmented(
    suspect: Suspect, frame: Frame, before: Frame, number: int, parts: list[Node | None], held: Mapping[int, Array]
) -> Execution | None:
    tree = suspect.tree
    assert isinstance(tree, ast.AugAssign)
    node = suspect.written("augment", number)
    try:
        value, target = before.value(tree.value), _read(tree.target, before)
    except UnknownError:
        return None
    slopes = None if node is None else held.get(node.index)
    if slopes is None:
        return None
    return Execution(number, frame, [np.asarray(in_double(value))], [slopes], parts, np.array(in_double(target)))


def _read(target: ast.expr, frame: Frame) -> Any:
    """The value of a target before it is written."""
    match target:
        case ast.Name():
            return frame.value(ast.Name(target.id, ast.Load()), kept=False)
        case ast.Attribute():
            return getattr(frame.value(target.value), target.attr)
        case ast.Subscript():
            return frame.value(target.value)[frame.value(target.slice)]
    raise UnknownError


def _execution(number: int, frame: Frame, parts: list[Node | None], held: Mapping[int, Array]) -> Execution | None:
    if not parts or all(node is None for node in parts):
        return None
    values: list[Array | None] = []
    slopes: list[Array] = []
    for node in parts:
        found = None if node is None else held.get(node.index)
        values.append(None if node is None or found is None else np.array(in_double(node.as_it_was)))
        slopes.append(np.zeros((1, 1)) if found is None else found)
    return Execution(number, frame, values, slopes, parts)


def _parts(suspect: Suspect, root: ast.expr, number: int) -> list[Node | None]:
    """The values on the tape that an expression has: one, or those of the tuple it is."""
    tree = suspect.tree
    if isinstance(tree, ast.Assign) and root is tree.value and isinstance(tree.targets[0], (ast.Tuple, ast.List)):
        return [suspect.bound(one, number) for one in tree.targets[0].elts]
    if isinstance(root, (ast.Tuple, ast.List)):
        return [suspect.nodes_of(one, number) for one in root.elts]
    if isinstance(root, ast.Dict):
        return [suspect.nodes_of(one, number) for one in root.values]
    node = suspect.nodes_of(root, number)
    if node is None and isinstance(tree, ast.Assign) and root is tree.value:
        node = suspect.bound(tree.targets[0], number)
    return [node]
