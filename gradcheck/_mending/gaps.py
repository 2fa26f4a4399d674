"""Where a statement may be missing, and statements that could stand there and change nothing yet.

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

from gradcheck._mending.outside import Edit
from gradcheck._mending.syntax import span
from gradcheck._usercode.source import first_line

Function = ast.FunctionDef | ast.AsyncFunctionDef
#: statements after which nothing is reached
_LEAVING = (ast.Return, ast.Raise, ast.Break, ast.Continue)
_OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
#: statements that are tried in one function
MOST_IDLE = 160
#: keys or attributes beside one that is added to
MOST_SIBLINGS = 24


@dataclass(frozen=True)
class Gap:
    """A place for one statement more: what is replaced there, and what stands around the new one."""

    start: tuple[int, int]
    end: tuple[int, int]
    before: str
    after: str
    indent: int
    #: lines between the beginning of what is replaced and the new statement
    skipped: int = 0

    def filled(self, *statements: str) -> Edit:
        """The edit that puts these there."""
        text = f"\n{' ' * self.indent}".join(statements)
        return Edit(self.start, self.end, f"{self.before}{text}{self.after}")

    @property
    def line(self) -> int:
        """Where the new statement begins."""
        return self.start[0] + self.skipped


@dataclass(frozen=True)
class Idle:
    """A statement that changes nothing: `target = target`, or nothing that is added to a sum."""

    target: str
    is_sum: bool = False
    in_place: bool = False

    @property
    def text(self) -> str:
        """As it is written."""
        if self.is_sum:
            return f"{self.target} += 0 * {self.target}"
        return f"{self.target}[...] = {self.target}" if self.in_place else f"{self.target} = {self.target}"

    def written(self, text: str) -> str:
        """What has become of it as a person would write it: `x *= y` for `x[...] = x * y`."""
        match ast.parse(text).body:
            case [ast.Assign(value=ast.BinOp(left=left, op=op, right=right))] if _sign(op):
                short = self.in_place or not self.target.isidentifier()
                if short and ast.unparse(left) == self.target:
                    return f"{self.target} {_sign(op)}= {ast.unparse(right)}"
                if short and ast.unparse(right) == self.target and isinstance(op, (ast.Add, ast.Mult)):
                    return f"{self.target} {_sign(op)}= {ast.unparse(left)}"
        return text


def _sign(op: ast.operator) -> str:
    signs: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
    return signs.get(type(op), "")


@dataclass(frozen=True)
class Known:
    """What is known of a function that ran.

    Attributes:
        held: The values that names were bound to, where derivatives may be in them.
        local: The variables at the end, or somewhere in it.
    """

    held: Mapping[str, Any]
    local: Mapping[str, Any]


def idle_statements(function: Function, known: Known) -> dict[Gap, list[Idle]]:
    """Statements that change nothing, by the gaps in which they may become what is missing."""
    return _Finder(function, known).found()


class _Finder:
    def __init__(self, function: Function, known: Known) -> None:
        self.function, self.known = function, known
        self.own = list(_own(function))
        self.written = [node for node in self.own if _is_store(node)]
        items = [node for node in self.written if isinstance(node, ast.Subscript)]
        attributes = [node for node in self.written if isinstance(node, ast.Attribute)]
        self.bases = {ast.unparse(node.value) for node in (*items, *attributes)}
        self.names = {node.id for node in self.written if isinstance(node, ast.Name)}
        self.names |= {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}
        outputs = [node for node in self.own if isinstance(node, ast.keyword) and node.arg == "out"]
        self.in_place = {ast.unparse(node.value) for node in (*items, *outputs)}
        self.shared: dict[int, list[str]] = defaultdict(list)
        for name, value in known.held.items():
            if isinstance(value, np.ndarray) and name in self.names:
                self.shared[id(_owner(value))].append(name)

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
        for block, loop in _blocks(self.function):
            for number, statement in enumerate(block):
                gap = _before(block, number, self.function)
                if gap is not None:
                    before = [one for one in block[:number] if not isinstance(one, ast.Pass)]
                    for idle in self._read_by(statement):
                        if not (before and idle.target in _bound(before[-1])):
                            yield gap, idle
            end = _at_end(block, self.function)
            if end is not None:
                if loop is not None:
                    yield from ((end, idle) for idle in self._carried(loop))
                if any(isinstance(one, ast.AugAssign) for one in block):
                    yield from ((end, idle) for idle in self._never_added_to())

    def _read_by(self, statement: ast.stmt) -> Iterator[Idle]:
        """Of what a statement reads."""
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                yield from self._names(node.id)
            elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Load):
                yield from self._parts(node)

    def _names(self, name: str) -> Iterator[Idle]:
        """A variable, and those that share its memory."""
        if name not in self.known.held or name not in self.names:
            return
        value = self.known.held[name]
        family = self.shared[id(_owner(value))] if isinstance(value, np.ndarray) else []
        is_array = isinstance(value, np.ndarray) and value.ndim > 0
        is_view = len(family) > 1 or name in self.in_place
        yield Idle(name, in_place=is_array and is_view)
        yield from (Idle(other, in_place=True) for other in family if other != name)

    def _parts(self, node: ast.Subscript | ast.Attribute) -> Iterator[Idle]:
        """An item or an attribute that the function writes as well."""
        sliced = isinstance(node, ast.Subscript) and any(isinstance(one, ast.Slice) for one in ast.walk(node.slice))
        if not sliced and ast.unparse(node.value) in self.bases and _is_plain(node.value):
            yield Idle(ast.unparse(node))

    def _carried(self, loop: ast.For | ast.While) -> Iterator[Idle]:
        """What the next round of a loop reads, and of arrays over time what stands at the loop's counter."""
        yield from self._read_by(ast.Module(loop.body, []))  # type: ignore[arg-type]  # it is walked through
        counters = {one.id for one in ast.walk(loop) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
        for node in ast.walk(loop):
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) in self.bases and _is_plain(node.value):
                for counter in sorted(counters & {one.id for one in ast.walk(node.slice) if isinstance(one, ast.Name)}):
                    if type(self.known.local.get(counter)) is int:
                        yield Idle(f"{ast.unparse(node.value)}[{counter}]")

    def _never_added_to(self) -> Iterator[Idle]:
        """Beside sums that are added to, those that nothing is."""
        written = {ast.unparse(node) for node in self.written}
        sums = {name for name in self.names if name in self.known.held and _adds_up(self.own, name)}
        yield from (Idle(name, is_sum=True) for name in sorted(sums))
        for target in [node.target for node in self.own if isinstance(node, ast.AugAssign)]:
            yield from (Idle(text, is_sum=True) for text in self._siblings(target) if text not in written)

    def _siblings(self, target: ast.expr) -> list[str]:
        match target:
            case ast.Subscript(value=ast.Name(id=owner), slice=ast.Constant(value=str())):
                whole = self.known.local.get(owner)
                keys = whole if isinstance(whole, dict) else {}
                return [f"{owner}[{key!r}]" for key in keys if isinstance(key, str)][:MOST_SIBLINGS]
            case ast.Attribute(value=ast.Name(id=owner)):
                found = getattr(self.known.local.get(owner), "__dict__", {})
                return [f"{owner}.{key}" for key, one in found.items() if isinstance(one, np.ndarray)][:MOST_SIBLINGS]
        return []


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """All that stands in a function, but not in those inside it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, _OWN_SCOPE):
            yield from _own(child)


def _is_store(node: ast.AST) -> bool:
    return isinstance(node, (ast.Name, ast.Subscript, ast.Attribute)) and isinstance(node.ctx, ast.Store)


def _is_plain(node: ast.expr) -> bool:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return isinstance(node, ast.Name)


def _owner(array: np.ndarray[Any, Any]) -> Any:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _bound(statement: ast.stmt) -> set[str]:
    """What a simple statement binds or writes: another one right behind it says no more than an edit of it."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    parts = [part for one in targets if one is not None for part in ([one, *getattr(one, "elts", [])])]
    return {ast.unparse(one) for one in parts}


