"""Statements that could stand where one is missing, and change nothing yet.

What is written there in the end may read all that is known at that place, which no edit of the statements around can:
where one is left out, what goes in has come about already, and what comes out is read further down, or by the next
time step.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck._mending.gaps import (
    Function,
    Gap,
    Idle,
    Loop,
    blocks_of,
    gap_at_end,
    gap_before,
    names_bound,
    own_nodes,
    parameters_of,
)
from gradcheck._mending.syntax import begins_with_name, index_parts, is_zeros

#: statements that are tried in one function
MOST_IDLE = 160
#: keys or attributes beside one that is added to
MOST_SIBLINGS = 24
#: parts of one array
MOST_PARTS = 6


@dataclass(frozen=True)
class Held:
    """What a name was bound to: views of one array have the same number for its memory."""

    memory: int
    is_array: bool


@dataclass(frozen=True)
class Known:
    """What is known of a function that ran.

    Attributes:
        held: The values that names were bound to, where derivatives may be in them.
        local: The variables at the end, or somewhere in it.
        wrong, right: The names of the gradients that are so.
    """

    held: Mapping[str, Held]
    local: Mapping[str, Any]
    wrong: frozenset[str] = frozenset()
    right: frozenset[str] = frozenset()


def idle_statements(function: Function, known: Known) -> dict[Gap, list[Idle]]:
    """Statements that change nothing, by the gaps in which they may become what is missing."""
    return _Finder(function, known).found()


class _Finder:
    def __init__(self, function: Function, known: Known) -> None:
        self.function, self.known = function, known
        self.own = list(own_nodes(function))
        self.written = [node for node in self.own if _is_store(node)]
        items = [node for node in self.written if isinstance(node, ast.Subscript)]
        attributes = [node for node in self.written if isinstance(node, ast.Attribute)]
        outputs = [node.value for node in self.own if isinstance(node, ast.keyword) and node.arg == "out"]
        into = [node for node in outputs if isinstance(node, ast.Subscript)]
        self.bases = {ast.unparse(node.value) for node in (*items, *into)} | set(known.held)
        #: arrays that are written in parts, and the parts that the function takes
        self.in_parts = {ast.unparse(node.value) for node in items if _is_part(node)} & set(known.held)
        taken = [node for node in self.own if isinstance(node, ast.Subscript) and _is_part(node)]
        found = [node.slice for node in taken if isinstance(node.slice, (ast.Slice, ast.Constant, ast.UnaryOp))]
        self.parts = list(dict.fromkeys(map(ast.unparse, found)))[:MOST_PARTS]
        self.objects = {ast.unparse(node.value) for node in attributes}
        self.names = {node.id for node in self.written if isinstance(node, ast.Name)} | parameters_of(function)
        self.in_place = {ast.unparse(node.value) for node in (*items, *into)} | {ast.unparse(node) for node in outputs}
        self.shared: dict[int, list[str]] = defaultdict(list)
        for name, value in known.held.items():
            if value.is_array and name in self.names:
                self.shared[value.memory].append(name)

    def found(self) -> dict[Gap, list[Idle]]:
        """All, in the order of the text."""
        result: dict[Gap, list[Idle]] = {}
        count = 0
        for gap, idle in self._all():
            of_gap = result.setdefault(gap, [])
            if idle not in of_gap and count < MOST_IDLE:
                of_gap.append(idle)
                count += 1
        return {gap: of_gap for gap, of_gap in result.items() if of_gap}

    def _all(self) -> Iterator[tuple[Gap, Idle]]:
        for block, loop, bound in blocks_of(self.function, parameters_of(self.function)):
            known = set(bound)
            for number, statement in enumerate(block):
                gap = gap_before(block, number, self.function)
                if gap is not None:
                    before = [one for one in block[:number] if not isinstance(one, ast.Pass)]
                    for idle in self._read_by(statement, known):
                        if not (before and idle.target in _bound(before[-1])):
                            yield gap, idle
                known |= names_bound(statement)
            if loop is not None:
                yield from self._handed_on(block, known)
                end = self._behind(block, 0)
                yield from ((end, idle) for idle in self._of_loop(loop) if end is not None)
            yield from self._beside_sums(block, bound)

    def _beside_sums(self, block: list[ast.stmt], bound: set[str]) -> Iterator[tuple[Gap, Idle]]:
        """Behind the last sum of a block that is added to, at its end, and in the place of what does nothing."""
        added = [k for k, one in enumerate(block) if isinstance(one, (ast.AugAssign, ast.Pass))]
        ends = {added[-1], len(block) - 1} if added else {len(block) - 1} if block is self.function.body else set()
        ends |= {k for k in added if isinstance(block[k], ast.Pass)}
        for number in sorted(ends):
            gap = self._behind(block, number, number)
            if gap is not None:
                known = bound.union(*map(names_bound, block[: number + 1]))
                yield from ((gap, idle) for idle in self._sums(known))

    def _handed_on(self, block: list[ast.stmt], bound: set[str]) -> Iterator[tuple[Gap, Idle]]:
        """What the next round of a loop reads, and of arrays over time what stands at the loop's counter.

        Each behind the last statement that reads it, or in the place of one behind that that does nothing.
        """
        for idle in dict.fromkeys(self._carried(block, bound)):
            last = max((k for k, one in enumerate(block) if _mentions(one, idle.name)), default=len(block) - 1)
            gap = self._behind(block, last, last)
            if gap is not None:
                yield gap, idle

    def _behind(self, block: list[ast.stmt], first: int, otherwise: int = -1) -> Gap | None:
        """The place of the first statement behind one that does nothing; where there is none, that behind another."""
        idlers = [k for k, one in enumerate(block) if k >= first and isinstance(one, ast.Pass)]
        number = idlers[0] if idlers else otherwise % len(block)
        if number == len(block) - 1:
            return gap_at_end(block, self.function)
        return gap_before(block, number + 1, self.function)

    def _read_by(self, statement: ast.stmt, bound: set[str]) -> Iterator[Idle]:
        """Of what a statement reads, as far as its names are bound before it."""
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                yield from self._names(node.id, bound)
            elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Load):
                yield from self._parts(node, bound)

    def _names(self, name: str, bound: set[str]) -> Iterator[Idle]:
        """A variable, and those that share its memory."""
        if name not in self.known.held or name not in bound:
            return
        value = self.known.held[name]
        family = self.shared[value.memory] if value.is_array else []
        yield Idle(name, in_place=value.is_array and (len(family) > 1 or name in self.in_place))
        yield from (Idle(other, in_place=True) for other in family if other != name and other in bound)

    def _parts(self, node: ast.Subscript | ast.Attribute, bound: set[str]) -> Iterator[Idle]:
        """An item of what the function writes into as well, or an attribute that is an array."""
        if not (begins_with_name(node) and self._are_bound(node, bound)):
            return
        if isinstance(node, ast.Attribute):
            if isinstance(_value(node, self.known.local), np.ndarray) and ast.unparse(node.value) in self.objects:
                yield Idle(ast.unparse(node))
        elif ast.unparse(node.value) in self.bases and not _has_slice(node):
            yield Idle(ast.unparse(node))

    def _are_bound(self, node: ast.expr, bound: set[str]) -> bool:
        """Whether the function's own names in it are bound."""
        return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} & self.names <= bound

    def _carried(self, block: list[ast.stmt], bound: set[str]) -> Iterator[Idle]:
        for statement in block:
            yield from self._read_by(statement, bound)
        whole = {one for one in bound if type(self.known.local.get(one)) is int}
        items = [part for one in block for part in ast.walk(one) if isinstance(part, ast.Subscript)]
        for node in [one for one in items if self._are_bound(one, bound | whole) and begins_with_name(one.value)]:
            if ast.unparse(node.value) in self.bases:
                yield from (Idle(text) for text in _at_counters(node, whole))
        for name in sorted(self.in_parts & bound):
            yield from (Idle(f"{name}[{one}]", is_sum=True) for one in self.parts)

    def _of_loop(self, loop: Loop) -> Iterator[Idle]:
        """What a loop goes through, item by item."""
        match loop:
            case ast.For(target=ast.Name(id=key), iter=ast.Name(id=owner)):
                if isinstance(self.known.local.get(owner), dict):
                    yield Idle(f"{owner}[{key}]")

    def _sums(self, bound: set[str]) -> Iterator[Idle]:
        """What is added to elsewhere, and beside it what nothing is."""
        names = {name for name in bound if name in self.known.held and _is_never_added_to(self.own, name)}
        yield from (Idle(name, is_sum=True) for name in sorted(names))
        assigned = {ast.unparse(one) for node in self.own if isinstance(node, ast.Assign) for one in node.targets}
        for target in [node.target for node in self.own if isinstance(node, ast.AugAssign)]:
            if self._are_bound(target, bound):
                yield from (Idle(text, is_sum=True) for text in self._siblings(target) if text not in assigned)

    def _siblings(self, target: ast.expr) -> list[str]:
        match target:
            case ast.Subscript(value=ast.Name(id=owner), slice=ast.Constant(value=str())):
                whole = self.known.local.get(owner)
                keys = [key for key in whole if isinstance(key, str)] if isinstance(whole, dict) else []
                # where the keys are the names of the gradients, only wrong ones are of interest
                own = [key for key in keys if key in self.known.wrong] if self.known.right & set(keys) else keys
                return [f"{owner}[{key!r}]" for key in own][:MOST_SIBLINGS]
            case ast.Attribute(value=ast.Name(id=owner)):
                found = getattr(self.known.local.get(owner), "__dict__", {})
                return [f"{owner}.{key}" for key, one in found.items() if isinstance(one, np.ndarray)][:MOST_SIBLINGS]
        return []


