"""Where a backward is taped: at which sizes, with which seed, at which values of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain, count

import numpy as np

from gradcheck._common.arrays import Sizes, Values, moved
from gradcheck._common.errors import TargetError
from gradcheck._symptoms.common_factor import CommonFactor, factor_for_sizes
from gradcheck._tape import TapedRun, made_holding_all, tape_target
from gradcheck._targets.factory import TargetFactory, sizes_of_one_step, sizes_to_trace
from gradcheck._targets.opening import opened
from gradcheck._targets.pure_problems import VjpProblem
from gradcheck._targets.target import Target

#: by how much sizes are others where edits are confirmed, and by how much where the tape is long then
GROWTH = (1, 2, 3)
LITTLE_GROWTH = (1, 1, 1)
#: values of a tape beyond which sizes are tried where it is shorter: code that calculates number by number
MOST_VALUES = 6000
#: the largest of sizes that are tried for that
CAPS = (3, 2)
#: time steps at least: a first one, a last one, and others between them
FEWEST_STEPS = 4
#: how far the parameters of a single target are moved, where its edits are confirmed
NOISE = 0.3
#: how much larger weights and cotangents are made where a clip hides at the usual scale
LARGER = (64.0, 1024.0)


@dataclass(frozen=True)
class Scale:
    """How much larger something is than it is by itself: a parameter, by name, or the cotangents."""

    factor: float
    name: str | None = None


@dataclass(frozen=True)
class Point:
    """Where the backward is taped: a target, and values of its parameters."""

    open: Callable[[], Target]
    seed: int
    move: int = 0
    #: a factor that all gradients have in common here
    factor: float = 1.0
    #: what is larger here
    scale: Scale | None = None
    #: whether gradients are told in parts, as gates of one matrix
    is_apart: bool = False

    @contextmanager
    def opened(self) -> Iterator[tuple[Target, Values]]:
        """The target and the values; everything is put back at the end."""
        target = made_holding_all(self.open)
        with opened(target, self.seed), _cotangents_scaled(target, self.scale):
            values = _moved(_widened(target), self.move)
            if self.scale is not None and self.scale.name is not None:
                values[self.scale.name] = values[self.scale.name] * self.scale.factor
            yield target, values

    def is_within(self, most: int) -> bool:
        """Whether the code runs here, and its tape has no more values than these."""
        try:
            with self.opened() as (target, values):
                tape_target(target, values, most=most)
        except TargetError:
            return False
        return True

    def run_or_none(self) -> TapedRun | None:
        """The same; None where the code cannot be run."""
        try:
            return self.run()
        except TargetError:
            return None

    def run(self) -> TapedRun:
        """The loss and the gradients, on the tape; what needs the code to run once more may fail."""
        with self.taped() as run:
            return run

    @contextmanager
    def taped(self, again: TapedRun | None = None) -> Iterator[TapedRun]:
        """The same, while the code can still be run there: some keeps in its module what it was set up for.

        Args:
            again: An earlier run of the same code here, if there is one: it is not run once more.
        """
        with self.opened() as (target, values):
            if again is not None:
                with again.resumed(target):
                    yield again
            else:
                yield tape_target(target, values, multiple=self.factor, apart=self.is_apart).within()


def _widened(target: Target) -> Values:
    """The parameters in double precision, where they can be replaced by such: rounding hides what is a derivative."""
    values = target.values()
    if not target.takes_complex:
        return values
    return {name: array.astype(np.result_type(array, np.float64)) for name, array in values.items()}


def _moved(values: Values, seed: int) -> Values:
    """Other values near these; the same where `seed` is zero."""
    if not seed:
        return values
    return moved(values, np.random.default_rng([seed, 4]), noise=NOISE)


@contextmanager
def _cotangents_scaled(target: Target, scale: Scale | None) -> Iterator[None]:
    """The cotangents that the checker draws, larger for a while."""
    problem = target.problem
    if scale is None or scale.name is not None or not isinstance(problem, VjpProblem):
        yield
        return
    before = problem.cotangents
    problem.cotangents = [scale.factor * one for one in before]
    try:
        yield
    finally:
        problem.cotangents = before


def points_of(
    subject: Target | TargetFactory, seed: int, failing: Sizes, common: CommonFactor | None = None
) -> Iterator[tuple[Point, ...]]:
    """Points to tape at, each time one with others beside it to confirm at."""
    if isinstance(subject, Target):
        factor = 1.0 if common is None else common.value
        yield tuple(Point(lambda: subject, seed, move, factor) for move in (0, 1, 2))
        return

    tried: list[Sizes] = []
    for sizes in _shortest_first(subject, failing, lambda one: _at(subject, one, seed, common).is_within(MOST_VALUES)):
        if sizes not in tried:
            tried.append(sizes)
            others = _others(subject, sizes, seed, common)
            yield tuple(_at(subject, one, seed + more, common) for more, one in enumerate((sizes, others, sizes)))


def _shortest_first(subject: TargetFactory, failing: Sizes, is_short: Callable[[Sizes], bool]) -> Iterator[Sizes]:
    """Sizes to tape at; those at which the tape is long come last, and smaller ones before where it is at all."""
    few = _of_few_values(subject)
    usual = list(sizes_to_trace(subject)) if few is None else [few, dict(subject.sizes)]
    long = []
    for sizes in usual:
        if is_short(sizes):
            yield sizes
        else:
            long.append(sizes)
    for few in _few_steps(subject) if len(long) == len(usual) else ():
        if is_short(few):
            yield few
    for most in CAPS if len(long) == len(usual) else ():
        capped = {name: size if name in subject.pinned else min(size, most) for name, size in subject.sizes.items()}
        if is_short(capped):
            yield capped
    yield from (failing, *reversed(long))


def _of_few_values(subject: TargetFactory) -> Sizes | None:
    """Small sizes, no two of them equal, the smaller ones where no parameter grows: time steps, samples, layers.

    A statement can be told to be innocent, and what it has to give, only if gradients have more entries than it gives
    numbers: those are as many as steps, samples and layers, these as the widths. None where it is not known which is
    which.
    """
    rank = _ranks(subject)
    if 1 not in rank.values():
        return None
    sizes, taken = dict(subject.sizes), {subject.sizes[name] for name in subject.pinned}
    fewest = (2, 3 if list(rank.values()).count(1) > 1 else FEWEST_STEPS, 2)
    for name in sorted(rank, key=lambda one: (rank[one], subject.sizes[one])):
        sizes[name] = next(one for one in count(fewest[rank[name]]) if one not in taken)
        taken.add(sizes[name])
    return sizes


def _few_steps(subject: TargetFactory) -> Iterator[Sizes]:
    """As small as sizes can be while the numbers of steps and samples differ, the one way round and the other.

    With three units before two: what is normalised over two of them is the same whatever they are.
    """
    rank = _ranks(subject)
    counts = sorted((name for name in rank if rank[name] == 1), key=lambda one: subject.sizes[one])
    for width in (3, 2):
        least = {name: min(subject.sizes[name], width if rank[name] == 2 else 2) for name in rank}
        for names in (counts, counts[::-1]) if len(counts) > 1 else ():
            yield dict(subject.sizes) | least | {name: size for size, name in enumerate(names, start=2)}


def _ranks(subject: TargetFactory) -> dict[str, int]:
    """By name of a size that is free: 0 if there are more parameters where it is larger, 1 if none of them grows, 2 if
    some do; nothing where the code does not run."""
    shapes = _shapes(subject, subject.sizes)
    rank: dict[str, int] = {}
    for name in (one for one in subject.sizes if one not in subject.pinned) if shapes else ():
        larger = _shapes(subject, {**subject.sizes, name: subject.sizes[name] + 1})
        rank[name] = 0 if larger.keys() != shapes.keys() else 1 if larger == shapes else 2
    return rank


def _shapes(subject: TargetFactory, sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Of the parameters at these sizes; nothing where the code does not run."""
    with suppress(TargetError):
        return {name: np.shape(array) for name, array in subject.build(0, sizes).values().items()}
    return {}


