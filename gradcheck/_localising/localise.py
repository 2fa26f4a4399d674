"""From a taped run with wrong gradients to the statements that could be at fault."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import numpy as np

from gradcheck._localising.blame import Judge, Role
from gradcheck._localising.ground import Ground
from gradcheck._localising.holes import Holes, matrix
from gradcheck._localising.labels import form_of
from gradcheck._localising.mismatch import Mismatch
from gradcheck._localising.reaching import Reaching
from gradcheck._localising.records import Localisation, Needed, Suspect
from gradcheck._localising.several import fewest
from gradcheck._localising.signs import Signs
from gradcheck._localising.standing import EQUAL
from gradcheck._localising.suspects import Need, Solvable, Solver, System
from gradcheck._localising.tape import Array, Node, Statement, TapedRun

#: for as many of the likeliest it is worked out what their values have to be
MOST_EXAMINED = 8


def localise(
    run: TapedRun,
    wrong: Collection[str],
    *,
    second: TapedRun | None = None,
    only: Collection[str] = (),
    brief: bool = False,
    changed: Collection[str] = (),
) -> Localisation:
    """The statements that could be at fault, the likeliest first.

    Args:
        run: A run whose true gradients agree with the measured slopes; small sizes, all different, are best.
        wrong: The names of the gradients that are wrong.
        second: Another run of the same code, at other sizes or values: who could be at fault must be so in both.
        only: Some of the wrong gradients, to be explained while the other wrong ones may become what they like.
        brief: Leave out the signs, and what takes runs of the code: whether other values of the forward would do.
        changed: Labels of arrays (as in `TapedRun.writes`) that the gradients change though they are not theirs.
    """
    study = Study(run, wrong, only)
    if second is not None and study.suspects:
        study.keep_those_of(second, wrong, only)
    with run.program.installed():
        alone = study.ranked(brief=brief)
    several = study.fewest_instead(alone)
    return Localisation(
        [] if several else alone,
        [] if brief else Signs(study.mismatch, study.standings).all(changed),
        study.mismatch.unreached,
        partial(study.together, several),
    )


def able_alone(run: TapedRun, wrong: Collection[str], statements: Collection[Statement]) -> list[Suspect]:
    """Of these statements those that could be at fault alone, the likeliest first.

    Args:
        run: A run whose true gradients agree with the measured slopes.
        wrong: The names of the gradients that are wrong.
        statements: Those that are asked.
    """
    asked = {id(one) for one in statements}
    study = Study(run, wrong, among=asked)
    with run.program.installed():
        return study.ranked(brief=True)


class Study:
    """What one run tells of some wrong gradients."""

    def __init__(
        self,
        run: TapedRun,
        wrong: Collection[str],
        only: Collection[str] = (),
        among: Collection[int] | None = None,
    ) -> None:
        self.run = run
        self.mismatch = _mismatch(run, wrong, only)
        ground = run.once(Ground)
        self.standings, self.holes, self.keys = ground.standings, ground.holes, ground.keys
        if among is not None:
            self.holes = [one for one in self.holes if id(one.statement) in among]
        self.solver = Solver(self.mismatch, self.standings, self.holes)
        self.suspects = self._solvable() if self.mismatch.wrong else []

    def _solvable(self) -> list[Solvable]:
        return _asked(self.solver, self.holes)

    def keep_those_of(self, second: TapedRun, wrong: Collection[str], only: Collection[str]) -> None:
        """Keep the suspects that could be at fault in another run as well; all where that tells nothing of them."""
        mismatch, ground = _mismatch(second, wrong, only), second.once(Ground)
        if not mismatch.is_wrong:
            return
        keys = {self.keys[id(one.holes.statement)] for one in self.suspects}
        asked = [one for one in ground.holes if ground.keys[id(one.statement)] in keys]
        solver = Solver(mismatch, ground.standings, asked)
        able = {ground.keys[id(one.statement)] for one in solver.sieved(asked) if solver.is_able(one)}
        kept = [one for one in self.suspects if self.keys[id(one.holes.statement)] in able]
        self.suspects = kept or self.suspects

    def ranked(self, *, brief: bool = False) -> list[Suspect]:
        """Each statement that could be at fault alone, the likeliest first."""
        for one in self.suspects[:MOST_EXAMINED]:
            self.solver.add_needed(one)
            if not brief:
                self.solver.add_exchange(one)
        judge = Judge(self.standings, self.suspects)
        judged = sorted(((one, judge.role(one)) for one in self.suspects), key=lambda each: _likelihood(*each))
        return [self.suspect(one, role, judge) for one, role in judged]

    def fewest_instead(self, alone: list[Suspect]) -> list[Solvable]:
        """Several statements, where none explains the difference, or where it is doubtful that only one is at fault."""
        if not self.mismatch.wrong or (alone and not self._is_doubtful(alone[0])):
            return []
        found = fewest(self.solver, self.holes)
        return [] if len(found) < 2 or (alone and not self._is_less(found, alone[0])) else found

    def together(self, several: list[Solvable]) -> list[Suspect]:
        """Of several that explain the difference together, each with the likeliest in the place of it."""
        if not several:
            return []
        found = self._refined(self._refined(several))
        self.solver.add_needed(*found)
        judge = Judge(self.standings, found)
        return [self.suspect(one, judge.role(one), judge) for one in sorted(found, key=lambda one: one.first)]

    def _is_doubtful(self, first: Suspect) -> bool:
        """Whether it would have to give all that is wrong, or into unknown values, or reads some that may be wrong."""
        if len(self.mismatch.wrong) == 1:
            return False
        whole = int(np.count_nonzero(self.mismatch.difference))
        return first.changes >= whole or first.need is not Need.KNOWN or not first.reads_known

    def _is_less(self, found: list[Solvable], alone: Suspect) -> bool:
        """Whether several have less freedom than the one; or the same, if that is the freedom to give all anew."""
        freedom, whole = sum(one.rank for one in found), int(np.count_nonzero(self.mismatch.difference))
        return freedom < alone.changes or freedom == alone.changes >= whole

    def _refined(self, members: list[Solvable]) -> list[Solvable]:
        """Each in turn replaced by the likeliest that explains what the others cannot."""
        result = list(members)
        for number, one in enumerate(members):
            others = [*result[:number], *result[number + 1 :]]
            taken = {id(other.holes) for other in others}
            free = [node for other in others for node in other.nodes]
            solver = Solver(self.mismatch, self.standings, self.holes, free)
            found = _asked(solver, [holes for holes in self.holes if id(holes) not in taken])
            for suspect in found[:MOST_EXAMINED]:
                self.solver.add_needed(suspect, *others)
            judge = Judge(self.standings, found)
            best = min(found, key=lambda each: _likelihood(each, judge.role(each)), default=one)
            result[number] = best if best.changes <= one.rank else one
        return result

    def _free_system(self, nodes: list[Node]) -> System:
        """How changes of values move the gradients, where what they have to be is not known."""
        r = self.solver.difference
        return System(tuple(nodes), matrix(nodes, self.solver.sensitivities, len(r)), r)

    def _blamed_for(self, one: Solvable) -> tuple[str, ...]:
        """The wrong gradients that its values move."""
        reached = self.run.once(Reaching).reached(one.nodes)
        return tuple(name for name in self.mismatch.wrong if name in reached)

    def suspect(self, one: Solvable, role: Role, judge: Judge | None = None) -> Suspect:
        """The record of a statement that could be at fault."""
        nodes = sorted(one.nodes, key=lambda node: node.index)
        places = list(dict.fromkeys(node.place for node in nodes if node.place is not None))
        needed = _needed(one, self.run)
        return Suspect(
            one.holes.statement,
            self.keys[id(one.holes.statement)],
            places,
            one.rank,
            one.changes,
            role,
            one.need,
            one.elsewhere,
            nodes,
            needed,
            [] if judge is None else judge.executions(one),
            judge is None or judge.reads_known(one),
            one.system or self._free_system(nodes),
            self._blamed_for(one),
            next((self._times(each) for each in needed if each.source is not None), 1.0),
        )

    def _times(self, needed: Needed) -> float:
        """How many times a derivative a value is: what is returned in the end is none of the backward's multiples."""
        source, inner = needed.source, self.run.inner
        if inner == 1.0 or source is None or source.label not in self.run.base:
            return inner
        derivative = self.run.derivative(source)
        if derivative is None:
            return inner
        is_returned = derivative.size == needed.needed.size and bool(
            np.allclose(
                inner * needed.needed.ravel(), derivative.ravel(), rtol=0, atol=EQUAL * np.abs(derivative).max()
            )
        )
        return 1.0 if is_returned else inner


