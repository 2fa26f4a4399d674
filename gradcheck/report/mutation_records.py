"""How strong a check is, as data and as text: what became of every bug that was planted in a backward."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from gradcheck._common.cells import format_place
from gradcheck._common.printable import printable

if TYPE_CHECKING:
    from gradcheck.report.markup import Html

Outcome: TypeAlias = Literal["killed", "survived", "equivalent", "forward", "untried"]


@dataclass(frozen=True)
class Mutation:
    """One planted bug and what became of it.

    Attributes:
        operator: The kind of change.
        file: Where; with `line`, `before` and `after` the statement as it is and as it was made.
        outcome: "killed": the check sees it. "survived": gradients change, and the check says right. "equivalent": no
            gradient changes. "forward": the loss changes, so it is no bug of the backward. "untried": the time was up.
        how: Of one that was killed: "wrong", "raises", "hangs", or what else the check said. Of a survivor: what
            would kill it.
        diff: The unified diff.
    """

    operator: str
    file: str
    line: int
    before: str
    after: str
    outcome: Outcome
    how: str
    diff: str


@dataclass(frozen=True)
class MutationReport:
    """How strong a check is: what became of every mutant of the backward."""

    name: str
    mutations: tuple[Mutation, ...]
    seed: int = 0
    seconds: float = 0.0

    @property
    def killed(self) -> tuple[Mutation, ...]:
        """The mutants that the check sees; those that raise or hang among them."""
        return self._of("killed")

    @property
    def survived(self) -> tuple[Mutation, ...]:
        """The mutants that change a gradient, and that the check calls right."""
        return self._of("survived")

    @property
    def equivalent(self) -> tuple[Mutation, ...]:
        """The mutants that change no gradient."""
        return self._of("equivalent")

    @property
    def untried(self) -> tuple[Mutation, ...]:
        """The mutants for which there was no time."""
        return self._of("untried")

    @property
    def score(self) -> float:
        """The part of the mutants that change a gradient that the check sees; NaN if there is none."""
        counted = len(self.killed) + len(self.survived)
        return len(self.killed) / counted if counted else float("nan")

    @property
    def ok(self) -> bool:
        """Whether there were mutants, all were tried, and none survived."""
        return bool(self.killed) and not self.survived and not self.untried

    @property
    def exit_status(self) -> int:
        """0 all killed, 1 some survived, 3 none survived, but there was nothing to try or no time for all of it."""
        return 1 if self.survived else 0 if self.ok else 3

    @property
    def summary(self) -> str:
        """One line: how many were killed, and what became of the others."""
        sign = "✗" if self.survived else "✓" if self.ok else "?"
        counted = len(self.killed) + len(self.survived)
        parts = [f"{len(self.equivalent)} change no gradient", f"{len(self._of('forward'))} change the loss"]
        total = len(self.mutations)
        parts += (
            [f"{total - len(self.untried)} of {total} tried, {len(self.untried)} untried: the time was up"]
            if self.untried
            else []
        )
        said = f"{len(self.killed)} of {counted} mutants killed" if counted else "no mutant changes a gradient"
        share = f" ({100 * self.score:.4g}%)" if counted else ""
        return f"{sign} {self.name}: {said}{share} · {' · '.join(parts)} · {self.seconds:.1f} s · seed {self.seed}"

    def to_dict(self) -> dict[str, Any]:
        """The report as builtins."""
        score = self.score if self.score == self.score else None
        return {**asdict(self), "mutations": [asdict(one) for one in self.mutations], "score": score, "ok": self.ok}

    def to_json(self, *, indent: int | None = 2) -> str:
        """The report as JSON."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        from gradcheck.report.stylesheet import scoped

        return scoped(self.as_part())

    def as_part(self) -> Html:
        """As a part of a page."""
        from gradcheck.report.mutation_html import Survivor, mutations_to_html

        survivors = [
            Survivor(one.operator, format_place(one.file, one.line), one.how, one.before, one.after)
            for one in self.survived
        ]
        killed, survived = self._counts()
        counts = {name: (killed[name], survived[name]) for name in sorted({*killed, *survived})}
        verdict = "wrong" if self.survived else "right" if self.ok else "inconclusive"
        return mutations_to_html(self.summary, survivors, counts, verdict)

    def __repr__(self) -> str:
        """In short: how many were killed."""
        return printable(f"<MutationReport {self.summary}>")

    def __str__(self) -> str:
        """The survivors with what would kill them, the summary, and what was killed how."""
        return printable("\n".join(self._lines()))

    def _of(self, outcome: Outcome) -> tuple[Mutation, ...]:
        return tuple(one for one in self.mutations if one.outcome == outcome)

    def _counts(self) -> tuple[Counter[str], Counter[str]]:
        """How many of each kind were killed, and how many survived."""
        return Counter(one.operator for one in self.killed), Counter(one.operator for one in self.survived)

    def _lines(self) -> Iterator[str]:
        for number, one in enumerate(self.survived, 1):
            yield f"{number}. survived ({one.operator}), {format_place(one.file, one.line)}: {one.how}"
            yield f"   - {one.before}"
            yield f"   + {one.after}"
        yield self.summary
        killed, survived = self._counts()
        width = max((len(name) for name in {*killed, *survived}), default=0)
        for name in sorted({*killed, *survived}):
            left = f", {survived[name]} survived" if survived[name] else ""
            yield f"  {name:{width}}  {killed[name]} killed{left}"
        ways = Counter(one.how for one in self.killed)
        if ways:
            yield "  killed by: " + ", ".join(f"{how} {count}" for how, count in ways.most_common())
