"""What is wrong in one case: the gradients, the statement, and edits of it that make them right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np

from gradcheck._autodiff.case import Case
from gradcheck._autodiff.derivatives import Derivatives, NotTheSameError, differentiated
from gradcheck._autodiff.editing import Chosen, candidates
from gradcheck._autodiff.places import Place, places
from gradcheck._autodiff.recording import Recording, ShapeError, record, rewritten
from gradcheck._autodiff.suspects import Suspect, suspects, wrong_gradients
from gradcheck._common.clock import current_clock, limited
from gradcheck._common.errors import TargetError
from gradcheck._usercode.instrument import Program
from gradcheck._usercode.source import Edit

#: faults of one backward that are mended one after the other
MOST_FAULTS = 4
#: how far a difference and the library's derivative may be apart, in double and in single precision
CONFIRMED, CONFIRMED_IN_SINGLE = 1e-5, 2e-2
#: edits that do as much, and are tried at other values
MOST_TRIED = 8


#: an edit, and the statement that it is of
PlacedEdit: TypeAlias = tuple[Place, Edit]


@dataclass
class Diagnosis:
    """What is known of a wrong case.

    `wrong` are the numbers of its gradients that are wrong. `mended` are the edits, one fault each, that make all of
    them right, with others that do as much. Without these, `suspect` is the statement at fault, if one could be told.
    """

    case: Case
    program: Program
    wrong: list[int]
    mended: list[list[PlacedEdit]] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)
    #: the same at other values, where edits were tried as well
    others: Sequence[Case] = ()

    @property
    def suspect(self) -> Suspect | None:
        """The first statement that should be a derivative which it is not, although all that it reads is right."""
        could = [one for one in self.suspects if one.could_be and not one.is_right and one.reads_right]
        return next((one for one in could if one.expected is not None and not one.place.is_call), None)


class CannotBeRunError(Exception):
    """A case cannot be run alone, or calculates what its library cannot differentiate."""


#: what code may raise that is run alone, and its library of what it cannot differentiate
_OF_A_RUN = (TargetError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, ShapeError)


def diagnose(case: Case) -> Diagnosis | None:
    """What is wrong in a case; None if nothing is.

    The time may be up meanwhile: then it is what was known by then.

    Raises:
        CannotBeRunError: If nothing can be said of it.
    """
    try:
        with rewritten(case) as program:
            for one in (case, *case.others):
                found = _diagnosed(one, [other for other in (case, *case.others) if other is not one], program)
                if found is not None:
                    return found
    except (NotTheSameError, *_OF_A_RUN) as error:
        raise CannotBeRunError(case.name) from error
    return None


def _diagnosed(case: Case, others: Sequence[Case], program: Program) -> Diagnosis | None:
    of_program = places(program)
    recording = record(case, program, of_program)
    found = differentiated(case, program, recording)
    _confirm(case, found)
    wrong = wrong_gradients(case, found)
    if not wrong:
        return None
    result = Diagnosis(case, program, wrong, others=others)
    with limited(current_clock()):
        result.suspects = suspects(case, program, of_program, recording, found)
        result.mended = _mended(result, others, of_program, recording, found)
    return result


def _confirm(case: Case, found: Derivatives) -> None:
    """Compare what the library says with a difference of the loss: a forward may leave what the library follows.

    Raises:
        CannotBeRunError: If they are apart.
    """
    step, most = (1e-5, CONFIRMED) if case.rounding < CONFIRMED else (3e-3, CONFIRMED_IN_SINGLE)
    with case.library.differentiating():
        (after, direction), (before, _) = case.loss_along(step), case.loss_along(-step)
    measured = (after - before) / (2 * step)
    claimed = [float(np.sum(true * way)) for true, way in zip(found.true, direction, strict=True)]
    if abs(measured - sum(claimed)) > most * max(abs(measured), *map(abs, claimed), 1e-12):
        raise CannotBeRunError(case.name)


def _mended(
    known: Diagnosis, others: Sequence[Case], of_program: list[Place], recording: Recording, found: Derivatives
) -> list[list[PlacedEdit]]:
    """Edits, one fault after the other, after which all gradients are right, here and at other values."""
    case, program = known.case, known.program
    chosen, mended, suspected = Chosen(), list[list[PlacedEdit]](), known.suspects
    while True:
        tried = candidates(case, recording, found, suspected, chosen, partial(_holds, chosen, [case], program))
        whole = [one for one in tried if one.is_whole][:MOST_TRIED]
        whole = [one for one in whole if _holds(chosen, [case, *others], program, one.suspect, one.edit)]
        if whole:
            return [*mended, [(one.suspect.place, one.edit) for one in whole]]
        first = next((one for one in tried if not one.is_whole), None)
        if first is None or len(mended) + 1 == MOST_FAULTS:
            return []
        chosen = chosen.with_edit(first.suspect.place, first.edit)
        mended.append([(first.suspect.place, first.edit)])
        recording = record(case, program, of_program, chosen.overrides())
        found = differentiated(case, program, recording, chosen.overrides())
        suspected = suspects(case, program, of_program, recording, found, chosen.overrides())


def _holds(chosen: Chosen, cases: Sequence[Case], program: Program, suspect: Suspect, edit: Edit) -> bool:
    """Whether all gradients are right with the edit, at each of these values."""
    edited = chosen.with_edit(suspect.place, edit).overrides()
    try:
        for case in cases:
            recording = record(case, program, [], edited)
            if wrong_gradients(case, differentiated(case, program, recording, edited, steps=False)):
                return False
    except Exception:  # an edit may be anything
        return False
    return True
