"""A statement that stands in the wrong place: nothing in it is wrong, but what it changes is read too soon or late."""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck._mending import Again, MendSearch
from gradcheck._mending.gaps import Function
from gradcheck._mending.moves import Move, moves
from gradcheck._mending.search import MOST_ENDLESS
from gradcheck._mending.syntax import Code
from gradcheck._mending.trials import Trial
from gradcheck._repair.forward import backward_functions, taped_at
from gradcheck._repair.found import Mended
from gradcheck._repair.likeliest_mend import SMALL_BUDGET
from gradcheck._tape import TapedRun
from gradcheck.report.codes import FindingCode

#: moves that are tried, the shortest first
MOST_MOVES = 80


def moved_statement(run: TapedRun, again: Sequence[Again], *, in_part: bool = False) -> Mended | None:
    """The fault, with the shortest move after which all gradients are right; None if there is none.

    Args:
        run: The loss and the gradients, on the tape.
        again: What else moves are tried at.
        in_part: Whether the move is taken that makes most gradients right, if none makes all.
    """
    wrong = Trial(run).wrong
    for right, file, move in run.once(_mending_moves):
        statement = taped_at(run, file, move.statement.lineno) if in_part or right == wrong else None
        mends = [] if statement is None else MendSearch(run, statement, again, SMALL_BUDGET).given([move.edits])
        if statement is not None and mends and (in_part or not mends[0].remaining):
            return Mended.of(statement, mends, code=FindingCode.WRONG_PLACE)
    return None


def _mending_moves(run: TapedRun) -> list[tuple[frozenset[str], str, Move]]:
    """Moves after which gradients are right that were wrong: those, the file and the move; the most first."""
    trial, mended = Trial(run), list[tuple[frozenset[str], str, Move]]()
    found = [(file, move) for file, code, function in _functions(run) for move in moves(code, function)]
    for file, move in sorted(found, key=lambda one: one[1].distance)[:MOST_MOVES]:
        if trial.endless >= MOST_ENDLESS:
            break
        if right := trial.mended_by(file, move.edits):
            mended.append((right, file, move))
    return sorted(mended, key=lambda one: -len(one[0]))


def _functions(run: TapedRun) -> list[tuple[str, Code, Function]]:
    return [(one.file, Code.of(one.source.text), function) for one, function in backward_functions(run)]
