"""One bug after the other planted in the user's own backward: does its check see it?

A bug that changes no gradient at any size, seed or point that is tried is none: it is equivalent and is not counted.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from gradcheck._checking.check import check
from gradcheck._common.arrays import Array, Sizes, Values, as_complex
from gradcheck._common.errors import TargetError, UserCodeError
from gradcheck._common.thread_filters import ignoring
from gradcheck._mutation.operators import Mutant, locals_at_return, mutants
from gradcheck._targets.factory import TargetFactory
from gradcheck._targets.opening import opened
from gradcheck._usercode.foreign import foreign_calls
from gradcheck._usercode.instrument import rewrite
from gradcheck._usercode.patching import EditedFunctions, RebindError
from gradcheck._usercode.profiling import functions_run
from gradcheck._usercode.style import styled_edit
from gradcheck.report.mutation_records import Mutation, Outcome
from gradcheck.report.report import Report

#: seeds of the factory at which a mutant's gradients are compared with the original's
SEEDS = 3
#: gradients that agree to this part of their norm are the same, but for rounding that cancellation has magnified
SAME_GRADIENT = 1e-9
#: a mutant has this many times as long as the original ...
TIMEOUT_FACTOR = 50.0
#: ... and at least so many seconds: a first call imports, and a machine may be busy
LEAST_SECONDS = 10.0

#: lines shown around a mutant
SHOWN_AROUND = 1

#: what became of a mutant, and how
MutantResult: TypeAlias = tuple[Outcome, str]


class _HungError(BaseException):
    """Raised in code that takes too long; no Exception, which the code, or the check, might catch."""


@dataclass
class _ComparisonPoint:
    """Where gradients are compared: sizes, a seed, and whether the parameters are other ones than the factory's."""

    sizes: Sizes
    seed: int
    #: the parameters that are drawn anew; all if it is None
    moved: tuple[str, ...] | None = ()
    #: the parameters there, as the original makes them: a factory may train a little
    values: Values = field(default_factory=dict)
    loss: float = 0.0
    gradients: dict[str, Array] = field(default_factory=dict)


class MutationAudit:
    """The mutants of one factory, and what the original's gradients are."""

    def __init__(self, factory: TargetFactory, full: bool, seed: int) -> None:
        self.factory, self.full, self.seed = factory, full, seed
        started = time.perf_counter()
        self._require_right()
        self.patience = max(LEAST_SECONDS, TIMEOUT_FACTOR * (time.perf_counter() - started))
        target = factory.build(seed, factory.sizes)
        with opened(target, seed):
            base = target.values()
            codes = functions_run(lambda: target.grads_at(base))
            seen = locals_at_return(lambda: target.grads_at(base), codes)
            #: whether a mutant may end the process: code is called that does not look at what it is handed
            self.is_dangerous = bool(foreign_calls(lambda: target.grads_at(base)))
        self.sources = rewrite(codes).sources
        if not self.sources:
            raise TargetError(
                f"{factory.name}: the source of its backward is not at hand, so no bug can be planted in it"
            )
        self.mutants: list[Mutant] = [
            one
            for code, frame in seen.items()
            if code.co_filename in self.sources
            for one in mutants(self.sources[code.co_filename], code, frame)
        ]
        codes += functions_run(lambda: factory.build(seed, factory.sizes))
        self.workshop = EditedFunctions(codes, self.sources)
        self.points = [point for point in _points(factory, seed, base) if self._learn_reference(point)]

    def outcome_of(self, index: int) -> MutantResult:
        """What becomes of a mutant."""
        mutant = self.mutants[index]
        try:
            with (
                _at_most(self.patience),
                self.workshop.edited({mutant.statement.file: [mutant.edit]}, anew=True),
                ignoring(),
                np.errstate(all="ignore"),
            ):
                return self._judged()
        except _HungError:
            return "killed", "hangs"
        except (SyntaxError, RebindError) as error:
            return "equivalent", f"is no code: {error}"

    def _judged(self) -> MutantResult:
        apart: list[tuple[_ComparisonPoint, float]] = []
        for point in self.points:
            try:
                loss, gradients = _loss_and_gradients(self.factory, point)
            except UserCodeError as error:
                return "killed", f"raises {type(error.error).__name__}"
            except TargetError:
                return "killed", "raises"
            if not abs(loss - point.loss) <= SAME_GRADIENT * max(1.0, abs(point.loss)):
                return "forward", "the loss changes"
            distance = _distance(gradients, point.gradients)
            if not distance <= SAME_GRADIENT:
                apart.append((point, distance))
        if not apart:
            return "equivalent", "no gradient changes"
        try:
            report = self._checked()
        except UserCodeError as error:
            return "killed", f"raises {type(error.error).__name__}"
        except TargetError:
            return "killed", "raises"
        if not report.ok:
            broken = [law.name for law in report.laws.values() if not law.holds]
            wrong = any(block.verdict == "wrong" for block in report.blocks.values())
            return "killed", "wrong" if wrong else f"law {broken[0]}" if broken else report.verdict
        return "survived", self._advice(apart)

    def _checked(self) -> Report:
        """The user's own check: the default sizes first, since that mostly settles it."""
        factory = self.factory
        first = check(factory.with_sizes(**factory.sizes), full=self.full, explain=False, seed=self.seed)
        if first.verdict == "wrong":
            return first
        return check(factory, full=self.full, explain=False, seed=self.seed)

    def _advice(self, apart: list[tuple[_ComparisonPoint, float]]) -> str:
        """What would kill a mutant, by where its gradients differ."""
        factory = self.factory
        checked = [factory.sizes, *factory.other_sizes()]
        point, distance = max(apart, key=lambda one: one[1])
        plain = [one for one, _ in apart if one.moved == () and one.sizes in checked]
        if any(one.seed == self.seed for one in plain):
            return f"the gradients differ by {distance:.0e} of their size, which the check cannot see: try full=True"
        if plain:
            return f"another seed ({plain[0].seed}) would show it; the values that the factory draws hide it"
        named = [one.moved for one, _ in apart if one.moved and one.sizes in checked]
        if named:
            return f"starting values other than zero would show it: {', '.join(named[0])}"
        if any(one.moved is None and one.sizes in checked for one, _ in apart):
            return "parameters further from those that the factory makes would show it"
        at = ", ".join(f"{name}={value}" for name, value in point.sizes.items())
        return f"larger sizes would show it, such as {at}"

    def _require_right(self) -> None:
        report = check(self.factory, full=self.full, explain=False, seed=self.seed)
        if not report.ok:
            raise TargetError(
                f"{self.factory.name} is {report.verdict}: the check must pass before its strength can be measured; "
                "run gradcheck check first"
            )

    def _learn_reference(self, point: _ComparisonPoint) -> bool:
        try:
            point.loss, point.gradients = _loss_and_gradients(self.factory, point)
        except TargetError:
            return False  # the factory is not made at such sizes
        return True

    def described(self, index: int, outcome: Outcome, how: str) -> Mutation:
        """A mutant in words."""
        operator, statement, edit = self.mutants[index]
        source = self.sources[statement.file]
        edit = styled_edit(statement.node, edit, source)
        line, before, after = source.change(edit)
        return Mutation(operator, statement.file, line, before, after, outcome, how, source.diff([edit], SHOWN_AROUND))


