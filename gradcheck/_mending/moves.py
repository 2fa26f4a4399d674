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
    #: whether it writes into memory, which other names may share
    is_in_place: bool

    def meets(self, other: _Effects) -> bool:
        """Whether it matters which of the two comes first; sums can be added to in any order."""
        return bool(
            self.read & other.changed | self.changed & other.read
            | self.written & other.changed | self.changed & other.written
        )  # fmt: skip

    @property
    def changed(self) -> frozenset[str]:
        """What it writes or adds to."""
        return self.written | self.added


def moves(code: Code, function: Function) -> Iterator[Move]:
    """Each statement moved to where it matters, past one other that it has to do with, two, and so on.

    And the last one of a loop behind the loop, or what stands behind it into its end. Not so far that nobody reads what
    it changes: to leave it out is meant then.
    """
    modules = {alias.asname or alias.name for node in ast.walk(code.tree) for alias in _imported(node)}
    for statements, loop, bound in blocks_of(function, parameters_of(function)):
        block = _Block(function, statements, loop is not None, bound, [_effects_of(one, modules) for one in statements])
        for number, statement in enumerate(statements):
            if isinstance(statement, _MOVED):
                for place in block.earlier(number):
                    gap = gap_before(statements, place, function)
                    yield from _moved(code, statements, number, gap, number - place)
                for place in block.later(number):
                    yield from _moved(code, statements, number, block.gap_behind(place), place - number)
            if isinstance(statement, (ast.For, ast.While)) and not statement.orelse:
                body = statement.body
                yield from _moved(code, body, len(body) - 1, block.gap_behind(number), 1)
                if statement is not statements[-1]:
                    yield from _moved(code, statements, number + 1, gap_at_end(body, function), 1)


@dataclass(frozen=True)
class _Block:
    """The statements of a block of a function, what is bound before it, and what each of them does."""

    function: Function
    statements: list[ast.stmt]
    is_loop: bool
    bound: set[str]
    effects: list[_Effects]

    def earlier(self, number: int) -> Iterator[int]:
        """The places before others that a statement has to do with, as far up as all names that it reads are bound."""
        mine = self.effects[number]
        for place in reversed(range(number)):
            if (names_bound(self.statements[place]) & mine.read) - self._bound_before(place):
                return
            passed = self.effects[place]
            if mine.meets(passed) and not (passed.changed & mine.read and self._is_lost(place, number)):
                yield place

    def later(self, number: int) -> Iterator[int]:
        """The places behind others that it has to do with, as far down as none reads a name that only it binds."""
        mine, alone = self.effects[number], names_bound(self.statements[number]) - self._bound_before(number)
        for place in range(number + 1, len(self.statements)):
            if isinstance(self.statements[place], _LEAVING) or self.effects[place].read & alone:
                return
            # past its neighbour alone: as that one is moved up past it
            is_same = place == number + 1 and isinstance(self.statements[place], _MOVED)
            if mine.meets(self.effects[place]) and not (is_same or self._is_lost(number, place)):
                yield place

    def gap_behind(self, number: int) -> Gap | None:
        """The gap behind one of the statements."""
        if number == len(self.statements) - 1:
            return gap_at_end(self.statements, self.function)
        return gap_before(self.statements, number + 1, self.function)

    def _bound_before(self, number: int) -> set[str]:
        return self.bound.union(*(names_bound(one) for one in self.statements[:number]))

    def _is_lost(self, number: int, behind: int) -> bool:
        """Whether nobody reads what one statement changes behind another one."""
        if self.effects[number].is_in_place:
            return False
        changed, line = self.effects[number].changed, self.statements[behind].end_lineno or 0
        names = {one.partition(".")[0] for one in changed}
        behind_it = (node for node in ast.walk(self.function) if isinstance(node, ast.Name) and node.lineno > line)
        if any(node.id in names and isinstance(node.ctx, ast.Load) for node in behind_it):
            return False
        # in the next round of a loop it is read, unless it is bound anew before
        next_round = self.effects[:number] if self.is_loop else []
        first = next((one for one in next_round if changed & (one.read | one.changed)), None)
        return first is None or not changed & (first.read | first.added)


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
    is_in_place = any(map(_writes_into_memory, ast.walk(statement)))
    return _Effects(frozenset(read - {""}), frozenset(written - {""}), frozenset(added - {""}), is_in_place)


def _writes_into_memory(node: ast.AST) -> bool:
    match node:
        case ast.Subscript(ctx=ast.Store()) | ast.Expr() | ast.keyword(arg="out"):
            return True
    return False


def _parts(target: ast.expr) -> list[ast.expr]:
    if not isinstance(target, (ast.Tuple, ast.List)):
        return [target]
    return [one for part in target.elts for one in _parts(part)]


def _path(node: ast.expr) -> str:
    """The variable or attribute that holds what is read or written, as `self.dc`; empty if none does."""
    owner = _owner(node)
    return ast.unparse(owner) if isinstance(owner, (ast.Name, ast.Attribute)) else ""


def _owner(node: ast.expr) -> ast.expr:
    while isinstance(node, (ast.Subscript, ast.Starred)):
        node = node.value
    return node
