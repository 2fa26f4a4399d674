"""Whether an edit does what it claims: the whole check, of the edited code and of the code as it is.

An edit is verified only if, in the edited code, every gradient that it claims is *right*: not merely no longer wrong.
An edit that makes a gradient zero where the loss does not move, NaN or undecided has hidden a fault, not mended it.
Nothing that was right may be less, and no law that held may be broken. Both are judged against the original, asked in
the same way: at the default sizes, at others, with other seeds and at other parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from gradcheck._common.arrays import moved
from gradcheck._common.errors import TargetError
from gradcheck._common.thread_filters import listening
from gradcheck._common.verdict import Verdict
from gradcheck._targets.target import Target
from gradcheck._usercode.profiling import lines_run

#: other parameters than those of the check: each entry by this factor ...
OTHER_SCALE = 1.25
#: ... and by noise of this part of its size
OTHER_NOISE = 0.1
#: laws that are asked only where every gradient is right, so that an edit may bring to light that they were broken
ASKED_LAST = frozenset({"scale", "reduction"})
#: better is more
_RANK: Mapping[Verdict, int] = {"wrong": 0, "inconclusive": 1, "vacuous": 1, "right": 2}


@dataclass(frozen=True)
class Outcome:
    """What a check says, without lines: the verdicts at the default sizes and at others, the laws, a common factor."""

    verdicts: Mapping[str, Verdict]
    elsewhere: Mapping[str, Mapping[str, Verdict]] = field(default_factory=dict)
    laws: Mapping[str, bool] = field(default_factory=dict)
    factor: str = ""

    @property
    def sizes(self) -> int:
        """At how many sets of sizes it was judged."""
        return 1 + len(self.elsewhere)

    @property
    def wrong(self) -> frozenset[str]:
        """The gradients that are wrong at any sizes."""
        everywhere = [self.verdicts, *self.elsewhere.values()]
        return frozenset(name for at in everywhere for name, verdict in at.items() if verdict == "wrong")


@dataclass(frozen=True)
class Claim:
    """What an edit is said to mend: gradients and laws; `factor` is a common factor that it leaves as it is."""

    right: frozenset[str]
    laws: frozenset[str] = frozenset()
    factor: str = ""


def objections(before: Outcome, after: Outcome, claim: Claim) -> tuple[str, ...]:
    """Why the edited code is not what was claimed; nothing if it is."""
    here = claim.right & before.verdicts.keys()  # the number of layers may be a size: others have others
    found = [f"{name} is {after.verdicts.get(name, 'missing')}" for name in sorted(here - _right(after))]
    found += _less(before.verdicts, after.verdicts, "")
    for sizes, verdicts in after.elsewhere.items():
        found += _less(before.elsewhere.get(sizes, {}), verdicts, f" at {sizes}")
        found += [f"{name} is wrong at {sizes}" for name in sorted(claim.right) if verdicts.get(name) == "wrong"]
    for name in sorted(claim.right):
        decided = [verdicts[name] == "right" for verdicts in after.elsewhere.values() if name in verdicts]
        was_there = name not in here and any(name in verdicts for verdicts in before.elsewhere.values())
        if (decided or was_there) and 2 * sum(decided) < max(len(decided), 1):
            found.append(f"{name} is right at {sum(decided)} of {len(decided)} sizes")
    for law, holds in after.laws.items():
        known = not before.laws.get(law, law not in ASKED_LAST)
        if not holds and (law in claim.laws or not known) and law != "reduction":
            found.append(f"law {law} is broken")
    if after.factor != claim.factor:
        found.append(f"all gradients are {after.factor or 'no longer ' + claim.factor} times too large")
    return tuple(found)


def _right(outcome: Outcome) -> frozenset[str]:
    return frozenset(name for name, verdict in outcome.verdicts.items() if verdict == "right")


def _less(before: Mapping[str, Verdict], after: Mapping[str, Verdict], where: str) -> list[str]:
    """Gradients of which less is known than before."""
    return [
        f"{name} was {verdict} and is {after.get(name, 'missing')}{where}"
        for name, verdict in before.items()
        if _RANK[after.get(name, "right" if where else "wrong")] < _RANK[verdict]
    ]


#: judges the subject at one of the points, at little cost where these gradients are wrong
Point = Callable[[frozenset[str]], Outcome]


@dataclass
class Verifier:
    """Judges edits at several points, each against the code as it is; the cheapest point is asked first.

    At the points `factorless`, a factor that all gradients have in common cannot be told: they are asked only of an
    edit that leaves none. `suspects` are the gradients that the check has found wrong.
    """

    points: tuple[Point, ...]
    factorless: tuple[Point, ...] = ()
    suspects: frozenset[str] = frozenset()
    #: at how many sets of sizes, and with how many seeds, the last edit was judged that nothing speaks against
    sizes: int = 0
    seeds: int = 0
    _before: dict[int, Outcome | None] = field(default_factory=dict)

    def know(self, number: int, outcome: Outcome) -> None:
        """Take this for what the code as it is says at a point."""
        self._before[number] = outcome

    def learn(self) -> None:
        """Judge the code as it is, at every point; one at which it raises is left out."""
        for number, point in enumerate((*self.points, *self.factorless)):
            if number not in self._before:
                try:
                    self._before[number] = point(self.suspects)
                except TargetError:
                    self._before[number] = None

    def wrong(self) -> frozenset[str]:
        """The gradients that are wrong at any point."""
        found = [self._before[number] for number in range(len(self.points))]
        return frozenset().union(*(before.wrong for before in found if before is not None))

    def objections(self, claim: Claim) -> tuple[str, ...]:
        """Why the code as it runs now, edited, is not what was claimed; from the first point that objects.

        Raises:
            TargetError: Where the edited code raises.
        """
        judged: list[Outcome] = []
        for number, point in enumerate(self.points if claim.factor else (*self.points, *self.factorless)):
            before = self._before[number]
            if before is not None:
                judged.append(point(self.suspects - claim.right))
                found = objections(before, judged[-1], claim)
                if found:
                    return found
        self.sizes, self.seeds = max((one.sizes for one in judged), default=0), len(judged)
        return ()


@contextmanager
def at_other_parameters(target: Target, seed: int) -> Iterator[None]:
    """The target with all its parameters moved a little; put back at the end."""
    rng = np.random.default_rng([seed, 3])
    with target.preserved():
        target.move_to(moved(target.values(), rng, scale=OTHER_SCALE, noise=OTHER_NOISE))
        yield


@dataclass(frozen=True)
class Behaviour:
    """What a backward does beside computing: the lines it runs, each with its function, and the warnings it gives."""

    lines: frozenset[tuple[str, int, int]]
    warnings: frozenset[str]

    def objections(self, after: Behaviour, edited: frozenset[tuple[str, int]]) -> tuple[str, ...]:
        """Why an edit of these lines did more than it should: it switched other lines off, or brought warnings.

        A helper may no longer be called at all; but a function that runs has to run the lines that it ran before.
        """
        running = {(file, function) for file, _, function in after.lines}
        lost = ((file, line) for file, line, function in self.lines - after.lines if (file, function) in running)
        skipped = sorted(line for file, line in lost if (file, line) not in edited)
        found = [f"line {line} no longer runs" for line in skipped]
        return (*found, *(f"new warning: {one}" for one in sorted(after.warnings - self.warnings)))


def behaviour(run: Callable[[], object]) -> Behaviour:
    """What a run of the user's code does; warnings of NumPy on invalid values included."""
    with listening() as given, np.errstate(all="warn", under="ignore"):
        lines = lines_run(run)
    return Behaviour(lines, frozenset(f"{category.__name__}: {text}" for category, text in given))