def _points(factory: TargetFactory, seed: int, base: Values) -> Iterator[_ComparisonPoint]:
    """At the factory's own parameters: every size that is checked, other seeds; then at others, and at larger sizes."""
    yield from (_ComparisonPoint(factory.sizes, seed + k) for k in range(SEEDS))
    yield from (_ComparisonPoint(sizes, seed) for sizes in factory.other_sizes())
    yield from (
        _ComparisonPoint(factory.sizes, seed, (name,))
        for name, array in base.items()
        if array.size and not np.any(array)
    )
    yield _ComparisonPoint(factory.sizes, seed, None)
    far = dict(factory.far_sizes(seed))  # these are checked as well
    larger = {
        name: value if name in factory.pinned else 2 * far.get(name, value) + 1 for name, value in factory.sizes.items()
    }
    if larger != factory.sizes:
        yield _ComparisonPoint(larger, seed)
        yield _ComparisonPoint(larger, seed, None)
    # Sizes that the user pinned, and numbers that are no sizes, are as large as they are: this is what the user checks.
    freed = {name: value + 2 for name, value in factory.sizes.items()}
    if factory.pinned:
        yield _ComparisonPoint(freed, seed)


def _loss_and_gradients(factory: TargetFactory, point: _ComparisonPoint) -> tuple[float, dict[str, Array]]:
    """The loss and the gradients at a point."""
    target = factory.build(point.seed, point.sizes)
    with opened(target, point.seed):
        if not point.values:
            point.values = _moved(target.values(), point)
        loss = as_complex(target.loss_at(point.values)).real
        raw = target.grads_at(point.values)
        try:
            return loss, {str(name): np.array(gradient, dtype=float) for name, gradient in dict(raw).items()}
        except (TypeError, ValueError) as error:
            raise TargetError(f"grads() returned no mapping of arrays: {error}") from error


def _moved(values: Values, point: _ComparisonPoint) -> Values:
    rng = np.random.default_rng([point.seed, 3])
    return {
        name: np.asarray(array + rng.standard_normal(array.shape), dtype=array.dtype)
        if point.moved is None or name in point.moved
        else np.array(array)
        for name, array in values.items()
    }


def _distance(mutant: dict[str, Array], original: dict[str, Array]) -> float:
    """The largest difference of a gradient, relative to its norm; infinite where names or shapes differ.

    That of a gradient of zeros is taken relative to the largest norm, or to one where all are zero: it may be rounding.
    """
    if {name: one.shape for name, one in mutant.items()} != {name: one.shape for name, one in original.items()}:
        return float("inf")
    largest = 0.0
    sizes = {name: float(np.linalg.norm(gradient)) for name, gradient in original.items()}
    usual = max(filter(np.isfinite, sizes.values()), default=0.0) or 1.0
    for name, gradient in original.items():
        apart = float(np.linalg.norm(mutant[name] - gradient))
        if not np.isfinite(apart) and not (np.isnan(mutant[name]) == np.isnan(gradient)).all():
            return float("inf")
        largest = max(largest, apart / (sizes[name] or usual))
    return largest


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise `_HungError` in this thread if it takes longer."""
    thread = threading.get_ident()
    ended = threading.Event()

    def stop() -> None:
        if not ended.is_set():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(_HungError))

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        ended.set()
        timer.cancel()
