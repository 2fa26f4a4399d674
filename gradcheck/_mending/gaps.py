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
#: slices of one array
MOST_SLICES = 6


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
    def name(self) -> str:
        """The variable that the target begins with."""
        return self.target.partition("[")[0].partition(".")[0]

    @property
    def text(self) -> str:
        """As it is written."""
        if self.is_sum:
            return f"{self.target} += 0 * {self.target}"
        if self.in_place:
            return f"{self.target}[...] = {self.target}"
        # what is written into itself is written nowhere: with a sign it is a value of its own
        return f"{self.target} = {'' if self.target.isidentifier() else '+'}{self.target}"

    def written(self, text: str) -> str:
        """What has become of it as a person would write it: `x *= y` for `x[...] = x * y`."""
        text = text.replace(f"+{self.target}", self.target)
        for sign in ("+", "-"):
            text = text.replace(f"+= 0 * {self.target} {sign} ", f"{sign}= ")
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


def beginnings(function: Function) -> Iterator[tuple[Gap, set[str]]]:
    """Where a function could have one statement more before it begins its work, and the names that are bound there.

    Before its first statement, and in the place of each of its own that does nothing.
    """
    bound, is_first = _parameters(function), True
    for number, statement in enumerate(function.body):
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        gap = _after(statement, function, None) if isinstance(statement, ast.Pass) else None
        if gap is None and is_first and not is_text:
            gap, is_first = _before(function.body, number, function), False
        if gap is not None:
            yield gap, set(bound)
        bound |= _names_bound(statement)


def left_unused(function: Function) -> Iterator[tuple[Gap, str]]:
    """Variables that are calculated in a block and never read, each with the gap behind, or what does nothing there."""
    own = list(_own(function))
    outputs = {id(node.value) for node in own if isinstance(node, ast.keyword) and node.arg == "out"}
    read = {node.id for node in own if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
            and id(node) not in outputs}  # fmt: skip
    for block, _, _ in _blocks(function, set()):
        for number, statement in enumerate(block):
            parts = ast.walk(statement) if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr)) else ()
            names = [node for node in parts if isinstance(node, ast.Name)]
            written = {node.id for node in names if isinstance(node.ctx, ast.Store) or id(node) in outputs}
            following = next((k for k in range(number, len(block)) if isinstance(block[k], ast.Pass)), number)
            is_last = following == len(block) - 1
            gap = _at_end(block, function) if is_last else _before(block, following + 1, function)
            if gap is not None:
                yield from ((gap, name) for name in sorted(written - read))


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
        outputs = [node.value for node in self.own if isinstance(node, ast.keyword) and node.arg == "out"]
        into = [node for node in outputs if isinstance(node, ast.Subscript)]
        self.bases = {ast.unparse(node.value) for node in (*items, *into)} | set(known.held)
        #: arrays that are written in parts, and the parts that the function takes
        self.in_slices = {ast.unparse(node.value) for node in items if _has_slice(node)} & set(known.held)
        taken = [node for node in self.own if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice)]
        self.slices = list(dict.fromkeys(ast.unparse(node.slice) for node in taken))[:MOST_SLICES]
        self.objects = {ast.unparse(node.value) for node in attributes}
        self.names = {node.id for node in self.written if isinstance(node, ast.Name)} | _parameters(function)
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
        for block, loop, bound in _blocks(self.function, _parameters(self.function)):
            known = set(bound)
            for number, statement in enumerate(block):
                gap = _before(block, number, self.function)
                if gap is not None:
                    before = [one for one in block[:number] if not isinstance(one, ast.Pass)]
                    for idle in self._read_by(statement, known):
                        if not (before and idle.target in _bound(before[-1])):
                            yield gap, idle
                known |= _names_bound(statement)
            if loop is not None:
                yield from self._handed_on(block, known)
                end = self._behind(block, 0)
                yield from ((end, idle) for idle in self._of_loop(loop) if end is not None)
            yield from self._beside_sums(block, bound)

    def _beside_sums(self, block: list[ast.stmt], bound: set[str]) -> Iterator[tuple[Gap, Idle]]:
        """Behind the last sum of a block that is added to, and at its end."""
        added = [k for k, one in enumerate(block) if isinstance(one, (ast.AugAssign, ast.Pass))]
        ends = {added[-1], len(block) - 1} if added else {len(block) - 1} if block is self.function.body else set()
        for number in sorted(ends):
            gap = self._behind(block, number, number)
            if gap is not None:
                known = bound.union(*map(_names_bound, block[: number + 1]))
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
        return _at_end(block, self.function) if number == len(block) - 1 else _before(block, number + 1, self.function)

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
        if not (_is_plain(node) and self._are_bound(node, bound)):
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
        for node in [one for one in items if self._are_bound(one, bound | whole) and _is_plain(one.value)]:
            if ast.unparse(node.value) in self.bases:
                yield from (Idle(text) for text in _at_counters(node, whole))
        for name in sorted(self.in_slices & bound):
            yield from (Idle(f"{name}[{one}]", is_sum=True) for one in self.slices)

    def _of_loop(self, loop: ast.For | ast.While) -> Iterator[Idle]:
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
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for number, part in enumerate(parts):
        for counter in counters & {one.id for one in ast.walk(part) if isinstance(one, ast.Name)}:
            if isinstance(part, (ast.Name, ast.BinOp)):
                index = [ast.unparse(one) for one in parts]
                index[number] = counter
                yield f"{ast.unparse(node.value)}[{', '.join(index)}]"


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """All that stands in a function, but not in those inside it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, _OWN_SCOPE):
            yield from _own(child)


def _has_slice(node: ast.Subscript) -> bool:
    return any(isinstance(one, ast.Slice) for one in ast.walk(node.slice))


def _is_store(node: ast.AST) -> bool:
    return isinstance(node, (ast.Name, ast.Subscript, ast.Attribute)) and isinstance(node.ctx, ast.Store)


def _is_plain(node: ast.expr) -> bool:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return isinstance(node, ast.Name)


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
        one for one in nodes
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.Call)
        and ast.unparse(one.value.func).rpartition(".")[2] in ("zeros", "zeros_like")
        and any(part in bound for part in one.targets)
    ]  # fmt: skip
    return len(bound) == 1 and (len(mine) == 1 or len(begun) == 1)


def _parameters(function: Function) -> set[str]:
    return {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}


def _names_bound(statement: ast.stmt) -> set[str]:
    """The names that are bound once the statement is through, whatever way it took."""
    if isinstance(statement, (ast.For, ast.While, ast.If, ast.Try)):
        return set()
    found = [statement, *(_own(statement) if not isinstance(statement, _OWN_SCOPE) else ())]
    return {one.id for one in found if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}


def _blocks(node: ast.stmt, bound: set[str]) -> Iterator[tuple[list[ast.stmt], ast.For | ast.While | None, set[str]]]:
    """The blocks of statements of a function, each with the loop whose body it is, and what is bound before it."""
    heads = [node.target] if isinstance(node, ast.For) else []
    bound = bound | {one.id for head in heads for one in ast.walk(head) if isinstance(one, ast.Name)}
    for name in ("body", "orelse", "finalbody"):
        block: list[ast.stmt] = getattr(node, name, [])
        if block:
            yield block, node if isinstance(node, (ast.For, ast.While)) and name == "body" else None, bound
            known = set(bound)
            for statement in block:
                if not isinstance(statement, _OWN_SCOPE):
                    yield from _blocks(statement, known)
                known |= _names_bound(statement)


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
