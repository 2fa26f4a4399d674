"""Expressions of a statement that could be others: their values, and what the gradients make of them."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck._mending.frames import Frame, UnknownError
from gradcheck._mending.needed import Known
from gradcheck._mending.residual import Judgement
from gradcheck._mending.suspects import Suspect
from gradcheck._tape import Node
from gradcheck._tape.hooks import BINARY
from gradcheck._tape.nodes import Array
from gradcheck._tape.pairs import as_pairs, in_double, slopes_as_before

#: what is needed and what is given differ by less, relative to the largest entry, where nothing lacks
NOTHING = 1e-9


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


@dataclass
class Execution:
    """One execution of a hole: its number, its variables, the values there, and how the projections move with them."""

    number: int
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

    @property
    def is_bare(self) -> bool:
        """Whether the tape knows nothing of it."""
        return not self.executions[0].values

    def _exchanged(self, swaps: list[tuple[ast.expr, ast.expr]]) -> tuple[dict[int, ast.expr], set[int]]:
        """What stands in the place of which nodes, and the nodes around those, up to the root."""
        swapped = {id(old): new for old, new in swaps}
        touched: set[int] = set()
        for old, _ in swaps:
            around: ast.AST | None = old
            while around is not None and around is not self.root:
                around = self.code.parent(around)
                if around is not None:
                    touched.add(id(around))
        return swapped, touched - set(swapped)

    def change(self, swaps: list[tuple[ast.expr, ast.expr]]) -> Array | None:
        """How the projections change if expressions are replaced; None if the values do not fit."""
        swapped, touched = self._exchanged(swaps)
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
                if moved is None or slopes.shape[1] != moved.size:
                    return None
                total += slopes @ moved
        return total if np.isfinite(total).all() else None

    def empties(self, swaps: list[tuple[ast.expr, ast.expr]]) -> bool:
        """Whether a part of the expression is zero at all executions if expressions are replaced, and was not before.

        To leave it out says the same in fewer words.
        """
        swapped, touched = self._exchanged(swaps)
        parts: dict[int, ast.expr] = {}
        for old, _ in swaps:
            part: ast.AST | None = old
            while isinstance(part, ast.expr) and part is not self.root:
                parts[id(part)] = part
                part = self.code.parent(part)
        return any(self._is_zero(one, swapped, touched) and not self._is_zero(one, {}, ()) for one in parts.values())

    def keeps_everything(self, swaps: list[tuple[ast.expr, ast.expr]]) -> bool:
        """Whether a mask is written that is one everywhere here: it says no more than that a factor is left out."""
        masks = [new for _, new in swaps if isinstance(new, ast.Compare)]
        return bool(masks) and all(np.all(one.frame.value(mask)) for one in self.executions for mask in masks)

    def _is_zero(self, part: ast.expr, swapped: Mapping[int, ast.expr], touched: Collection[int]) -> bool:
        """Whether it is an array of zeros, at all executions."""
        try:
            values = [one.frame.value(part, swapped, touched) for one in self.executions]
        except UnknownError:
            return False
        return all(isinstance(one, (np.ndarray, np.inexact)) and not np.any(one) for one in values)

    def results(self, swaps: list[tuple[ast.expr, ast.expr]]) -> Iterator[Array | None]:
        """What the statement gives at one execution after the other if expressions are replaced; None for no array."""
        swapped, touched = self._exchanged(swaps)
        for one in self.executions:
            try:
                (new,) = self.leaves(one.frame.value(self.root, swapped, touched))
                value = new if self.operator is None else BINARY[self.operator](one.target, new)
            except Exception:
                value = None
            yield as_pairs(value) if value is not None and np.isfinite(value).all() else None

    def moved(self, one: Execution, new: Array, old: Array) -> Array | None:
        """How the values that flow on differ."""
        if self.operator is None:
            return None if new.shape != old.shape else np.ravel(as_pairs(new - old))
        apply = BINARY[self.operator]
        try:
            result = apply(one.target, new)
        except Exception:
            return None
        return None if np.shape(result) != np.shape(one.target) else np.ravel(as_pairs(result - apply(one.target, old)))

    def inner_slopes(self, one: Execution, part: ast.expr) -> Array | None:
        """How the projections move with a part of the expression at one execution; None if the tape does not tell.

        Of complex values one complex number for each (`slopes_as_before`).
        """
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
        result = self._brought_back(found, inner.index).get(inner.index)
        return None if result is None else slopes_as_before(result.reshape(len(result), -1), inner.as_it_was)

    def _brought_back(self, given: dict[int, Array], first: int) -> dict[int, Array]:
        """What comes back of these to the values from `first` on, through functions of the user's as well."""
        found = dict(given)
        with np.errstate(all="ignore"):
            for index in range(max(found, default=0), first, -1):
                g = found.get(index)
                if g is not None:
                    node = self.suspect.run.nodes[index]
                    for source, pull in zip(node.inputs, node.pulls, strict=True):
                        if source.index >= first:
                            part = pull(g).reshape(len(g), *source.shape)
                            found[source.index] = part + found[source.index] if source.index in found else part
        return found

    def innocent(self) -> Iterator[ast.expr]:
        """Parts of the expression that what it lacks does not come back to: gates beside the wrong one in a stack.

        None where it is not known what it has to give.
        """
        if self.needed is None or not self.needed.only or self.operator is not None:
            return
        parts = [part for part in ast.walk(self.root) if isinstance(part, ast.expr)]
        try:
            reached = [self._reached(one, parts) for one in self.executions]
        except UnknownError:
            return
        yield from (part for number, part in enumerate(parts) if all(told[number] is False for told in reached))

    def _reached(self, one: Execution, parts: list[ast.expr]) -> list[bool | None]:
        """Whether what the expression lacks at an execution comes back to each of its parts; None if unknown."""
        assert self.needed is not None
        rng, lacking, execution = np.random.default_rng(0), dict[int, Array](), -1
        leaves = self.leaves(one.frame.value(self.root))
        if len(leaves) != len(one.nodes):
            raise UnknownError  # as it is evaluated here it gives something else than it gave
        for node, value in zip(one.nodes, leaves, strict=True):
            if node is None or value is None or node.index not in self.needed.values:
                continue
            needed, execution = np.asarray(self.needed.values[node.index], float), node.execution
            lacks = np.abs(needed - as_pairs(value)) > NOTHING * np.max(np.abs(needed), initial=0.0)
            lacking[node.index] = (rng.uniform(1, 2, node.shape) * lacks)[None]
        nodes = [self.suspect.nodes_of(part, execution) for part in parts]
        back = self._brought_back(lacking, min((node.index for node in nodes if node is not None), default=0))
        return [None if node is None else bool(np.any(back.get(node.index, 0.0))) for node in nodes]

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
    if isinstance(value, (np.ndarray, np.generic, float, int, complex)) and np.asarray(value).dtype.kind in "fiubc":
        return np.asarray(in_double(value))
    return None