def larger_points_of(
    subject: Target | TargetFactory, seed: int, failing: Sizes, common: CommonFactor | None = None
) -> Iterator[tuple[Point, ...]]:
    """The same points with larger cotangents, where the checker draws them, or else with larger matrices, in turn."""
    for points in points_of(subject, seed, failing, common):
        for scale in _scales(points[0]):
            yield tuple(replace(point, scale=scale) for point in points)


def _scales(point: Point) -> Iterator[Scale]:
    names: list[str | None] = [None]
    with suppress(TargetError), point.opened() as (target, values):
        if not target.is_vjp:
            names = [name for name, array in values.items() if array.ndim >= 2]
    for name in names:
        yield from (Scale(factor, name) for factor in LARGER)


def _others(subject: TargetFactory, sizes: Sizes, seed: int, common: CommonFactor | None) -> Sizes:
    """Sizes each of which is another, where the code runs: where H = 4, half of something passes for 1 / sqrt(H).

    They grow by different numbers, the largest least, and no two are equal: where T = B + 1 in both, B would pass for
    T - 1.
    """
    grown = (_grown(subject, sizes, growth) for growth in (GROWTH, LITTLE_GROWTH))
    others = (one for one in chain(grown, sizes_to_trace(subject), _few_steps(subject)) if one != sizes)
    return next((one for one in others if _at(subject, one, seed + 1, common).is_within(MOST_VALUES)), sizes)


def _grown(subject: TargetFactory, sizes: Sizes, growth: Sequence[int]) -> Sizes:
    grown = dict(sizes)
    for number, name in enumerate(sorted(sizes, key=lambda name: -sizes[name])):
        if name not in subject.pinned:
            taken = {size for other, size in grown.items() if other != name}
            size = sizes[name] + growth[number % len(growth)]
            grown[name] = next(one for one in count(size) if one not in taken)
    return grown


def points_of_one_step(
    subject: TargetFactory, seed: int, sizes: Sizes, common: CommonFactor | None
) -> tuple[Point, ...] | None:
    """Points with one time step: what is wrong in one place does not spread to all others there; None without."""
    short = sizes_of_one_step(subject, sizes, lambda one: len(_at(subject, one, seed, common).run().nodes))
    return None if short is None else tuple(_at(subject, short, seed + more, common) for more in (0, 1, 2))


def _at(subject: TargetFactory, sizes: Sizes, seed: int, common: CommonFactor | None) -> Point:
    factor = 1.0 if common is None else factor_for_sizes(common.label, sizes)
    return Point(lambda: subject.build(seed, sizes), seed, factor=factor)
