"""Where in a function one statement more could stand, and one that changes nothing there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from gradcheck._mending.outside import Edit
from gradcheck._mending.syntax import span
from gradcheck._usercode.source import first_line

Function = ast.FunctionDef | ast.AsyncFunctionDef
Loop = ast.For | ast.While
#: statements after which nothing is reached
_LEAVING = (ast.Return, ast.Raise, ast.Break, ast.Continue)
_OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


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


def beginnings(function: Function) -> Iterator[tuple[Gap, set[str]]]:
    """Where a function could have one statement more before it begins its work, and the names that are bound there.

    Before its first statement, and in the place of each of its own that does nothing.
    """
    bound, is_first = parameters_of(function), True
    for number, statement in enumerate(function.body):
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        gap = _after(statement, function, None) if isinstance(statement, ast.Pass) else None
        if gap is None and is_first and not is_text:
            gap, is_first = gap_before(function.body, number, function), False
        if gap is not None:
            yield gap, set(bound)
        bound |= names_bound(statement)


def has_idle_place(function: Function) -> bool:
    """Whether a statement of it does nothing, beside others: that keeps the place of one that is missing."""
    blocks = (block for block, _, _ in blocks_of(function, set()))
    return any(len(block) > 1 and any(isinstance(one, ast.Pass) for one in block) for block in blocks)


def left_unused(function: Function) -> Iterator[tuple[Gap, str]]:
    """Variables that are calculated in a block and never read, each with the gap behind, or what does nothing there."""
    own = list(own_nodes(function))
    outputs = {id(node.value) for node in own if isinstance(node, ast.keyword) and node.arg == "out"}
    read = {node.id for node in own if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
            and id(node) not in outputs}  # fmt: skip
    for block, _, _ in blocks_of(function, set()):
        for number, statement in enumerate(block):
            parts = ast.walk(statement) if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr)) else ()
            names = [node for node in parts if isinstance(node, ast.Name)]
            written = {node.id for node in names if isinstance(node.ctx, ast.Store) or id(node) in outputs}
            following = next((k for k in range(number, len(block)) if isinstance(block[k], ast.Pass)), number)
            is_last = following == len(block) - 1
            gap = gap_at_end(block, function) if is_last else gap_before(block, following + 1, function)
            if gap is not None:
                yield from ((gap, name) for name in sorted(written - read))


def blocks_of(node: ast.stmt, bound: set[str]) -> Iterator[tuple[list[ast.stmt], ast.For | ast.While | None, set[str]]]:
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
                    yield from blocks_of(statement, known)
                known |= names_bound(statement)


def gaps_behind(function: Function, line: int) -> Iterator[tuple[Gap, bool]]:
    """The gaps behind the statements around a line, the inner ones first, each with whether that is a loop."""
    found = []
    for block, _, _ in blocks_of(function, set()):
        for number, statement in enumerate(block):
            if first_line(statement) <= line <= (statement.end_lineno or 0):
                is_last = number == len(block) - 1
                gap = gap_at_end(block, function) if is_last else gap_before(block, number + 1, function)
                found += [] if gap is None else [(gap, isinstance(statement, (ast.For, ast.While)))]
    yield from reversed(found)


def gap_before(block: list[ast.stmt], number: int, function: Function) -> Gap | None:
    """The gap before a statement of a block: right behind the last one, or in the place of one that does nothing."""
    if number:
        return _after(block[number - 1], function, first_line(block[number]))
    first = block[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return None  # a docstring
    start = first_line(first), first.col_offset
    return Gap(start, start, "", f"\n{' ' * first.col_offset}", first.col_offset)


def gap_at_end(block: list[ast.stmt], function: Function) -> Gap | None:
    last = block[-1]
    if isinstance(last, _LEAVING):
        return gap_before(block, len(block) - 1, function)
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


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All that stands in a function, but not in those inside it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, _OWN_SCOPE):
            yield from own_nodes(child)


def parameters_of(function: Function) -> set[str]:
    return {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}


def names_bound(statement: ast.stmt) -> set[str]:
    """The names that are bound once the statement is through, whatever way it took."""
    if isinstance(statement, (ast.For, ast.While, ast.If, ast.Try)):
        return set()
    found = [statement, *(own_nodes(statement) if not isinstance(statement, _OWN_SCOPE) else ())]
    return {one.id for one in found if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
