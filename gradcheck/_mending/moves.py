"""A statement that stands too early or too late in its block: moved past those that it has to do with.

``dc += ...`` behind the gates that read `dc`, or ``dc = dc * f`` before them, and no line is wrong by itself.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from gradcheck._mending.gaps import Function, Gap, blocks_of, gap_at_end, gap_before, names_bound, parameters_of
from gradcheck._mending.outside import Edit
from gradcheck._mending.syntax import Code, indentation, span

_MOVED = (ast.Assign, ast.AugAssign, ast.Expr)
_LEAVING = (ast.Return, ast.Raise, ast.Break, ast.Continue)


@dataclass(frozen=True)
class Move:
    """A statement, the edits that move it, and past how many others."""

    statement: ast.stmt
    edits: tuple[Edit, Edit]
    distance: int


@dataclass(frozen=True)
class _Effects:
    """What a statement reads, writes and adds to: variables, and attributes with the names before them."""

    read: frozenset[str]
    written: frozenset[str]
    added: frozenset[str]

    def meets(self, other: _Effects) -> bool:
        """Whether it matters which of the two comes first; sums can be added to in any order."""
        changed, changed_there = self.written | self.added, other.written | other.added
        return bool(
            self.read & changed_there | changed & other.read
            | self.written & changed_there | changed & other.written
        )  # fmt: skip


def moves(code: Code, function: Function) -> Iterator[Move]:
    """Each statement moved to where it matters, past one other that it has to do with, two, and so on.

    And the last one of a loop behind the loop, or what stands behind it into its end.
    """
    modules = {alias.asname or alias.name for node in ast.walk(code.tree) for alias in _imported(node)}
    for block, _, bound in blocks_of(function, parameters_of(function)):
        effects = [_effects_of(one, modules) for one in block]
        for number, statement in enumerate(block):
            for place in _earlier(block, effects, number, bound) if isinstance(statement, _MOVED) else ():
                if number - place > 1 or not isinstance(block[place], _MOVED):  # or else that one moves down past it
                    yield from _moved(code, block, number, gap_before(block, place, function), number - place)
            for place in _later(block, effects, number, bound) if isinstance(statement, _MOVED) else ():
                yield from _moved(code, block, number, _gap_behind(block, place, function), place - number)
            if isinstance(statement, (ast.For, ast.While)) and not statement.orelse:
                body = statement.body
                yield from _moved(code, body, len(body) - 1, _gap_behind(block, number, function), 1)
                if statement is not block[-1]:
                    yield from _moved(code, block, number + 1, gap_at_end(body, function), 1)


def _gap_behind(block: list[ast.stmt], number: int, function: Function) -> Gap | None:
    is_last = number == len(block) - 1
    return gap_at_end(block, function) if is_last else gap_before(block, number + 1, function)


def _moved(code: Code, block: list[ast.stmt], number: int, gap: Gap | None, distance: int) -> Iterator[Move]:
    first, last = block[number].lineno, block[number].end_lineno or 0
    if len(block) == 1 or not isinstance(block[number], _MOVED) or indentation(code, block[number]) is None:
        return  # a block needs a statement
    lines = code.text.split("\n")
    behind = lines[last - 1].encode()[span(block[number])[1][1] :].decode().strip()
    is_alone = last < len(lines) and (not behind or behind.startswith("#"))  # the last line of a file has no end
    if gap is not None and is_alone:
        text = "\n".join(lines[first - 1 : last]).strip()
        one, other = sorted((Edit((first, 0), (last + 1, 0), ""), gap.filled(text)))
        yield Move(block[number], (one, other), distance)


def _earlier(block: list[ast.stmt], effects: list[_Effects], number: int, bound: set[str]) -> Iterator[int]:
    """The places before others that it has to do with, as far up as all names that it reads are bound."""
    for place in reversed(range(number)):
        before = bound.union(*(names_bound(one) for one in block[:place]))
        if (names_bound(block[place]) & effects[number].read) - before:
            return
        if effects[number].meets(effects[place]):
            yield place


def _later(block: list[ast.stmt], effects: list[_Effects], number: int, bound: set[str]) -> Iterator[int]:
    """The places behind others that it has to do with, as far down as these do not read a name that only it binds."""
    known = bound.union(*(names_bound(one) for one in block[:number]))
    mine = names_bound(block[number]) - known
    for place in range(number + 1, len(block)):
        if isinstance(block[place], _LEAVING) or effects[place].read & mine:
            return
        if effects[number].meets(effects[place]):
            yield place


def _imported(node: ast.AST) -> list[ast.alias]:
    return node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else []


def _effects_of(statement: ast.stmt, modules: set[str]) -> _Effects:
    read, written, added, owners = set[str](), set[str](), set[str](), set[int]()
    for node in ast.walk(statement):
        match node:
            case ast.AugAssign(target=target, op=op):
                (added if isinstance(op, (ast.Add, ast.Sub)) else written).add(_path(target))
                owners.add(id(_owner(target)))
            case ast.Assign(targets=targets):
                written |= {_path(one) for target in targets for one in _parts(target)}
            case ast.For(target=target):
                written |= {_path(one) for one in _parts(target)}
            case ast.Expr(value=ast.Call(func=func, args=args)):  # it may write into whatever it is given
                owner = _path(func.value) if isinstance(func, ast.Attribute) else ""
                written |= {_path(one) for one in args} | ({owner} - modules)
            case ast.keyword(arg="out", value=value):
                written.add(_path(value))
            case ast.Name(ctx=ast.Load()) | ast.Attribute(ctx=ast.Load()) if id(node) not in owners:
                read.add(_path(node))
    return _Effects(frozenset(read - {""}), frozenset(written - {""}), frozenset(added - {""}))


def _parts(target: ast.expr) -> list[ast.expr]:
    return (
        [one for part in target.elts for one in _parts(part)] if isinstance(target, (ast.Tuple, ast.List)) else [target]
    )


def _path(node: ast.expr) -> str:
    """The variable or attribute that holds what is read or written, as `self.dc`; empty if none does."""
    owner = _owner(node)
    return ast.unparse(owner) if isinstance(owner, (ast.Name, ast.Attribute)) else ""


def _owner(node: ast.expr) -> ast.expr:
    while isinstance(node, (ast.Subscript, ast.Starred)):
        node = node.value
    return node
