"""A statement that is missing: nothing that stands there can be edited so that the gradients are right.

Statements that change nothing are put wherever one could be missing, all at once; the tape tells which of them could
make all gradients right if it gave something else, and the search for edits what that is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from gradcheck._common.errors import TargetError
from gradcheck._localising import able_alone
from gradcheck._mending import MendSearch
from gradcheck._mending.gaps import Function, Gap, Idle, Known, idle_statements
from gradcheck._mending.looking import looked_at
from gradcheck._mending.syntax import Code
from gradcheck._repair.edits_in_turn import moved_back
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.likeliest_mend import SMALL_BUDGET
from gradcheck._repair.points import Point
from gradcheck._repair.wrong_values import Taped, wrong_gradients
from gradcheck._tape import Statement, TapedRun
from gradcheck._usercode.patching import RebindError
from gradcheck._usercode.source import Edit, Source

#: statements more of which edits are looked for
MOST_TRIED = 6


@dataclass(frozen=True)
class _Planted:
    """Statements that change nothing in one file: the edits that put them there, and which stands at which line."""

    file: str
    edits: list[Edit]
    at_line: dict[int, tuple[Gap, Idle]]


def missing_statement(found: Found, taped: Taped, others: Sequence[Point]) -> Mended | None:
    """The fault that a statement is missing, with the edit that adds it; None if none makes all gradients right.

    Args:
        found: What is found so far.
        taped: Puts edits in place, and gives a run with them.
        others: Where else edits are tried.
    """
    with taped(found) as run:
        planted = list(_planted(run))
    for one in planted:
        with suppress(TargetError, RebindError, SyntaxError):  # a variable may not be bound on each way to its gap
            for edit in _written(found, taped, others, one):
                with taped(found) as run:
                    fault = _confirmed(run, one.file, edit, others)
                if fault is not None:
                    return fault
    return None


def _planted(run: TapedRun) -> Iterator[_Planted]:
    """Statements that change nothing in the functions that calculate gradients, by file."""
    by_function: dict[int, tuple[Statement, Function]] = {}
    for node in run.backward:
        if node.place is not None:
            function = _function_around(node.place.statement)
            if function is not None:
                by_function[id(function)] = node.place.statement, function
    of_file: dict[str, dict[Gap, list[Idle]]] = defaultdict(dict)
    for statement, function in by_function.values():
        of_file[statement.file] |= idle_statements(function, _known(run, statement))
    for file, gaps in of_file.items():
        if gaps:
            yield _in_file(file, gaps)


def _function_around(statement: Statement) -> Function | None:
    code = Code.of(statement.source.text)
    tree = code.statement(statement.line, statement.kind)
    function = None if tree is None else code.function(tree)
    return function if isinstance(function, Function) else None


def _known(run: TapedRun, statement: Statement) -> Known:
    """What is known of the function that a statement stands in."""
    held = {
        one.place.name: one.value
        for one in run.bindings
        if one.place.name is not None
        and (one.place.file, one.place.function) == (statement.file, statement.function)
        and one.node is not None
        and not run.is_forward(one.node)
    }
    frames = next((frames for place in statement.places if (frames := looked_at(run, place)[0])), [])
    return Known(held, frames[-1].local if frames else {})


def _in_file(file: str, gaps: Mapping[Gap, list[Idle]]) -> _Planted:
    edits, at_line, shift = list[Edit](), dict[int, tuple[Gap, Idle]](), 0
    for gap in sorted(gaps, key=lambda one: (one.start, one.end)):
        edit = gap.filled(*(one.text for one in gaps[gap]))
        at_line |= {gap.line + shift + number: (gap, one) for number, one in enumerate(gaps[gap])}
        edits.append(edit)
        shift += edit.text.count("\n") - (gap.end[0] - gap.start[0])
    return _Planted(file, edits, at_line)


def _written(found: Found, taped: Taped, others: Sequence[Point], planted: _Planted) -> Iterator[Edit]:
    """Edits of the text that fill one gap each, the likeliest first; each makes all gradients right there."""
    trial = found.copy()
    earlier = trial.edits.get(planted.file, [])
    moved = [moved_back(one, earlier) for one in planted.edits]
    trial.edits[planted.file] = [*earlier, *(one for one in moved if one is not None)]
    again = [one.taped for one in others]
    with taped(trial) as run:
        mine = [one for one in run.statements if one.file == planted.file and one.line in planted.at_line]
        suspects = able_alone(run, sorted(wrong_gradients(run)), mine)[:MOST_TRIED]
        searches = [MendSearch(run, one.statement, again, SMALL_BUDGET) for one in suspects]
        for step in (MendSearch.small, MendSearch.large):
            for search in searches:
                for mend in step(search):
                    line = search.statement.line
                    gap, idle = planted.at_line[line]
                    if not mend.remaining and all(edit.start[0] == edit.end[0] == line for edit in mend.edits):
                        source = Source(planted.file, search.statement.source.text)
                        yield gap.filled(idle.written(source.change(*mend.edits)[2]))


def _confirmed(run: TapedRun, file: str, edit: Edit, others: Sequence[Point]) -> Mended | None:
    """The fault, if all gradients are right with the edit alone."""
    near = [one for one in run.statements if one.file == file and one.line <= edit.start[0]]
    statement = max(near, key=lambda one: one.line)
    mends = MendSearch(run, statement, [one.taped for one in others], SMALL_BUDGET).given([(edit,)])
    whole = [one for one in mends if not one.remaining]
    return Mended.of(statement, whole) if whole else None