def _at_counters(node: ast.Subscript, counters: set[str]) -> Iterator[str]:
    """An item as it stands at a loop's counter: `dc[t]` of `dc[t + 1]`."""
    parts = index_parts(node.slice)
    for number, part in enumerate(parts):
        for counter in sorted(counters & {one.id for one in ast.walk(part) if isinstance(one, ast.Name)}):
            if isinstance(part, (ast.Name, ast.BinOp)):
                index = [ast.unparse(one) for one in parts]
                index[number] = counter
                yield f"{ast.unparse(node.value)}[{', '.join(index)}]"


def _has_slice(node: ast.Subscript) -> bool:
    return any(isinstance(one, ast.Slice) for one in ast.walk(node.slice))


def _is_part(node: ast.Subscript) -> bool:
    """Whether it takes a slice, or an item by a number: `dS[1:]`, `dS[0]`."""
    index = node.slice.operand if isinstance(node.slice, ast.UnaryOp) else node.slice
    return _has_slice(node) or (isinstance(index, ast.Constant) and isinstance(index.value, int))


def _is_store(node: ast.AST) -> bool:
    return isinstance(node, (ast.Name, ast.Subscript, ast.Attribute)) and isinstance(node.ctx, ast.Store)


def _value(node: ast.expr, local: Mapping[str, Any]) -> Any:
    """What a name, or an attribute of one, stands for; None if that is not known."""
    if isinstance(node, ast.Attribute):
        return getattr(_value(node.value, local), node.attr, None)
    return local.get(node.id) if isinstance(node, ast.Name) else None


