"""A statement on the tape, in the source, and in the variables around it."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

from gradcheck._mending.frames import Frame
from gradcheck._mending.looking import frames_at
from gradcheck._mending.residual import Residual
from gradcheck._mending.syntax import Code, expressions, span, written_by
from gradcheck._tape import Node, Place, Statement, TapedRun
from gradcheck._tape.places import Span

_PREFERRED = ("argument", "element", "value", "return", "yield", "call", "operation", "read", "display")


class Suspect:
    """A statement on the tape, in the source, and in the variables around it."""

    def __init__(self, run: TapedRun, statement: Statement, residual: Residual) -> None:
        self.run, self.statement, self.residual = run, statement, residual
        self.code = Code.of(statement.source.text)
        columns = [place.column for place in statement.places if place.line == statement.line]
        found = self.code.statement(statement.line, statement.kind, min(columns, default=None))
        assert found is not None
        self.tree: ast.stmt = found
        self.by_span: dict[Span, list[Place]] = {}
        for place in statement.places:
            self.by_span.setdefault(place.span, []).append(place)
        self._nodes: dict[tuple[int, int], list[Node]] = {}
        for node in run.nodes:
            if node.place is not None and node.place.statement is statement:
                self._nodes.setdefault((node.place.number, node.execution), []).append(node)
        #: the place at which the variables are looked at
        self.place: Place | None = None
        self.frames: list[Frame] = self._looked_at()
        self._remember()

    def within(self, root: ast.expr) -> Suspect:
        """The same where an expression is evaluated: for the body of a lambda with the variables of its calls."""
        inside = self.by_span.get(span(root), []) if isinstance(self.code.parent(root), ast.Lambda) else []
        for place in inside:
            frames = frames_at(self.run, place)
            if frames:
                found = copy.copy(self)
                found.place, found.frames = place, frames
                found._remember_of(root)
                return found
        return self

    def _looked_at(self) -> list[Frame]:
        for place in self._watchable():
            frames = frames_at(self.run, place)
            if frames:
                self.place = place
                return frames
        return []

    def _remember(self) -> None:
        """The values that expressions had, so that nothing with an effect is called again for them."""
        for root in roots(self.tree):
            self._remember_of(root)

    def _remember_of(self, root: ast.expr) -> None:
        for expression in expressions(root):
            if isinstance(expression, (ast.Name, ast.Constant, ast.Tuple, ast.List, ast.Dict)):
                continue
            for number, frame in enumerate(self.frames):
                node = self.nodes_of(expression, number)
                if node is not None:
                    frame.known[id(expression)] = node.as_it_was

    def _watchable(self) -> Iterator[Place]:
        """Places at which all that the statement reads is there, in the order in which they are asked."""
        root = next(roots(self.tree), None)
        if isinstance(root, ast.Call) and written_by(root) is not None:
            # before the call, since what it reads may be what it writes into
            for part in (*(one.value for one in reversed(root.keywords)), *reversed(root.args)):
                yield from self.by_span.get(span(part), [])
        if root is not None:
            where = self.by_span.get(span(root), [])
            yield from sorted(where, key=lambda place: _PREFERRED.index(place.kind) if place.kind in _PREFERRED else 99)
        yield from (place for place in self.statement.places if place.kind not in ("store", "iterate"))

    def nodes_of(self, expression: ast.expr, execution: int) -> Node | None:
        """The value of an expression on the tape."""
        places = self.by_span.get(span(expression), [])
        for kind in _PREFERRED:
            for place in places:
                if place.kind == kind:
                    nodes = [n for n in self._nodes.get((place.number, execution), []) if n.cell is not None]
                    if nodes:
                        return nodes[-1]
        return None

    def written(self, kind: str, execution: int) -> Node | None:
        """The value that the statement writes: of an augmented assignment the sum."""
        for place in self.statement.places:
            if place.kind == kind:
                for node in self._nodes.get((place.number, execution), []):
                    if node.cell is not None:
                        return node
        return None

    def bound(self, target: ast.expr, execution: int) -> Node | None:
        """The value that a target is given."""
        where = span(target)
        for binding in self.run.bindings:
            place = binding.place
            if binding.execution != execution or place.statement is not self.statement:
                continue
            if ((place.line, place.column), (place.end_line, place.end_column)) == where:
                return binding.node
        return None


def roots(statement: ast.stmt) -> Iterator[ast.expr]:
    """What a statement evaluates, and what functions that are written in it do."""
    for evaluated in _evaluated(statement):
        root = evaluated.value if isinstance(evaluated, ast.Yield) else evaluated
        if root is None:
            continue
        yield root
        yield from (node.body for node in ast.walk(root) if isinstance(node, ast.Lambda))


def _evaluated(statement: ast.stmt) -> Iterator[ast.expr]:
    match statement:
        case ast.Assign(value=value) | ast.AugAssign(value=value) | ast.Expr(value=value):
            yield value
        case ast.AnnAssign(value=ast.expr() as value) | ast.Return(value=ast.expr() as value):
            yield value
        case ast.For():
            yield statement.iter
        case ast.If() | ast.While():
            yield statement.test
