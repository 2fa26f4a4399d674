"""A carry that is left out: what later steps bring back is added to a step's own, and handed on.

Where it is at hand, as in an array in which each node of a tree is brought what its parents bring back, it is the term
that is missing. Where no variable holds it yet, three edits go together: zero before the loop, the term in the sum, and
behind all else what the step hands on. For the last a statement is planted that hands on nothing; the tape tells what
it has to give, since the first step of the backward is right, and the others lack just that.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeGuard

from gradcheck._common.errors import TargetError
from gradcheck._localising.ground import Ground
from gradcheck._localising.incomplete import Incomplete, incomplete
from gradcheck._localising.spoiling import Spoiling, Wanted
from gradcheck._mending import Mend
from gradcheck._mending.gaps import Function, Gap, gap_at_end
from gradcheck._mending.syntax import Code, names_in, parsed, span
from gradcheck._repair.derivative_edits import edits_to_derivatives
from gradcheck._repair.each_gradient import gradients_behind
from gradcheck._repair.forward import forward_statements
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.points import Point
from gradcheck._repair.wrong_values import EVIDENCE, Taped, wrong_gradients
from gradcheck._tape import Statement, TapedRun
from gradcheck._usercode.patching import RebindError
from gradcheck._usercode.source import Edit, Source
from gradcheck._usercode.style import in_file_style
from gradcheck.report.codes import FindingCode

#: places that are looked at
MOST_PLACES = 3
#: edits of one
MOST_EDITS = 4
#: what binds more than a sum
_TIGHT = (ast.BinOp, ast.UnaryOp, ast.Attribute, ast.Subscript)


@dataclass(frozen=True)
class _Carry:
    """A variable that hands on nothing: where it begins, where it is read, and where it is bound; `made`: the variables
    that the loop makes, without any of which nothing is handed on."""

    file: str
    name: str
    begun: Edit
    read: Edit
    end: Gap
    nothing: str
    made: frozenset[str]

    def edits(self, bound: str) -> tuple[Edit, ...]:
        """With this statement in the place of the one that hands on nothing."""
        return self.begun, self.read, self.end.filled(bound)

    def statement(self, run: TapedRun) -> Statement | None:
        """The one that hands on nothing."""
        return next((one for one in run.statements if one.file == self.file and one.text == self.nothing), None)


def missing_carry(found: Found, taped: Taped, others: Sequence[Point]) -> Mended | None:
    """The first place that lacks what comes back from later steps, with the edits that bring it there.

    Args:
        found: What is found so far.
        taped: Puts edits in place, and gives a run with them.
        others: Where else edits are tried.
    """
    with taped(found) as run:
        wrong, forward = wrong_gradients(run), run.once(forward_statements)
        lacking = [one for one in run.once(incomplete) if id(one.statement) not in forward]
        behind = [gradients_behind(run, one.statement, wrong) for one in lacking]
    for one, gradients in list(zip(lacking, behind, strict=True))[:MOST_PLACES]:
        with suppress(TargetError, RebindError, SyntaxError):
            mends = _at_hand(one, found, taped, others) or _with_new_variable(one, found, taped, others)
            if mends:
                fault = Mended(one.statement, gradients, None, mends[0], tuple(mends[1:]), is_by_value=True)
                return replace(fault, code=FindingCode.LATER_STEPS_MISSING)
    return None


def _at_hand(one: Incomplete, found: Found, taped: Taped, others: Sequence[Point]) -> list[Mend]:
    """Edits after which the statement gives the whole derivative where it lacks a part."""

    def asked(run: TapedRun) -> list[Spoiling]:
        again = _same_place(run, one)
        if again is None:
            return []
        known = run.once(Ground).standings.full_derivatives
        wanted = {k: Wanted(source, known[source].reshape(rest.shape)) for k, (source, rest) in again.lacking.items()}
        steps = tuple(sorted(wanted))
        return [Spoiling(again.statement, steps, (), frozenset(), wanted=tuple(wanted[k] for k in steps))]

    with taped(found) as run:
        edits = edits_to_derivatives(run, asked(run), [point.taped for point in others], set(), asked)
        source = Source(one.statement.file, one.statement.source.text)
        kept = [edit for of_one in edits for edit in of_one if not _reads_before_it_is_bound(one, source.edited(edit))]
        return [Mend(source.file, edit, one.statement, (), (), EVIDENCE) for edit in kept[:MOST_EDITS]]


def _same_place(run: TapedRun, one: Incomplete) -> Incomplete | None:
    """The place in another run, if it lacks something there."""
    return next((other for other in run.once(incomplete) if other.place.text == one.place.text), None)


def _reads_before_it_is_bound(one: Incomplete, text: str) -> bool:
    """Whether the statement of an edited file reads what only the rest of a loop binds: the first round has it not."""
    code = Code.of(text)
    statement = code.statement(one.statement.line, one.statement.kind)
    loop = None if statement is None else next(code.loops_around(statement), None)
    function = None if loop is None else code.function(loop)
    if statement is None or loop is None or function is None:
        return True
    stored = [node for node in ast.walk(function) if _is_stored(node)]
    before = {node.id for node in stored if node.lineno < statement.lineno}
    later = {node.id for node in stored if statement.lineno < node.lineno <= (loop.end_lineno or 0)}
    return bool(names_in(statement) & (later - before))


def _with_new_variable(one: Incomplete, found: Found, taped: Taped, others: Sequence[Point]) -> list[Mend]:
    """The edits that make a variable for it."""
    carry = _planted(one)
    return [] if carry is None else list(itertools.islice(_mends(one, carry, found, taped, others), MOST_EDITS))


def _planted(one: Incomplete) -> _Carry | None:
    """The variable for a place in a loop; None where there is no loop, or its body is no block."""
    place = one.place
    code = Code.of(one.statement.source.text)
    where = (place.line, place.column), (place.end_line, place.end_column)
    expression = next(
        (node for node in ast.walk(code.tree) if isinstance(node, ast.expr) and span(node) == where), None
    )
    loop = None if expression is None else next(code.loops_around(expression), None)
    function = None if expression is None else code.function(expression)
    if expression is None or loop is None or not isinstance(function, Function) or loop.body[0].lineno == loop.lineno:
        return None
    statement, end = code.statement_around(expression), gap_at_end(loop.body, function)
    if statement is None or end is None or _reads_what_is_left(statement, loop):
        return None  # that holds the carry, and is not what it should be
    text = code.segment(expression)
    like = text
    match statement:
        case ast.Assign(targets=[ast.Name(id=target)], value=value) if value is expression:
            like = target
    name = _free_name(
        f"{like}_next" if like.isidentifier() else "d_next",
        names_in(function) | {one.arg for one in ast.walk(function) if isinstance(one, ast.arg)},
    )
    total = f"{text} + {name}"
    start = span(loop)[0]
    return _Carry(
        place.file,
        name,
        Edit(start, start, f"{name} = 0\n{' ' * loop.col_offset}"),
        Edit(*where, f"({total})" if isinstance(code.parent(expression), _TIGHT) else total),
        end,
        f"{name} = 0 * {like if like.isidentifier() else f'({like})'}",
        frozenset(node.id for statement in loop.body for node in ast.walk(statement) if _is_stored(node)),
    )


def _reads_what_is_left(statement: ast.stmt, loop: ast.For | ast.While) -> bool:
    """Whether a statement of a loop reads a variable that the round before has left."""
    before = [one for one in loop.body if one.lineno < statement.lineno and one is not statement]
    bound = {node.id for one in before for node in ast.walk(one) if _is_stored(node)}
    later = {
        node.id for one in loop.body for node in ast.walk(one) if _is_stored(node) and node.lineno > statement.lineno
    }
    return bool(names_in(statement) & (later - bound))


def _is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _free_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _mends(one: Incomplete, carry: _Carry, found: Found, taped: Taped, others: Sequence[Point]) -> Iterator[Mend]:
    """The edits, with what the tape says has to be handed on.

    At the first of the steps of each sequence; where a sequence has masked steps, those behind them tell nothing.
    """
    return itertools.chain(
        _mends_of(one, carry, None, found, taped, others), _mends_of(one, carry, 1, found, taped, others)
    )


def _mends_of(
    one: Incomplete, carry: _Carry, most_steps: int | None, found: Found, taped: Taped, others: Sequence[Point]
) -> Iterator[Mend]:
    def asked(run: TapedRun) -> list[Spoiling]:
        statement = carry.statement(run)
        again = _same_place(run, one)
        if statement is None or again is None:
            return []
        # what a step lacks is handed on by the one before it in the backward
        wanted = {execution - 1: Wanted(*rest) for execution, rest in again.lacking.items()}
        steps = tuple(sorted(wanted)[:most_steps])
        return [Spoiling(statement, steps, (), frozenset(), wanted=tuple(wanted[k] for k in steps))]

    with taped(found.with_more(carry.file, carry.edits(carry.nothing))) as run:
        spoiling = asked(run)
        edits = edits_to_derivatives(run, spoiling, [point.taped for point in others], set(), asked)
        for edit in edits[0][:MOST_EDITS] if edits else ():
            source = Source(carry.file, spoiling[0].statement.source.text)
            text = source.change(*edit)[2]
            if text.startswith(f"{carry.nothing} + "):
                text = f"{carry.name} = {text.removeprefix(carry.nothing).removeprefix(' + ')}"
            if not carry.made & names_in(parsed(text.partition("=")[2].strip())):
                continue  # what is at hand before the loop can be read where it is lacking
            bound = in_file_style(text, source)
            yield Mend(carry.file, carry.edits(bound), one.statement, (), (), EVIDENCE)
