"""One fault of those that a taped run has: the statement, and the edit that mends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradcheck._localising import Localisation, Suspect, localise
from gradcheck._localising.blame import Role
from gradcheck._localising.incomplete import incomplete
from gradcheck._localising.misdirected import misdirected
from gradcheck._localising.spoiling import spoiling, without_right_consequences
from gradcheck._mending import Again, MendSearch
from gradcheck._repair.around_suspects import heads_around
from gradcheck._repair.each_gradient import (
    first_mended,
    gradients_behind,
    hands_on,
    mends_of_several,
    spoil_only,
    suspects_of_each,
    takes_each_alone,
    without_forward,
)
from gradcheck._repair.forward import forward_statements
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.likeliest_mend import SMALL_BUDGET, LikeliestMend, Missing, Sooner
from gradcheck._repair.misread import misread
from gradcheck._repair.points import Point
from gradcheck._repair.telling_signs import fault_by_sign, first_mend
from gradcheck._tape import MOVES, TapedRun
from gradcheck.report.codes import FindingCode

#: suspects that are looked at where none could be at fault alone
MOST_SUSPECTS_ALONE = 2
#: loops of which another order is tried there
MOST_LOOPS = 4
#: suspects that are told where no edit mends any
MOST_TOLD = 6


def next_fault(
    found: Found,
    run: TapedRun,
    wrong: set[str],
    others: Sequence[Point],
    sooner: Sooner | None = None,
    missing: Missing | None = None,
    *,
    is_brief: bool = False,
) -> Sequence[Mended]:
    """The likeliest fault that could be to blame for all that is wrong, if an edit mends it.

    `sooner` is asked before edits of many suspects are tried, `missing` where none mends all; `is_brief` leaves out
    what takes long.
    """
    localisation = _localised(found, run, wrong, others)
    again = [one.taped for one in others]
    fault = fault_by_sign(run, localisation, again)
    if fault is not None:
        return [fault]
    if not localisation.alone:
        alone = (
            _mends_all(run, localisation.together, again)
            or _loop_that_mends_all(run, again)
            or (misread(run, again) if not found.edits else None)
        )
        return [alone] if alone is not None else missing() if missing is not None else ()
    search = LikeliestMend(run, localisation, again, found.fruitless, sooner=sooner, missing=missing, is_brief=is_brief)
    return search.faults()


def _mends_all(run: TapedRun, together: Sequence[Suspect], again: Sequence[Again]) -> Mended | None:
    """One of several that could be to blame together, if it spoils what is right and a small edit of it mends all."""
    for suspect in [one for one in together if one.role is Role.SPOILS][:MOST_SUSPECTS_ALONE]:
        edits = MendSearch(run, suspect.statement, again, SMALL_BUDGET).small()
        if edits and not edits[0].remaining:
            return Mended.of(suspect.statement, edits, suspect)
    return None


def _loop_that_mends_all(run: TapedRun, again: Sequence[Again]) -> Mended | None:
    """A loop of the backward, if another order of its steps mends all: what goes round in it is wrong everywhere."""
    forward = run.once(forward_statements)
    places = (node.place for node in run.backward if node.place is not None and node.op not in MOVES)
    calculating = {id(one.statement): one.statement for one in places if id(one.statement) not in forward}
    heads = (head for one in calculating.values() for head in heads_around(run, one) if head.kind == "For")
    loops = list({id(one): one for one in heads}.values())[:MOST_LOOPS]
    found = first_mended((MendSearch(run, one, again, SMALL_BUDGET) for one in loops), MendSearch.small)
    return found if found is not None and found.mend is not None and not found.mend.remaining else None


def fault_in_part(found: Found, run: TapedRun, wrong: set[str], others: Sequence[Point]) -> Sequence[Mended]:
    """Where none could be to blame alone: one that could be together with others, if an edit makes a gradient right."""
    if found.last is not None and found.last.alone:
        return []
    localisation, again = _localised(found, run, wrong, others), [one.taped for one in others]
    return LikeliestMend(run, localisation, again, found.fruitless, MOST_SUSPECTS_ALONE, SMALL_BUDGET).faults()


def is_blamed_still(run: TapedRun, fault: Mended, wrong: set[str], others: Sequence[Point]) -> bool:
    """Whether the statement of a fault could, with its edit, be to blame alone for all that is left."""
    at = fault.statement.file, fault.statement.line
    alone = run.once(_of_backward, frozenset(wrong), others[-1]).alone
    return any((one.statement.file, one.statement.line) == at and not hands_on(one) for one in alone)


def _localised(found: Found, run: TapedRun, wrong: set[str], others: Sequence[Point]) -> Localisation:
    """Who could be at fault, noted in what is found."""
    localisation = run.once(_of_backward, frozenset(wrong), others[-1])
    found.last, found.of_each = localisation, {}
    return localisation


def _of_backward(run: TapedRun, wrong: frozenset[str], other: Point) -> Localisation:
    whole = without_forward(run, localise(run, sorted(wrong), second=other.run_or_none()))
    able = [one for one in whole.alone if not takes_each_alone(run, one, set(wrong))]
    return replace(whole, alone=able, find_together=lambda: whole.together)


def faults_of_several(found: Found, run: TapedRun, wrong: set[str], others: Sequence[Point]) -> list[Mended]:
    """Where no fault alone is mended by an edit: those that mend some gradients each."""
    if len(wrong) > 1:
        found.of_each = suspects_of_each(run, wrong, others[-1].run_or_none())
    return mends_of_several(run, found.of_each, [one.taped for one in others])


def write_into_callers(run: TapedRun, others: Sequence[Point]) -> Mended | None:
    """A write into an array that was handed over, and the copy after which it is left as it was."""
    writing = dict.fromkeys(one.place.statement for one in run.writes if one.label and one.place is not None)
    told = ((statement, FindingCode.WRITES_INTO_CALLERS) for statement in writing)
    return first_mend(run, told, [one.taped for one in others])


def unmended_faults(found: Found, run: TapedRun, wrong: set[str], others: Sequence[Point]) -> list[Mended]:
    """What is told where no edit mends anything: what was left aside, and who could be at fault."""
    last = found.last
    assert last is not None
    suspects = last.alone[:1]
    if not suspects or (len(wrong) > 1 and any(hands_on(one) for one in suspects)):
        # only what gathers all of them could spoil them all: several faults
        if found.signs_left or found.faults:
            return [*_unused_cotangents(last, wrong), *found.signs_left]
        suspects = last.together or suspects
    if not suspects or (len(wrong) > 1 and any(hands_on(one) for one in suspects)):
        # each found by what it spoils
        of_each = found.of_each or suspects_of_each(run, wrong, others[-1].run_or_none())
        likeliest = {id(ones[0].statement): replace(ones[0], blamed_for=(name,)) for name, ones in of_each.items()}
        suspects = list(likeliest.values()) or suspects
    return [*_unused_cotangents(last, wrong), *(unmended(one, wrong) for one in suspects[:MOST_TOLD])]


def signs_of_several(run: TapedRun, wrong: set[str]) -> list[Mended]:
    """Statements that are at fault whatever else is: they make of right derivatives what is none and leads to none, or
    give what is whole at the last step alone."""
    spoils = spoil_only(run, [one for one in run.once(spoiling) if one.executions], wrong)
    found = {id(one.statement): one.statement for one in without_right_consequences(run, spoils)}
    statements = [one.statement for one in run.once(incomplete)]
    codes = {id(one): FindingCode.LATER_STEPS_MISSING for one in statements}
    lacking = {id(one): one for one in statements if id(one) not in run.once(forward_statements)}
    found |= {id(one.statement): one.statement for one in spoil_only(run, run.once(misdirected), wrong)}
    told = [Mended(one, gradients_behind(run, one, wrong), code=codes.get(k)) for k, one in (found | lacking).items()]
    return told[:MOST_TOLD]


def _unused_cotangents(found: Localisation, wrong: set[str]) -> list[Mended]:
    """What was handed over and left aside."""
    return [
        Mended(sign.statement, tuple(sorted(wrong)), code=FindingCode.COTANGENT_UNUSED, name=sign.name)
        for sign in found.signs
        if sign.kind == "cotangent unused" and sign.statement is not None
    ]


def unmended(suspect: Suspect, wrong: set[str]) -> Mended:
    """A fault without an edit."""
    return Mended(suspect.statement, suspect.blamed_for or tuple(sorted(wrong)), suspect)