def _adds_up(nodes: Sequence[ast.AST], name: str) -> bool:
    """Whether a name begins at zeros and is bound nowhere else."""
    bound = [one for one in nodes if isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Store)]
    begun = [
        one for one in nodes
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.Call)
        and ast.unparse(one.value.func).rpartition(".")[2] in ("zeros", "zeros_like")
        and any(part in bound for part in one.targets)
    ]  # fmt: skip
    return len(bound) == 1 == len(begun)


def _blocks(node: ast.stmt) -> Iterator[tuple[list[ast.stmt], ast.For | ast.While | None]]:
    """The blocks of statements of a function, each with the loop whose body it is."""
    for name in ("body", "orelse", "finalbody"):
        block: list[ast.stmt] = getattr(node, name, [])
        if block:
            yield block, node if isinstance(node, (ast.For, ast.While)) and name == "body" else None
            for statement in block:
                if not isinstance(statement, _OWN_SCOPE):
                    yield from _blocks(statement)


def _before(block: list[ast.stmt], number: int, function: Function) -> Gap | None:
    """The gap before a statement of a block: right behind the last one, or in the place of one that does nothing."""
    if number:
        return _after(block[number - 1], function, first_line(block[number]))
    first = block[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return None  # a docstring
    start = first_line(first), first.col_offset
    return Gap(start, start, "", f"\n{' ' * first.col_offset}", first.col_offset)


def _at_end(block: list[ast.stmt], function: Function) -> Gap | None:
    last = block[-1]
    if isinstance(last, _LEAVING):
        return _before(block, len(block) - 1, function)
    return _after(last, function, None)


def _after(statement: ast.stmt, function: Function, following: int | None) -> Gap | None:
    if isinstance(statement, ast.Pass):
        return Gap(*span(statement), "", "", statement.col_offset)
    line, column, indent = statement.end_lineno or 0, statement.end_col_offset or 0, statement.col_offset
    if following == line or isinstance(statement, _LEAVING):
        return None
    if (function.end_lineno or 0) > line:  # at the beginning of the next line, behind what stands on this one
        return Gap((line + 1, 0), (line + 1, 0), " " * indent, "\n", indent)
    return Gap((line, column), (line, column), f"\n{' ' * indent}", "", indent, 1)
