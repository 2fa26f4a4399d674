"""Why no line is named: what is said where none is looked for, or none is found."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gradcheck._common.arrays import Sizes
from gradcheck._common.cells import format_place
from gradcheck._common.errors import TargetError
from gradcheck._repair.points import points_of
from gradcheck._repair.wrong_values import wrong_gradients
from gradcheck._symptoms.common_factor import CommonFactor
from gradcheck._tape import TapedRun, TapeError, TapeTooLargeError
from gradcheck._tape.belief import why_not_believed, why_not_followed
from gradcheck._targets.factory import TargetFactory, target_of
from gradcheck._targets.opening import opened
from gradcheck._targets.target import Target
from gradcheck._usercode.foreign import ForeignCall, foreign_calls
from gradcheck.report.finding_phrases import list_with_and

IN_FLOAT32 = "cannot locate a line in float32: its rounding hides which value is which derivative"
OTHERS_ARE_WRONG = (
    "cannot locate a line: the tape finds other gradients wrong than the check did, as happens where code "
    "calculates in less than double precision"
)
FOREIGN = (
    "no line is looked for: the code calls {where}, whose code cannot be seen, and an edit before such a call could "
    "end the process; compare what {it} with the same in NumPy"
)
UNSEEN = "no line can be named: the gradient of {names} is returned in a way that the tape cannot see"
TOO_LARGE = (
    "cannot locate a line: the backward computes too much at these sizes to be followed; "
    "a factory (@gradcheck.target) lets the check choose smaller ones"
)


def why_not_looked_for(subject: Target | TargetFactory, seed: int, failing: Sizes) -> str:
    """That code which cannot be seen is called where it is known to fail; empty if none is."""
    foreign = foreign_calls(lambda: _run_once(subject, seed, failing))
    if not foreign:
        return ""
    places = _places(foreign)
    it = "they return" if len(places) > 1 else "it returns"
    return FOREIGN.format(where=list_with_and(places), it=it)


def _run_once(subject: Target | TargetFactory, seed: int, failing: Sizes) -> None:
    try:
        target = target_of(subject, seed, failing)
        with opened(target, seed):
            target.grads_at(target.values())
    except TargetError:
        return  # what it has called by then is known


def _places(calls: Sequence[ForeignCall]) -> list[str]:
    """The first of each name, with its place."""
    first = {call.name: call for call in reversed(calls)}.values()
    return [f"{call.name} ({format_place(call.file, call.line)})" for call in reversed(list(first))]


def why_none_found(
    subject: Target | TargetFactory,
    seed: int,
    failing: Sizes,
    common: CommonFactor | None,
    expected: set[str] | None,
    undecided: Collection[str],
) -> str:
    """Why the tape tells no line, by the first point at which it was asked; empty where nothing special is known."""
    try:
        points = next(points_of(subject, seed, failing, common))
        with points[0].taped() as run:
            return _why_none(run, expected, undecided)
    except TapeTooLargeError:
        return TOO_LARGE
    except TapeError as error:
        return f"no line can be named: {error}"
    except TargetError:
        return ""  # there it cannot be run, and the check says so


def _why_none(run: TapedRun, expected: set[str] | None, undecided: Collection[str]) -> str:
    if any(array.dtype.itemsize < 8 for array in run.base.values()):
        return IN_FLOAT32
    why = why_not_believed(run, undecided) or why_not_followed(run)
    if why:
        return f"no line can be named: {why}"
    unseen = [name for name in run.gradients if name in (expected or ()) and run.sinks[name] is None]
    if unseen:
        return UNSEEN.format(names=", ".join(unseen))
    if expected is not None and not wrong_gradients(run) <= expected | set(undecided):
        return OTHERS_ARE_WRONG
    return ""
