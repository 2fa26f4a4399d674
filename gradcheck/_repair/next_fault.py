"""One fault of those that a taped run has: the statement, and the edit that mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from gradcheck._localising import Localisation, Suspect, localise
from gradcheck._localising.blame import Role
from gradcheck._localising.incomplete import incomplete
from gradcheck._localising.spoiling import spoiling, without_right_consequences
from gradcheck._mending import Again, Budget, Mend, MendSearch, mends
from gradcheck._mending.distance import words_of
from gradcheck._repair.around_suspects import statements_around
from gradcheck._repair.derivative_edits import Tried, edits_to_derivatives
from gradcheck._repair.each_gradient import (
    forward_statements,
    gradients_behind,
    hands_on,
    is_credible,
    mends_of_several,
    spoil_only,
    suspects_of_each,
    takes_each_alone,
    without_forward,
)
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.points import Point
from gradcheck._tape import Statement, TapedRun
from gradcheck._usercode.source import Edit, Source
from gradcheck.report.codes import FindingCode

#: suspects whose statement is looked at for an edit
MOST_SUSPECTS = 4
#: suspects whose statement is looked at for a small edit
MOST_LOOKED_AT = 12
#: suspects that are looked at where none could be at fault alone
MOST_SUSPECTS_ALONE = 2
#: what is tried of a suspect
FULL_BUDGET = Budget(candidates=4000, runs=90)
#: what is tried for a smaller edit, once there is one, or of one gradient alone
SMALL_BUDGET = Budget(candidates=1500, runs=36)
#: values without effect that are looked at, whatever the suspects
MOST_SIGNS = 3
#: suspects that are told where no edit mends any
MOST_TOLD = 6
#: tokens that the smallest edits add and take away, a name for another: no other suspect can have a smaller one
SMALLEST_EDIT = 2

#: roles of statements that only hand on what is wrong, or are right
_UNLIKELY = (Role.CONSUMES, Role.RIGHT)


def next_fault(found: Found, run: TapedRun, wrong: set[str], others: Sequence[Point]) -> list[Mended]:
    """The likeliest fault that could be to blame for all that is wrong, if an edit mends it."""
    localisation = _localised(found, run, wrong, others)
    again = [one.taped for one in others]
    fault = _sign_that_mends(run, localisation, again)
    if fault is None and localisation.alone:
        fault = _likeliest_mend(run, localisation, again, found.fruitless)
    return [] if fault is None else [fault]


def fault_in_part(found: Found, run: TapedRun, wrong: set[str], others: Sequence[Point]) -> list[Mended]:
    """Where none could be to blame alone: one that could be together with others, if an edit makes a gradient right."""
    if found.last is not None and found.last.alone:
        return []
    localisation, again = _localised(found, run, wrong, others), [one.taped for one in others]
    fault = _likeliest_mend(run, localisation, again, found.fruitless, MOST_SUSPECTS_ALONE, SMALL_BUDGET)
    return [] if fault is None else [fault]


def _localised(found: Found, run: TapedRun, wrong: set[str], others: Sequence[Point]) -> Localisation:
    """Who could be at fault, noted in what is found."""
    localisation = without_forward(run, localise(run, sorted(wrong), second=others[-1].run_or_none()))
    able = [one for one in localisation.alone if not takes_each_alone(run, one, wrong)]
    localisation = replace(localisation, alone=able)
    found.last, found.of_each = localisation, {}
    return localisation


def faults_of_several(found: Found, run: TapedRun, wrong: set[str], others: Sequence[Point]) -> list[Mended]:
    """Where no fault alone is mended by an edit: those that mend some gradients each."""
    if len(wrong) > 1:
        found.of_each = suspects_of_each(run, wrong, others[-1].run_or_none())
    return mends_of_several(run, found.of_each, [one.taped for one in others])


def _sign_that_mends(run: TapedRun, found: Localisation, again: Sequence[Again]) -> Mended | None:
    """A loop in the wrong order, or a value that does not matter, where an edit of it makes gradients right."""
    codes = {
        "order of executions": FindingCode.WRONG_ORDER,
        "repeated index": FindingCode.INDEX_REPEATS,
        "overwritten": None,
        "no effect": None,
        "never read": None,
    }
    told = [(one.statement, codes[one.kind]) for one in found.signs if one.statement is not None and one.kind in codes]
    return _first_mend(run, told[:MOST_SIGNS], again, SMALL_BUDGET)


def _first_mend(
    run: TapedRun,
    statements: Iterable[tuple[Statement, FindingCode | None]],
    again: Sequence[Again],
    budget: Budget,
) -> Mended | None:
    """The first of these statements that an edit mends."""
    for statement, code in statements:
        edits = mends(run, statement, again, budget)
        if edits:
            return Mended(statement, edits[0].gradients, None, edits[0], tuple(edits[1:]), code=code)
    return None


def write_into_callers(run: TapedRun, others: Sequence[Point]) -> Mended | None:
    """A write into an array that was handed over, and the copy after which it is left as it was."""
    writing = dict.fromkeys(one.place.statement for one in run.writes if one.label and one.place is not None)
    told = ((statement, FindingCode.WRITES_INTO_CALLERS) for statement in writing)
    return _first_mend(run, told, [one.taped for one in others], SMALL_BUDGET)


def unmended_faults(found: Found, run: TapedRun, wrong: set[str], others: Sequence[Point]) -> list[Mended]:
    """What is told where no edit mends anything: what was left aside, and who could be at fault."""
    last = found.last
    assert last is not None
    suspects = last.alone[:1]
    if not suspects or (len(wrong) > 1 and any(hands_on(one) for one in suspects)):
        # only what gathers all of them could spoil them all: several faults
        signs = signs_of_several(run, wrong)
        if signs:
            return [*_unused_cotangents(last, wrong), *signs]
        suspects = last.together or suspects
    if not suspects or (len(wrong) > 1 and any(hands_on(one) for one in suspects)):
        of_each = found.of_each or suspects_of_each(run, wrong, others[-1].run_or_none())
        likeliest = {id(ones[0].statement): replace(ones[0], blamed_for=(name,)) for name, ones in of_each.items()}
        suspects = list(likeliest.values()) or suspects
    return [*_unused_cotangents(last, wrong), *(unmended(one, wrong) for one in suspects[:MOST_TOLD])]


def signs_of_several(run: TapedRun, wrong: set[str]) -> list[Mended]:
    """Statements that are at fault whatever else is: they make of right derivatives what is none and leads to none, or
    give what is whole at the last step alone."""
    spoils = spoil_only(run, [one for one in run.once(spoiling) if one.executions], wrong)
    found = {id(one.statement): one.statement for one in without_right_consequences(run, spoils)}
    codes = {id(one): FindingCode.LATER_STEPS_MISSING for one in run.once(incomplete)}
    lacking = {id(one): one for one in run.once(incomplete) if id(one) not in run.once(forward_statements)}
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


def _likeliest_mend(
    run: TapedRun,
    found: Localisation,
    again: Sequence[Again],
    fruitless: set[Tried],
    most: int = MOST_SUSPECTS,
    budget: Budget = FULL_BUDGET,
) -> Mended | None:
    """The suspect whose edit mends most and changes least; of equal ones, the likelier.

    Small edits are tried of all who could be at fault, larger ones of the likeliest where no small one mends all, and
    at once of one that is credible.
    """
    suspects = found.suspects
    searches = [MendSearch(run, one.statement, again, budget) for one in suspects[:most]]
    best, whole_of = _Best(), 0
    for number, (suspect, search) in enumerate(zip(suspects, searches, strict=False)):
        if best.is_whole and suspect.role in _UNLIKELY:
            continue  # only a smaller edit of a statement that spoils something could be the better one
        best.add(suspect, search.small())
        if best.is_smallest:
            return best.fault
        if best.fault is None and number == 0 and found.alone and is_credible(suspect):
            best.add(suspect, search.large())
            whole_of = 1
            if best.is_sure:
                return best.fault
    if best.is_sure:
        return best.fault
    if not best.is_whole:
        for suspect, edits in _edits_by_values(run, suspects[:MOST_LOOKED_AT], again, fruitless):
            best.add(suspect, MendSearch(run, suspect.statement, again, budget).given(edits))
        if best.is_sure:
            return best.fault
    if not best.is_whole:
        for suspect in suspects[most:MOST_LOOKED_AT]:
            best.add(suspect, MendSearch(run, suspect.statement, again, SMALL_BUDGET).small())
            if best.is_sure:
                return best.fault
    around = [MendSearch(run, one, again, SMALL_BUDGET) for one in statements_around(run, suspects)]
    fault: Mended | None = None
    if best.fault is None:
        fault = _first_of(around, MendSearch.small)
        if fault is not None and fault.mend is not None and not fault.mend.remaining:
            return fault
    for suspect, search in zip(suspects[whole_of:], searches[whole_of:], strict=False):
        if best.is_whole and suspect.role in _UNLIKELY:
            break
        if hands_on(suspect):
            continue  # it calculates nothing that could be calculated otherwise
        best.add(suspect, search.large())
        if best.is_sure:
            break
    return best.fault or fault or _first_of(around, MendSearch.large)


def _first_of(searches: Sequence[MendSearch], size: Callable[[MendSearch], list[Mend]]) -> Mended | None:
    """The first of these statements that an edit of this size mends."""
    for search in searches:
        edits = size(search)
        if edits:
            return Mended(search.statement, edits[0].gradients, None, edits[0], tuple(edits[1:]))
    return None


def _edits_by_values(
    run: TapedRun, suspects: Sequence[Suspect], again: Sequence[Again], fruitless: set[Tried]
) -> Iterator[tuple[Suspect, list[tuple[Edit, ...]]]]:
    """Suspects that read right derivatives and give none, and edits after which they give one.

    Where executions multiply each other, no gradient tells of an edit that it is right, but each execution does.
    """
    found = {id(one.statement): one for one in run.once(spoiling)}
    told = [one for one in suspects if id(one.statement) in found]
    edits = edits_to_derivatives(run, [found[id(one.statement)] for one in told], again, fruitless)
    return zip(told, edits, strict=True)


class _Best:
    """The fault whose edit mends most and changes least of those that were added."""

    def __init__(self) -> None:
        self.fault: Mended | None = None
        self._key: tuple[int, bool, int] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all gradients are right with its edit."""
        return self._key is not None and not self._key[0]

    @property
    def is_sure(self) -> bool:
        """Whether it is of a statement that spoils something, besides."""
        return self._key is not None and self._key[:2] == (0, False)

    @property
    def is_smallest(self) -> bool:
        """Whether no other edit could be smaller."""
        return self._key is not None and self._key <= (0, False, SMALLEST_EDIT)

    def add(self, suspect: Suspect, edits: list[Mend]) -> None:
        """Take an edit of this suspect if it is better."""
        if hands_on(suspect):  # one gradient of several is not mended where all are gathered
            edits = [one for one in edits if not one.remaining]
        if not edits:
            return
        text = suspect.statement.source.text
        edits.sort(key=lambda one: (len(one.remaining), _change(one, text)))
        key = len(edits[0].remaining), suspect.role in _UNLIKELY, _change(edits[0], text)
        if self._key is None or key < self._key:
            self._key = key
            self.fault = Mended(suspect.statement, edits[0].gradients, suspect, edits[0], tuple(edits[1:]))


def _change(mend: Mend, text: str) -> int:
    """How many tokens of the source a mend takes away and adds; what makes the code longer counts more."""
    old, new = (words_of(lines) for lines in Source(mend.file, text).change(*mend.edits)[1:])
    same = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    changed = len(old) + len(new) - 2 * sum(block.size for block in same)
    return changed + 2 * max(0, len(new) - len(old))
