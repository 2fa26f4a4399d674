"""From a taped run with wrong gradients to the statements that could be at fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from gradcheck._localising.blame import Judge, Role
from gradcheck._localising.holes import Holes, holes_of, matrix
from gradcheck._localising.mismatch import Mismatch
from gradcheck._localising.records import Key, Localisation, Needed, Suspect, System
from gradcheck._localising.several import fewest
from gradcheck._localising.signs import Signs
from gradcheck._localising.standing import Standing, Standings
from gradcheck._localising.suspects import Need, Solvable, Solver
from gradcheck._localising.tape import Array, TapedRun

#: for as many of the likeliest it is worked out what their values have to be
MOST_EXAMINED = 8


def localise(
    run: TapedRun,
    wrong: Collection[str],
    *,
    second: TapedRun | None = None,
    divisor: float = 1.0,
    changed: Collection[str] = (),
) -> Localisation:
    """The statements that could be at fault, the likeliest first.

    Args:
        run: A run whose true gradients agree with the measured slopes; small sizes, all different, are best.
        wrong: The names of the gradients that are wrong.
        second: Another run of the same code, at other sizes or values: who could be at fault must be so in both.
        divisor: A factor that all reported gradients have in common, already reported as a finding of its own.
        changed: Labels of arrays (as in `TapedRun.writes`) that the gradients change though they are not theirs.
    """
    study = Study(run, wrong, divisor)
    if second is not None:
        other = Study(second, [name for name in wrong if name in second.sinks], divisor)
        keys = {key_of(second)[id(one.holes.statement)] for one in other.suspects}
        kept = [one for one in study.suspects if study.keys[id(one.holes.statement)] in keys]
        study.suspects = kept if kept or not other.mismatch.wrong else study.suspects
    alone = study.ranked()
    together = [] if alone or not study.mismatch.wrong else fewest(study.solver, study.holes)
    return Localisation(
        alone,
        [study.suspect(one, Role.SPOILS) for one in together],
        Signs(study.mismatch, study.standings, study.solver.sensitivities).all(changed),
        study.mismatch.unreached,
    )


class Study:
    """What one run tells."""

    def __init__(self, run: TapedRun, wrong: Collection[str], divisor: float = 1.0) -> None:
        self.run = run
        self.mismatch = Mismatch(run, wrong, divisor)
        self.standings = Standings(run, divisor)
        self.holes: list[Holes] = holes_of(run, self.standings)
        self.solver = Solver(self.mismatch, self.standings)
        self.keys = key_of(run)
        self.suspects = self._solvable() if self.mismatch.wrong else []

    def _solvable(self) -> list[Solvable]:
        asked = [self.solver.solvable(one) for one in self.solver.sieved(self.holes)]
        return sorted((one for one in asked if one is not None), key=lambda one: (one.rank, one.first))

    def ranked(self) -> list[Suspect]:
        """Each statement that could be at fault alone, the likeliest first."""
        for one in self.suspects[:MOST_EXAMINED]:
            self.solver.add_needed(one)
            self.solver.add_exchange(one)
        judge = Judge(self.standings, self.suspects)
        judged = [(one, judge.role(one)) for one in self.suspects]
        judged.sort(key=lambda each: _likelihood(*each))
        return [self.suspect(one, role, judge) for one, role in judged]

    def suspect(self, one: Solvable, role: Role, judge: Judge | None = None) -> Suspect:
        """The record of a statement that could be at fault."""
        nodes = sorted(one.nodes, key=lambda node: node.index)
        places = list(dict.fromkeys(node.place for node in nodes if node.place is not None))
        return Suspect(
            one.holes.statement,
            self.keys[id(one.holes.statement)],
            places,
            one.rank,
            role,
            one.need,
            one.elsewhere,
            nodes,
            _needed(one),
            [] if judge is None else judge.executions(one),
            one.system
            or System(
                tuple(nodes),
                matrix(nodes, self.solver.sensitivities, len(self.solver.difference)),
                self.solver.difference,
            ),  # fmt: skip
            tuple(self.mismatch.wrong),
        )


def _likelihood(one: Solvable, role: Role) -> tuple[object, ...]:
    """By which suspects are ordered, the likeliest first.

    A statement that is right wherever what it reads is right comes last, and one that hands on values of the forward
    of which no other would do. Of the rest, that which would explain the
    difference with the fewest degrees of freedom; of those, what is given right values; of those, what would have to
    give a known derivative. A sum that lacks a part is blamed where it is complete but for that: last, before it is
    only handed on. All else is blamed where it goes wrong first.
    """
    incomplete = role is Role.INCOMPLETE
    lacks = incomplete and one.need is Need.KNOWN
    order = -one.first if lacks else one.first
    hands_on = incomplete and one.holes.only_hands_on
    idle = role is Role.RIGHT or one.exchanged is False
    return idle, one.changes, role is Role.CONSUMES, one.need, one.elsewhere, role, hands_on, order


def _needed(one: Solvable) -> list[Needed]:
    values: dict[int, Array] = one.needed or {}
    return [
        Needed(node.place, node.execution, node.value, values[node.index], *one.needs.get(node.index, _UNKNOWN))
        for node in one.nodes
        if node.index in values and node.index in one.needs
    ]


_UNKNOWN = (Standing.UNKNOWN, None)


def key_of(run: TapedRun) -> dict[int, Key]:
    """A key of each statement, the same in every run of the same text."""
    seen: Counter[tuple[str, int, int]] = Counter()
    result: dict[int, Key] = {}
    for statement in run.statements:
        where = (statement.file, statement.line, statement.end_line)
        result[id(statement)] = (*where, seen[where])
        seen[where] += 1
    return result
