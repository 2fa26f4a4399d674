"""Expressions of a statement that could be others: their values, and what the gradients make of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck._mending.frames import Frame, UnknownError
from gradcheck._mending.looking import looked_at
from gradcheck._mending.needed import Known, as_derivatives, by_least_squares
from gradcheck._mending.residual import Judgement, agree
from gradcheck._mending.suspects import Suspect, roots
from gradcheck._mending.syntax import expressions
from gradcheck._tape import Node, Place
from gradcheck._tape.hooks import BINARY
from gradcheck._tape.nodes import Array


@dataclass
class Execution:
    """One execution of a hole: its variables, the values there, and how the projections move with them."""

    frame: Frame
    values: list[Array | None]
    slopes: list[Array]
    nodes: list[Node | None]
    #: of an augmented assignment, what the target was before
    target: Any = None


class Hole:
    """An expression whose values can be replaced, at all executions together."""

    def __init__(
        self, suspect: Suspect, root: ast.expr, executions: list[Execution], operator: str | None, needed: Needed | None
    ) -> None:
        self.suspect, self.root, self.executions, self.operator = suspect, root, executions, operator
        self.needed = needed
        self.code, self.residual = suspect.code, suspect.residual

    @property
    def first(self) -> Frame:
        """The variables of the first execution that matters."""
        return self.executions[0].frame

    @property
    def is_certain(self) -> bool:
        """Whether the variables at its executions are those that they will be once it is right."""
        return len(self.executions) == 1 or (self.needed is not None and self.needed.only)

    def touched(self, swapped: Mapping[int, ast.expr], nodes: list[ast.expr]) -> set[int]:
        """The nodes around those that are replaced, up to the root."""
        result: set[int] = set()
        for node in nodes:
            around: ast.AST | None = node
            while around is not None and around is not self.root:
                around = self.code.parent(around)
                if around is not None:
                    result.add(id(around))
        return result - set(swapped)

    def change(self, swaps: list[tuple[ast.expr, ast.expr]]) -> Array | None:
        """How the projections change if expressions are replaced; None if the values do not fit."""
        swapped = {id(old): new for old, new in swaps}
        touched = self.touched(swapped, [old for old, _ in swaps])
        total = np.zeros(self.residual.size)
        for one in self.executions:
            try:
                new = self.leaves(one.frame.value(self.root, swapped, touched))
            except UnknownError:
                return None
            if len(new) != len(one.values):
                return None
            for value, old, slopes in zip(new, one.values, one.slopes, strict=True):
                if old is None:
                    continue
                if value is None:
                    return None
                moved = self.moved(one, value, old)
                if moved is None:
                    return None
                total += slopes @ moved
        return total if np.all(np.isfinite(total)) else None

    def moved(self, one: Execution, new: Array, old: Array) -> Array | None:
        """How the values that flow on differ."""
        if self.operator is None:
            return None if new.shape != old.shape else (new - old).ravel()
        apply = BINARY[self.operator]
        try:
            result = apply(one.target, new)
        except Exception:
            return None
        return None if np.shape(result) != np.shape(one.target) else np.ravel(result - apply(one.target, old))

    def inner_slopes(self, one: Execution, part: ast.expr) -> Array | None:
        """How the projections move with a part of the expression at one execution; None if the tape does not tell."""
        suspect = self.suspect
        tops = [node for node in one.nodes if node is not None]
        inner = suspect.nodes_of(part, tops[0].execution) if tops else None
        if inner is None or self.operator not in (None, "Add", "Sub"):
            return None
        sign = -1.0 if self.operator == "Sub" else 1.0
        found: dict[int, Array] = {}
        for node, slopes in zip(one.nodes, one.slopes, strict=True):
            if node is not None and slopes.shape[1] == node.size:
                found[node.index] = sign * slopes.reshape(len(slopes), *node.shape)
        with np.errstate(all="ignore"):
            for index in range(max(found, default=0), inner.index, -1):
                g = found.get(index)
                if g is not None:
                    node = suspect.run.nodes[index]
                    for source, pull in zip(node.inputs, node.pulls, strict=True):
                        if source.index >= inner.index:
                            part_ = pull(g).reshape(len(g), *source.shape)
                            found[source.index] = part_ + found[source.index] if source.index in found else part_
        result = found.get(inner.index)
        return None if result is None else result.reshape(len(result), -1)

    def leaves(self, value: Any) -> list[Array | None]:
        """The numbers in a value."""
        if isinstance(value, (tuple, list)):
            return [_numbers(one) for one in value]
        if isinstance(value, dict):
            return [_numbers(one) for one in value.values()]
        return [_numbers(value)]

    def judged(self, swaps: list[tuple[ast.expr, ast.expr]]) -> Judgement | None:
        """What expressions in the place of others do; None if they make no gradient right, or make others wrong."""
        change = self.change(swaps)
        if change is None:
            return None
        found = self.residual.judged(change)
        return found if found.right and not found.broken else None


def _numbers(value: Any) -> Array | None:
    if isinstance(value, (np.ndarray, np.generic, float, int)) and np.asarray(value).dtype.kind in "fiub":
        return np.asarray(value, float)
    return None


def holes_of(suspect: Suspect) -> list[Hole]:
    """The holes of a statement: all that it evaluates; or, where that cannot be evaluated again, arguments in it."""
    result: list[Hole] = []
    for root in roots(suspect.tree):
        whole = _hole(suspect, root)
        if whole is not None:
            result.append(whole)
        parts = list(_elements(root))
        if whole is None or not _can_be_evaluated(whole):
            parts += _arguments(root)
        result += [one for part in parts if (one := _hole(suspect, part)) is not None]
    return result


def bare_hole(suspect: Suspect, root: ast.expr) -> Hole:
    """An expression of which the tape knows nothing: what stands in its place has to be run."""
    return Hole(suspect, root, [Execution(frame, [], [], []) for frame in suspect.frames], None, None)


def _elements(root: ast.expr) -> Iterator[ast.expr]:
    """What a tuple, list or dict is written out with, however deep."""
    match root:
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Dict(values=parts):
            for part in parts:
                if isinstance(part, (ast.Tuple, ast.List, ast.Dict)):
                    yield from _elements(part)
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
    for node in expressions(root):
        if isinstance(node, ast.Call):
            yield from (one for one in node.args if not isinstance(one, ast.Starred))
            yield from (one.value for one in node.keywords)


def _hole(suspect: Suspect, root: ast.expr) -> Hole | None:
    """The hole of an expression; None where no gradient moves with it."""
    parts = [_parts(suspect, root, number) for number in range(len(suspect.frames))]
    cut = {node.index for of_one in parts for node in of_one if node is not None}
    slopes = suspect.residual.held(cut)
    everywhere = list({n.index: n for one in parts for n in one if n is not None}.values())
    nodes = [node for node in everywhere if _flows(node, slopes)]
    frames = suspect.frames
    needed: Needed | None = None
    if len({node.execution for node in nodes}) > 1:
        frames, needed = _with_right_values(suspect, nodes, slopes, everywhere)
    elif nodes and (known := as_derivatives(suspect.residual, nodes, slopes, everywhere)) is not None:
        values = dict(zip((node.index for node in nodes), known.values, strict=True))
        needed = Needed(known, [node.execution for node in nodes], values, True)
    tree = suspect.tree
    augmented = isinstance(tree, ast.AugAssign) and root is tree.value
    executions: list[Execution] = []
    for number, frame in enumerate(frames):
        before = suspect.frames[number]
        one = (
            _augmented(suspect, frame, before, number, parts[number], slopes)
            if augmented
            else _execution(frame, parts[number], slopes)
        )
        if one is not None and any(np.any(slope) for slope in one.slopes):
            executions.append(one)
    if not executions:
        return None
    operator = type(tree.op).__name__ if isinstance(tree, ast.AugAssign) and augmented else None
    return Hole(suspect, root, executions, operator, needed)


def _flows(node: Node, held: Mapping[int, Array]) -> bool:
    return node.place is not None and bool(np.any(held.get(node.index, 0.0)))


def _with_right_values(
    suspect: Suspect, nodes: list[Node], held: Mapping[int, Array], everywhere: list[Node]
) -> tuple[list[Frame], Needed | None]:
    """The variables in a run in which the hole has values with which all gradients are right, and those values.

    What one execution gives goes into the next, so that only there all other variables are what they should be.
    """
    residual = suspect.residual
    if suspect.place is None:
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
    right = all(name in gradients and agree(gradients[name], residual.truth[name], 1e-6) for name in residual.names)
    if not right or len(frames) != len(suspect.frames):
        return suspect.frames, None
    values_of = {node.index: value for node, value in zip(nodes, solved, strict=True)}
    return frames, Needed(known, [node.execution for node in nodes], values_of, only)


@dataclass
class Needed:
    """Values with which all gradients are right.

    Attributes:
        known: Whose derivatives they are, if anything's.
        executions: At which executions of the hole.
        values: The values by the node's index.
        only: Whether there are no others.
    """

    known: Known | None
    executions: list[int]
    values: dict[int, Array]
    only: bool


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
    return Execution(frame, [np.asarray(value, float)], [slopes], parts, np.array(target, float))


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


def _execution(frame: Frame, parts: list[Node | None], held: Mapping[int, Array]) -> Execution | None:
    if not parts or all(node is None for node in parts):
        return None
    values: list[Array | None] = []
    slopes: list[Array] = []
    for node in parts:
        found = None if node is None else held.get(node.index)
        values.append(None if node is None or found is None else np.array(node.value, float))
        slopes.append(np.zeros((1, 1)) if found is None else found)
    return Execution(frame, values, slopes, parts)


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