def _mismatch(run: TapedRun, wrong: Collection[str], only: Collection[str]) -> Mismatch:
    mismatch = Mismatch(run, wrong)
    return mismatch.restricted(only) if only else mismatch


def _asked(solver: Solver, holes: list[Holes]) -> list[Solvable]:
    found = (solver.solvable(one) for one in solver.sieved(holes))
    return sorted((one for one in found if one is not None), key=lambda one: (one.rank, one.first))


def _likelihood(one: Solvable, role: Role) -> tuple[object, ...]:
    """By which suspects are ordered, the likeliest first.

    A statement that is right wherever what it reads is right comes last, and one that only hands on values of the
    forward of which no other would do. Of the rest, that which would explain the
    difference with the fewest degrees of freedom; of those, what is given right values; of those, what would have to
    give a known derivative. A sum that lacks a part is blamed where it is complete but for that: last, before it is
    only handed on. All else is blamed where it goes wrong first.
    """
    incomplete = role is Role.INCOMPLETE
    lacks = incomplete and one.need is Need.KNOWN
    order = -one.first if lacks else one.first
    hands_on = incomplete and one.holes.only_hands_on
    idle = role is Role.RIGHT or (one.exchanged is False and one.holes.only_hands_on)
    return idle, one.changes, role is Role.CONSUMES, one.need, one.elsewhere, role, hands_on, order


def _needed(one: Solvable, run: TapedRun) -> list[Needed]:
    values: dict[int, Array] = one.needed or {}
    result = []
    for node in one.nodes:
        if node.index in values and node.index in one.needs:
            standing, source = one.needs[node.index]
            form = "" if source is None else form_of(run, [source])
            result.append(Needed(node.place, node.execution, node.value, values[node.index], standing, source, form))
    return result