def _mentions(statement: ast.stmt, name: str) -> bool:
    """Whether a variable is read or written in a statement."""
    return any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(statement))


def _bound(statement: ast.stmt) -> set[str]:
    """What a simple statement binds or writes: another one right behind it says no more than an edit of it."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    parts = [part for one in targets if one is not None for part in ([one, *getattr(one, "elts", [])])]
    return {ast.unparse(one) for one in parts}


def _is_never_added_to(nodes: Sequence[ast.AST], name: str) -> bool:
    """Whether a name is bound once, to zeros or to what is never read."""
    mine = [one for one in nodes if isinstance(one, ast.Name) and one.id == name]
    bound = [one for one in mine if isinstance(one.ctx, ast.Store)]
    begun = [
        value
        for target, value in (pair for one in nodes for pair in _assigned(one))
        if target in bound and is_zeros(value)
    ]
    return len(bound) == 1 and (len(mine) == 1 or len(begun) == 1)


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The targets of an assignment, each with what it is given; of `a, b = x, y` one after the other."""
    if not isinstance(node, ast.Assign):
        return
    for target in node.targets:
        if isinstance(target, (ast.Tuple, ast.List)) and isinstance(node.value, (ast.Tuple, ast.List)):
            yield from zip(target.elts, node.value.elts, strict=False)
        else:
            yield target, node.value
