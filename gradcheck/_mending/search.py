"""Finds edits of a statement after which gradients are right."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradcheck._mending.building import bare_hole, holes_of
from gradcheck._mending.carried import carried, left_by_another_name, left_by_key
from gradcheck._mending.details import Family, keys
from gradcheck._mending.distance import KNOWN_ITEM, distance, reads_known_item
from gradcheck._mending.formula import formula
from gradcheck._mending.holes import Hole
from gradcheck._mending.larger_edits import SECOND, jacobians
from gradcheck._mending.mend import Mend
from gradcheck._mending.multiples import multiples
from gradcheck._mending.outside import Edit, apply_edits
from gradcheck._mending.penalties import penalties
from gradcheck._mending.products import at_hand, long_products, products, products_in_part
from gradcheck._mending.residual import Residual
from gradcheck._mending.slots import Candidate, Workplace, is_in_vain
from gradcheck._mending.small_edits import FIRST, dropped, other_reads, terms_handed_on, unread
from gradcheck._mending.sparing import sparing_others
from gradcheck._mending.statement_edits import copies_before, left_out, structural
from gradcheck._mending.suspects import Suspect, roots
from gradcheck._mending.syntax import Code, span
from gradcheck._mending.trials import Trial
from gradcheck._tape import Statement, TapedRun

#: makes a run that can be asked while the block lasts
Again = Callable[[], AbstractContextManager[TapedRun]]
#: edits of a statement that leave a loop endless: its other edits are not run then
MOST_ENDLESS = 2
#: tokens: what changes less is not bettered by looking further
NEAR = 12.0
#: vector-Jacobian products of normalisations that are run in one place
MOST_JACOBIANS = 12
#: names of other gradients that are tried in one place
MOST_KEYS = 12
#: other reads that are run for each candidate of another family
READS_IN_TURN = 4


@dataclass(frozen=True)
class Budget:
    """How much is tried, counted so that the same run gives the same result."""

    candidates: int = 12000
    runs: int = 250
    mends: int = 3
    together: int = 6
    accepted: int = 16


def mends(run: TapedRun, statement: Statement, again: Sequence[Again] = (), budget: Budget | None = None) -> list[Mend]:
    """Edits of the statement after which gradients are right, the closest to what stands there first.

    Args:
        run: The loss and the gradients, on the tape.
        statement: The one that is at fault.
        again: What else to try them at: each makes a run of its own, at other sizes or with another seed.
        budget: How much to try.
    """
    search = MendSearch(run, statement, again, budget or Budget())
    return search.small() or search.large()


def removals(run: TapedRun, statement: Statement, again: Sequence[Again] = ()) -> list[Mend]:
    """Edits that take the statement, or calls and operands in it, out, after which gradients are right."""
    return MendSearch(run, statement, again, Budget()).removals()


def spelled_otherwise(suspect: Suspect) -> Iterator[tuple[Edit, ...]]:
    """Edits of a statement after which it spells the name of another gradient."""
    for root in roots(suspect.tree) if suspect.frames else ():
        for candidate in itertools.islice(keys(Workplace(bare_hole(suspect, root))), MOST_KEYS):
            yield tuple(suspect.code.replaced(old, new) for old, new in candidate.swaps)


@dataclass(frozen=True)
class _Found:
    edits: tuple[Edit, ...]
    right: frozenset[str]
    distance: float
    how: str


class MendSearch:
    """The search for edits of one statement, in two parts: what is soon tried, and all else.

    Args:
        run: The loss and the gradients, on the tape.
        statement: The one that is at fault.
        again: What else to try edits at.
        budget: How much to try.
    """

    def __init__(self, run: TapedRun, statement: Statement, again: Sequence[Again], budget: Budget) -> None:
        self.run, self.statement, self.again, self.budget = run, statement, again, budget
        self.residual = run.once(Residual)
        self.suspect = Suspect(run, statement, self.residual)
        self.code: Code = self.suspect.code
        self.trial = Trial(run)
        # many small edits of a long statement leave as many larger ones to be tried
        self._small_tried, self._large_tried, self._solutions = (itertools.count(1) for _ in range(3))
        self.seen: set[tuple[Edit, ...]] = set()

    def small(self) -> list[Mend]:
        """Small edits within the statement, and of it as a whole."""
        if not self.trial.wrong:
            return self._kept_whole()
        return self._first(self._small_stages(), wants_whole=True)

    def large(self, *, wants_whole: bool = False) -> list[Mend]:
        """All others; `wants_whole`: those that mend a part end no search for one that mends all."""
        return self._first(self._large_stages(), wants_whole=wants_whole) if self.trial.wrong else []

    def given(self, edits: Sequence[tuple[Edit, ...]]) -> list[Mend]:
        """These."""
        return self._first(iter([(self._run(iter(edits)), np.inf)])) if self.trial.wrong else []

    def removals(self) -> list[Mend]:
        """What only takes something out."""
        with np.errstate(all="ignore"):
            whole = list(self._run(left_out(self.suspect.tree)))
            return self._confirmed(whole) or self._confirmed(list(self._judged((dropped,))))

    def penalties(self) -> list[Mend]:
        """What the loss has of an array alone, added to the gradient that lacks just that."""
        root = next(roots(self.suspect.tree), None)
        if root is None or not self.suspect.frames:
            return []
        with np.errstate(all="ignore"):
            around = Workplace(bare_hole(self.suspect, root)).around
        return self.given(list(penalties(self.suspect, around)))

    def _first(self, stages: Iterator[tuple[Iterator[_Found], float]], *, wants_whole: bool = False) -> list[Mend]:
        """What the first stage gives of which something holds and is near enough.

        `wants_whole`: where that mends a part, what a later stage gives that mends all; a part may be right by chance.
        """
        in_part: list[Mend] = []
        with np.errstate(all="ignore"):
            accepted: list[_Found] = []
            for stage, near in stages:
                accepted += itertools.islice(stage, self.budget.accepted)
                if accepted and min(one.distance for one in accepted) < near:
                    result = self._confirmed(accepted)
                    if result and not (wants_whole and result[0].remaining):
                        return result
                    in_part = in_part or result
                    accepted = []
        return in_part

    @cached_property
    def places(self) -> list[Workplace]:
        """The expressions of the statement that could be others."""
        return [Workplace(hole) for hole in holes_of(self.suspect)]

    def _kept_whole(self) -> list[Mend]:
        """Where nothing is wrong but the statement writes into what the caller handed over: a copy before that."""
        file = self.statement.file
        for edits in copies_before(self.run, self.suspect):
            spared = self.trial.spared_by(file, edits)
            if spared and all(_spares(make, file, edits) for make in self.again):
                evidence = f"{', '.join(sorted(spared))} is left as it is; run at {1 + len(self.again)} points"
                return [Mend(file, edits, self.statement, (), (), evidence)]
        return []

    @cached_property
    def singled_out(self) -> list[Workplace]:
        """Of several expressions those of which it is known what they have to give for all to be right."""
        wrong = self.residual.wrong
        known = [
            place for place in self.places if (told := place.hole.needed) and told.known and told.known.right >= wrong
        ]
        return known if len(known) < len(self.places) else []

    def _small_stages(self) -> Iterator[tuple[Iterator[_Found], float]]:
        """Candidates, the nearest first, and how near they have to be for the rest not to be looked at."""
        if self.singled_out:
            yield self._counted(FIRST, self._small_tried, self.singled_out), np.inf
            yield self._counted((at_hand, multiples, products, formula), self._solutions, self.singled_out), np.inf
        nearest = itertools.chain(
            self._run(self._elements_exchanged()), self._judged(FIRST), self._run(left_out(self.suspect.tree))
        )
        yield nearest, np.inf
        names = left_by_another_name(self.code, self.suspect.tree)
        kinds = (names, structural(self.suspect), left_by_key(self.suspect), carried(self.suspect))
        yield self._run(itertools.chain.from_iterable(map(sparing_others, kinds))), np.inf
        if not self.places or not all(place.hole.is_certain for place in self.places):
            yield self._run(itertools.islice(self._texts(), self.budget.runs // 3)), np.inf

    def _elements_exchanged(self) -> Iterator[tuple[Edit, ...]]:
        """Elements of one tuple, each a place by itself, in each other's place: one name for another mends half."""
        elements = [place.hole.root for place in self.places]
        for one, other in itertools.combinations(elements, 2):
            around = self.code.parent(one)
            if isinstance(around, (ast.Tuple, ast.List)) and self.code.parent(other) is around:
                a, b = self.code.segment(one), self.code.segment(other)
                yield tuple(sorted((Edit(*span(one), b), Edit(*span(other), a))))

    def _large_stages(self) -> Iterator[tuple[Iterator[_Found], float]]:
        yield self._solved((at_hand, multiples)), NEAR / 2
        yield self._solved((products,)), NEAR
        yield self._solved((formula,)), NEAR
        yield self._judged(SECOND), np.inf
        yield self._solved((long_products,)), np.inf
        yield self._solved((products_in_part,)), np.inf
        yield self._run(self._texts()), np.inf

    def _texts(self) -> Iterator[tuple[Edit, ...]]:
        """Small edits that are run: where executions multiply each other, the tape judges none of them right."""
        yield from spelled_otherwise(self.suspect)
        inside = {id(place.hole.root) for place in self.places}
        bare = [root for root in roots(self.suspect.tree) if id(root) not in inside and self.suspect.frames]
        everywhere = [*self.places, *(Workplace(bare_hole(self.suspect.within(root), root)) for root in bare)]
        kinds = [_in_turn([one(place) for place in everywhere]) for one in (unread, terms_handed_on, _first_jacobians)]
        small = {family: _in_turn([family(place) for place in everywhere]) for family in FIRST}
        # only so many are run: of each family some, and most of what is mistaken most often
        small_in_turn = _in_turn([*[small[other_reads]] * (READS_IN_TURN - 1), *small.values()])
        for candidate in itertools.chain(*kinds, small_in_turn):
            if not is_in_vain(candidate, self.code):
                yield self._edits(candidate)

    # -- candidates that the tape judges ---------------------------------------------------------------------------

    def _judged(self, families: tuple[Family, ...]) -> Iterator[_Found]:
        return self._counted(families, self._large_tried if families is SECOND else self._small_tried)

    def _solved(self, families: tuple[Family, ...]) -> Iterator[_Found]:
        """The same of candidates that are solutions already: they are few, and counted by themselves."""
        return self._counted(families, self._solutions)

    def _counted(
        self, families: tuple[Family, ...], count: Iterator[int], places: Sequence[Workplace] | None = None
    ) -> Iterator[_Found]:
        for family in families:
            for place in self.places if places is None else places:
                for candidate in sparing_others(family(place)):
                    if next(count) > self.budget.candidates:
                        return
                    found = self._accepted(place.hole, candidate)
                    if found is not None:
                        yield found

    def _accepted(self, hole: Hole, candidate: Candidate) -> _Found | None:
        swaps = list(candidate.swaps)
        judgement = hole.judged(swaps)
        if judgement is not None and not judgement.right >= self._whole_of(hole):
            return None
        if judgement is None or is_in_vain(candidate, self.code) or hole.keeps_everything(swaps) or hole.empties(swaps):
            return None
        edits = self._edits(candidate)
        if edits in self.seen:
            return None
        self.seen.add(edits)
        return _Found(edits, judgement.right, self._distance(edits), "judged by its values at every execution")

    def _distance(self, edits: tuple[Edit, ...]) -> float:
        tokens = distance(self.code.text, edits)
        return KNOWN_ITEM if tokens > KNOWN_ITEM and reads_known_item(self.code, edits) else tokens

    def _whole_of(self, hole: Hole) -> frozenset[str]:
        """All that is wrong, where it is known what several executions have to give for all of it to be right.

        What is right at some of them already would show with any edit that leaves these alone.
        """
        wrong = self.residual.wrong
        known = hole.needed.known if hole.needed is not None and hole.needed.only else None
        is_whole = known is not None and known.right >= wrong and len(hole.executions) > 1
        return frozenset(wrong) if is_whole else frozenset()

    def _edits(self, candidate: Candidate) -> tuple[Edit, ...]:
        return tuple(sorted(self.code.replaced(old, new) for old, new in candidate.swaps))

    # -- candidates that are run -----------------------------------------------------------------------------------

    def _run(self, candidates: Iterator[tuple[Edit, ...]]) -> Iterator[_Found]:
        for edits in sparing_others(candidates):
            if edits in self.seen:
                continue
            self.seen.add(edits)
            if self.trial.runs > self.budget.runs or self.trial.endless >= MOST_ENDLESS:
                return
            right = self.trial.mended_by(self.statement.file, edits)
            if right:
                yield _Found(edits, right, self._distance(edits), "found by running it")

    # -- which of them hold ----------------------------------------------------------------------------------------

    def _confirmed(self, accepted: list[_Found]) -> list[Mend]:
        """Those that hold wherever they are tried, the nearest first."""
        ordered = self._distinct(sorted(accepted, key=lambda one: (-len(one.right), one.distance)))
        for first in range(0, len(ordered), self.budget.together):
            if not self.trial.is_alive:
                break  # the code keeps its state in its module, and has been set up anew elsewhere
            held = self._holding(ordered[first : first + self.budget.together])
            if held:
                farthest = 1.5 * held[0][0].distance + 1
                near = [pair for pair in held if pair[0].distance <= farthest]
                return [self._mend(one, right) for one, right in near[: self.budget.mends]]
        return []

    def _holding(self, found: list[_Found]) -> list[tuple[_Found, frozenset[str]]]:
        file = self.statement.file
        held = [(one, right) for one in found if (right := self.trial.mended_by(file, one.edits))]
        for make in self.again if held else ():
            with make() as run:
                trial = Trial(run)
                held = [(one, both) for one, right in held if (both := right & trial.kept_by(file, one.edits))]
        return held

    def _mend(self, one: _Found, right: frozenset[str]) -> Mend:
        remaining = tuple(sorted(self.trial.wrong - right))
        evidence = f"{one.how}; run at {1 + len(self.again)} points"
        return Mend(self.statement.file, one.edits, self.statement, tuple(sorted(right)), remaining, evidence)

    def _distinct(self, found: list[_Found]) -> list[_Found]:
        """Those after which the code differs, brackets aside."""
        seen: dict[str, _Found] = {}
        for one in found:
            try:
                seen.setdefault(ast.dump(ast.parse(apply_edits(self.code.text, one.edits))), one)
            except SyntaxError:
                continue
        return list(seen.values())


def _first_jacobians(place: Workplace) -> Iterator[Candidate]:
    return itertools.islice(jacobians(place), MOST_JACOBIANS)


def _in_turn(of_each: Sequence[Iterator[Candidate]]) -> Iterator[Candidate]:
    """The first of each, then the second of each: only so many are run."""
    for candidates in itertools.zip_longest(*of_each):
        yield from (one for one in candidates if one is not None)


def _spares(make: Again, file: str, edits: tuple[Edit, ...]) -> bool:
    with make() as run:
        return bool(Trial(run).spared_by(file, edits))
