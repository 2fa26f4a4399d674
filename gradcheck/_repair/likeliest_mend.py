"""Of those who could be to blame, the one whose edit mends most and changes the text least."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from typing import TypeAlias

from gradcheck._localising import Localisation, Suspect
from gradcheck._localising.blame import Role
from gradcheck._localising.spoiling import readers_of, spoiling
from gradcheck._localising.suspects import Need
from gradcheck._mending import Again, Budget, Mend, MendSearch
from gradcheck._mending.distance import reads_known_item
from gradcheck._mending.needed import are_known
from gradcheck._mending.syntax import Code
from gradcheck._repair.around_suspects import statements_around
from gradcheck._repair.derivative_edits import Tried, edits_to_derivatives
from gradcheck._repair.each_gradient import first_mended, hands_on, is_credible
from gradcheck._repair.found import Mended
from gradcheck._repair.made_up_for import made_up_for, words_changed
from gradcheck._tape import TapedRun

#: suspects whose statement is looked at for an edit
MOST_SUSPECTS = 4
#: suspects whose statement is looked at for a small edit
MOST_LOOKED_AT = 12
#: what is tried of a suspect
FULL_BUDGET = Budget(candidates=4000, runs=90)
#: what is tried for a smaller edit, once there is one, or of one gradient alone
SMALL_BUDGET = Budget(candidates=1500, runs=36)
#: tokens that the smallest edits add and take away, a name for another: no other suspect can have a smaller one
SMALLEST_EDIT = 2

#: finds faults with their edits, if there are any; None where there are several, so that none alone is to blame
Sooner: TypeAlias = Callable[[], Sequence[Mended] | None]
#: the same, where it is asked last
Missing: TypeAlias = Callable[[], Sequence[Mended]]

#: roles of statements that only hand on what is wrong, or are right
_UNLIKELY = (Role.CONSUMES, Role.RIGHT)


class LikeliestMend:
    """The search for it: small edits of all who could be at fault, larger ones where no small one mends all.

    Args:
        run: The loss and the gradients, on the tape.
        found: Who could be at fault.
        again: What else to try edits at.
        fruitless: Statements of which no edit gives a derivative; new ones are added.
        most: Suspects of which larger edits are tried.
        budget: What is tried of each of these.
        sooner: Tells faults that are found sooner elsewhere, asked before edits of many suspects are tried here.
        missing: Tells a statement that is missing, asked where no edit of a suspect mends all.
        is_brief: Whether to leave out what takes long.
    """

    def __init__(
        self,
        run: TapedRun,
        found: Localisation,
        again: Sequence[Again],
        fruitless: set[Tried],
        most: int = MOST_SUSPECTS,
        budget: Budget = FULL_BUDGET,
        sooner: Sooner | None = None,
        missing: Missing | None = None,
        *,
        is_brief: bool = False,
    ) -> None:
        self._sooner, self._missing, self._is_brief = sooner, missing, is_brief
        self._run, self._found, self._again, self._fruitless = run, found, again, fruitless
        self._most, self._budget = most, budget
        #: those of whom it is known what they have to give, and those that others spoil derivatives because of
        self._clear = {
            id(one) for one in found.suspects if _knows_what_to_give(run, found, one) or _spoils_others(run, found, one)
        }
        self._suspects = self._in_order(found)
        self._searches = [MendSearch(run, one.statement, again, budget) for one in self._suspects[:most]]
        self._best = _Best()

    def _in_order(self, found: Localisation) -> list[Suspect]:
        """Those that are clear first; the likeliest is among the first whose edits are tried."""
        likeliest = [one for one in found.alone[:1] if id(one) not in self._clear]
        clear = [one for one in found.suspects if id(one) in self._clear][: self._most - len(likeliest)]
        first = [*clear, *likeliest]
        return [*first, *(one for one in found.suspects if not any(one is other for other in first))]

    def faults(self) -> Sequence[Mended]:
        """The fault with its edit, if there is one; where faults were found sooner elsewhere, those."""
        faults = self._faults()
        if len(faults) != 1 or faults[0].suspect is None or faults[0].mend is None or faults[0].mend.remaining:
            return faults
        return [self._made_up_for(faults[0].suspect, faults[0].mend) or faults[0]]

    def _made_up_for(self, suspect: Suspect, mend: Mend) -> Mended | None:
        """What an edit of another statement only makes up for, if an edit there mends all."""
        able = {id(one.statement): one for one in self._found.alone}
        for statement in made_up_for(self._run, suspect, mend):
            search = MendSearch(self._run, statement, self._again, self._budget)
            edits = [each for each in search.small() or search.large() if not each.remaining]
            if edits:  # what carries no derivative is no suspect, and may decide what one gives all the same
                return Mended.of(statement, edits, able.get(id(statement)))
        return None

    def _faults(self) -> Sequence[Mended]:
        best = self._best
        looked_at = self._small()
        if not best.is_whole and self._sooner is None:
            self._by_values()
        if not best.is_whole and self._sooner is not None:
            found = self._sooner()
            if found is None or found:
                self._large_of_first(looked_at)
                return _one(best.fault) if best.is_whole or not found else found
        if not best.is_whole:
            self._small_of_others()
        if best.is_sure:
            return _one(best.fault)
        # beside a mended suspect nothing else is asked
        around = [] if best.fault else statements_around(self._run, self._suspects[:MOST_LOOKED_AT])
        searches = [MendSearch(self._run, one, self._again, SMALL_BUDGET) for one in around]
        beside = first_mended(searches, MendSearch.small)
        if beside is not None and beside.mend is not None and not beside.mend.remaining:
            return [beside]
        if self._is_brief:
            return _one(best.fault or beside)
        self._large(looked_at)
        if not best.is_whole and self._missing is not None and (found := self._missing()):
            return found
        if self._found.alone and all(map(hands_on, self._found.alone)):
            return _one(best.fault)  # only what hands all of them on could spoil them all: there are several faults
        return _one(best.fault or beside or first_mended(searches, MendSearch.large))

    def _small(self) -> int:
        """Small edits of the likeliest, and large ones of a credible first; of how many all was tried."""
        best, whole_of = self._best, 0
        for number, (suspect, search) in enumerate(zip(self._suspects, self._searches, strict=False)):
            if best.is_whole and suspect.role in _UNLIKELY:
                continue  # only a smaller edit of a statement that spoils something could be the better one
            best.add(suspect, search.small())
            if best.is_smallest:
                break
            is_likeliest = number == 0 and self._found.alone and (is_credible(suspect) or self._found.is_decided)
            if best.fault is None and (is_likeliest or id(suspect) in self._clear):
                best.add(suspect, search.large())
                whole_of = number + 1
                if best.is_sure:
                    break
        return whole_of

    def _large_of_first(self, looked_at: int) -> None:
        """Where others are found that make no gradient right by themselves, all edits of the likeliest first.

        One fault that is to blame for all is likelier than several.
        """
        if not looked_at and self._found.alone:
            self._best.add(self._suspects[0], self._searches[0].large())

    def _by_values(self) -> None:
        """Edits after which what reads right derivatives and gives none gives one.

        Where executions multiply each other, no gradient tells of an edit that it is right, but each execution does.
        """
        found = {id(one.statement): one for one in self._run.once(spoiling)}
        told = [one for one in self._suspects[:MOST_LOOKED_AT] if id(one.statement) in found]
        spoilers = [found[id(one.statement)] for one in told]
        edits = edits_to_derivatives(self._run, spoilers, self._again, self._fruitless)
        for suspect, of_one in zip(told, edits, strict=True):
            self._best.add(suspect, MendSearch(self._run, suspect.statement, self._again, self._budget).given(of_one))

    def _small_of_others(self) -> None:
        for suspect in self._suspects[self._most : MOST_LOOKED_AT]:
            self._best.add(suspect, MendSearch(self._run, suspect.statement, self._again, SMALL_BUDGET).small())
            if self._best.is_sure:
                break

    def _large(self, first: int) -> None:
        for suspect, search in zip(self._suspects[first:], self._searches[first:], strict=False):
            if self._best.is_whole and suspect.role in _UNLIKELY:
                break
            self._best.add(suspect, search.large(wants_whole=hands_on(suspect)))
            if self._best.is_sure:
                break


def _knows_what_to_give(run: TapedRun, found: Localisation, suspect: Suspect) -> bool:
    """Whether all is right if it gives the derivatives of one value, where of the likeliest it is not known what to."""
    alone = found.alone
    return (
        len(alone) > 1
        and alone[0].need is Need.UNDETERMINED
        and suspect.role is not Role.RIGHT
        and are_known(run, suspect.nodes)
    )


def _spoils_others(run: TapedRun, found: Localisation, suspect: Suspect) -> bool:
    """Whether it could be to blame alone where several statements that call its function, or read what it gives, spoil
    derivatives.

    Of each of them an edit can be found that makes up for it; one mistake is likelier than several alike.
    """
    if not any(one is suspect for one in found.alone):
        return False
    callers = {id(place.statement) for node in suspect.nodes if node.call is not None for place in node.call.stack}
    others = callers | readers_of(run, {node.index for node in suspect.nodes})
    others -= run.once(_of_loss)  # a product in a helper of both is as right as what it is handed
    return sum(id(one.statement) in others for one in run.once(spoiling) if one.executions) > 1


def _of_loss(run: TapedRun) -> set[int]:
    """The identities of statements that give something of what the loss is calculated from."""
    return {id(node.place.statement) for node in run.nodes if node.place is not None and run.is_forward(node)}


def _one(fault: Mended | None) -> list[Mended]:
    return [] if fault is None else [fault]


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
            self.fault = Mended.of(suspect.statement, edits, suspect)


def _change(mend: Mend, text: str) -> int:
    """How many tokens of the source a mend takes away and adds, but for brackets; those added count more.

    An item for another one that the file reads as well counts as a name for another.
    """
    if reads_known_item(Code.of(text), mend.edits):
        return SMALLEST_EDIT
    old, new = ([word for word in words if word not in ("(", ")")] for words in words_changed(mend, text))
    same = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    changed = len(old) + len(new) - 2 * sum(block.size for block in same)
    return changed + 2 * max(0, len(new) - len(old))
