"""The mutation audit: how strong is a check? Bugs are planted in the user's own backward, and it has to see them.

A bug that changes no gradient at any size, seed or point that is tried is none: it is equivalent and leaves the count.
"""

from __future__ import annotations

import contextlib
import ctypes
import difflib
import json
import pickle
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from types import CodeType
from typing import Any, Literal, TypeAlias

import numpy as np

from gradcheck._checking.check import as_subject, check
from gradcheck._common.arrays import Array, Sizes, Values, as_complex
from gradcheck._common.errors import TargetError, UserCodeError
from gradcheck._common.wording import shown_path
from gradcheck._common.workers import workers
from gradcheck._mutation.operators import Mutant, locals_at_return, mutants
from gradcheck._targets.factory import TargetFactory
from gradcheck._targets.opening import opened
from gradcheck._targets.target import Target
from gradcheck._usercode.instrument import rewrite
from gradcheck._usercode.patching import EditedFunctions, Patch, RebindError, apply_edits
from gradcheck._usercode.profiling import functions_run
from gradcheck.report.report import Report

#: seeds of the factory at which a mutant's gradients are compared with the original's
SEEDS = 3
#: gradients that agree to this part of a block's norm are the same, but for rounding that cancellation has magnified
SAME_GRADIENT = 1e-9
#: a mutant has this many times as long as the original, and at least so many seconds
TIMEOUT_FACTOR, LEAST_SECONDS = 50.0, 10.0

Outcome: TypeAlias = Literal["killed", "survived", "equivalent", "forward", "untried"]
#: what is called with the number of mutants done and of all
Progress: TypeAlias = Callable[[int, int], None]


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
        """Whether there were mutants, and none survived."""
        return bool(self.killed) and not self.survived

    @property
    def exit_status(self) -> int:
        """0 all killed, 1 some survived, 3 nothing was tried."""
        return 1 if self.survived else 0 if self.killed else 3

    @property
    def summary(self) -> str:
        """One line: how many were killed, and what became of the others."""
        return _score(self)

    def to_dict(self) -> dict[str, Any]:
        """The report as builtins."""
        score = self.score if self.score == self.score else None
        return {**asdict(self), "mutations": [asdict(one) for one in self.mutations], "score": score, "ok": self.ok}

    def to_json(self, *, indent: int | None = 2) -> str:
        """The report as JSON."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def _of(self, outcome: Outcome) -> tuple[Mutation, ...]:
        return tuple(one for one in self.mutations if one.outcome == outcome)


def mutate(
    factory: TargetFactory | Callable[..., Target],
    *,
    full: bool = False,
    seed: int = 0,
    budget: float | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> MutationReport:
    """Plant bugs in a backward, one at a time, and see which of them its check finds.

    Args:
        factory: A factory (``@gradcheck.target``), right as it stands. Its functions are put back.
        full: Check each mutant in full.
        seed: Seeds the checks, and the order in which mutants are tried.
        budget: Seconds; mutants that are not begun by then are left untried. All are tried if it is None.
        jobs: Processes that share the mutants; the factory must be importable by them if there is more than one.
        progress: Called as ``progress(done, all)``.

    Raises:
        TargetError: If it is no factory, if its gradients are not right, or if its source is not at hand.
    """
    started = time.perf_counter()
    subject = as_subject(factory)
    if not isinstance(subject, TargetFactory):
        raise TargetError("mutate() needs a factory (@gradcheck.target): a Target cannot be built anew for each mutant")
    found = _MutationAudit(subject, full, seed)
    order = np.random.default_rng(seed).permutation(len(found.mutants)).tolist()
    until = None if budget is None else started + budget
    told = progress or (lambda *_: None)
    if jobs > 1:
        results = _run_in_workers(subject, full, seed, order, jobs, until, told)
    else:
        results = _in_turn(found, order, until, told)
    mutations = tuple(
        found.described(i, *results.get(i, ("untried", "the time was up"))) for i in range(len(found.mutants))
    )
    return MutationReport(subject.name, mutations, seed, time.perf_counter() - started)


# -- one mutant after the other ----------------------------------------------------------------------------------------

_Result: TypeAlias = tuple[Outcome, str]


def _in_turn(found: _MutationAudit, order: list[int], until: float | None, told: Progress) -> dict[int, _Result]:
    results: dict[int, _Result] = {}
    for i in order:
        if until is not None and time.perf_counter() > until:
            break
        results[i] = found.outcome_of(i)
        told(len(results), len(order))
    return results


def _run_in_workers(
    subject: TargetFactory,
    full: bool,
    seed: int,
    order: list[int],
    jobs: int,
    until: float | None,
    told: Progress,
) -> dict[int, _Result]:
    """The same in worker processes; a mutant that kills its worker is counted, and the others go on."""
    try:
        pickled = pickle.dumps(subject)
    except Exception as error:
        raise TargetError(
            f"the factory {subject.name} cannot be sent to workers ({error}): define it at the top of a module"
        ) from error
    results: dict[int, _Result] = {}
    waiting = list(order)
    alone = False  # after a worker died: one at a time, so that it is known which one did it
    while waiting and (until is None or time.perf_counter() < until):
        with workers(jobs) as pool:
            if alone:
                i = waiting.pop(0)
                try:
                    results[i] = pool.submit(_judged_there, pickled, full, seed, i).result()
                except BrokenProcessPool:
                    results[i] = "killed", "ends the process"
                alone = False
            else:
                alone = not _drain_pool(pool, pickled, full, seed, waiting, results, until, told, len(order), 2 * jobs)
    return results


def _drain_pool(
    pool: ProcessPoolExecutor,
    pickled: bytes,
    full: bool,
    seed: int,
    waiting: list[int],
    results: dict[int, _Result],
    until: float | None,
    told: Progress,
    total: int,
    ahead: int,
) -> bool:
    """Whether all that was waiting was done; if a worker died, what was under way waits again."""
    running: dict[Future[_Result], int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < ahead and (until is None or time.perf_counter() < until):
                i = waiting.pop(0)
                running[pool.submit(_judged_there, pickled, full, seed, i)] = i
            if not running:
                break
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                results[running[done]] = done.result()
                del running[done]
                told(len(results), total)
    except BrokenProcessPool:
        waiting[:0] = [i for i in running.values() if i not in results]
        return False
    return True


@lru_cache(maxsize=2)
def _audit_there(pickled: bytes, full: bool, seed: int) -> _MutationAudit:
    return _MutationAudit(pickle.loads(pickled), full, seed)


def _judged_there(pickled: bytes, full: bool, seed: int, index: int) -> _Result:
    return _audit_there(pickled, full, seed).outcome_of(index)


# -- one mutant --------------------------------------------------------------------------------------------------------


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


class _MutationAudit:
    """The mutants of one factory, and what the original's gradients are."""

    def __init__(self, factory: TargetFactory, full: bool, seed: int) -> None:
        self.factory, self.full, self.seed = factory, full, seed
        started = time.perf_counter()
        self._require_right()
        self.patience = max(LEAST_SECONDS, TIMEOUT_FACTOR * (time.perf_counter() - started))
        target = factory.build(seed, factory.sizes)
        codes: list[CodeType] = []
        with opened(target, seed):
            base = target.values()
            codes = functions_run(lambda: target.grads_at(base))
            seen = locals_at_return(lambda: target.grads_at(base), codes)
        self.sources = rewrite(codes).sources
        if not self.sources:
            raise TargetError(
                f"{factory.name}: the source of its backward is not at hand, so that nothing can be planted"
            )
        self.mutants: list[Mutant] = [
            one
            for code, frame in seen.items()
            if code.co_filename in self.sources
            for one in mutants(self.sources[code.co_filename], code.co_filename, code, frame)
        ]
        codes += functions_run(lambda: factory.build(seed, factory.sizes))
        self.workshop = EditedFunctions(codes, self.sources)
        self.points = [point for point in _points(factory, seed, base) if self._learn_reference(point)]

    def outcome_of(self, index: int) -> _Result:
        """What becomes of a mutant."""
        mutant = self.mutants[index]
        try:
            with (
                _at_most(self.patience),
                self.workshop.edited(Patch([(mutant.statement, mutant.edit)], self.sources), anew=True),
                warnings.catch_warnings(),
                np.errstate(all="ignore"),
            ):
                warnings.simplefilter("ignore")
                return self._judged()
        except _HungError:
            return "killed", "hangs"
        except (SyntaxError, RebindError) as error:
            return "equivalent", f"is no code: {error}"

    def _judged(self) -> _Result:
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
            return f"the gradients differ by {distance:.0e} of their size, less than the check sees: try full=True"
        if plain:
            return f"another seed ({plain[0].seed}) would show it: what the factory draws hides it"
        named = [one.moved for one, _ in apart if one.moved and one.sizes in checked]
        if named:
            return f"parameters that are not zero where it starts: {', '.join(named[0])}"
        if any(one.moved is None and one.sizes in checked for one, _ in apart):
            return "other parameters would show it, further from those that the factory makes"
        at = ", ".join(f"{name}={value}" for name, value in point.sizes.items())
        return f"larger sizes would show it, such as {at}"

    def _require_right(self) -> None:
        report = check(self.factory, full=self.full, explain=False, seed=self.seed)
        if not report.ok:
            raise TargetError(
                f"{self.factory.name} is {report.verdict}: only of a check that says right can be measured how strong "
                "it is; run gradcheck check first"
            )

    def _learn_reference(self, point: _ComparisonPoint) -> bool:
        try:
            point.loss, point.gradients = _loss_and_gradients(self.factory, point)
        except TargetError:
            return False  # the factory is not made at such sizes
        return True

    def described(self, index: int, outcome: Outcome, how: str) -> Mutation:
        """A mutant in words."""
        mutant = self.mutants[index]
        file, edit = mutant.statement.file, mutant.edit
        before = self.sources[file]
        after = apply_edits(before, [edit])
        name = shown_path(file)
        lines = difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{name}", f"b/{name}", n=1
        )
        first, last = edit.start[0], edit.end[0] + after.count("\n") - before.count("\n")
        return Mutation(
            mutant.operator,
            file,
            first,
            "\n".join(before.splitlines()[first - 1 : edit.end[0]]).strip(),
            "\n".join(after.splitlines()[first - 1 : last]).strip(),
            outcome,
            how,
            "".join(lines),
        )


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
    larger = {name: value if name in factory.pinned else 2 * value + 1 for name, value in factory.sizes.items()}
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
    """The largest difference of a block, relative to its norm; infinite where names or shapes differ.

    That of a block of zeros is taken relative to the largest norm, or to one where all are zero: it may be rounding.
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


# -- what is said ------------------------------------------------------------------------------------------------------


def _lines(report: MutationReport) -> Iterator[str]:
    for place, one in enumerate(report.survived, 1):
        yield f"{place}. survived ({one.operator}), {shown_path(one.file)}:{one.line}: {one.how}"
        yield f"   - {one.before}"
        yield f"   + {one.after}"
    yield _score(report)
    killed, survived = _by_operator(report.killed), _by_operator(report.survived)
    width = max((len(name) for name in {*killed, *survived}), default=0)
    for name in sorted({*killed, *survived}):
        left = f", {survived[name]} survived" if survived[name] else ""
        yield f"  {name:{width}}  {killed[name]} killed{left}"
    ways = Counter(one.how for one in report.killed)
    if ways:
        yield "  killed by: " + ", ".join(f"{how} {count}" for how, count in ways.most_common())


def _score(report: MutationReport) -> str:
    sign = "✗" if report.survived else "✓" if report.killed else "?"
    counted = len(report.killed) + len(report.survived)
    parts = [f"{len(report.equivalent)} change no gradient", f"{len(report._of('forward'))} change the loss"]
    parts += [f"{len(report.untried)} untried: the time was up"] if report.untried else []
    said = f"{len(report.killed)} of {counted} mutants killed" if counted else "no mutant changes a gradient"
    share = f" ({100 * report.score:.4g}%)" if counted else ""
    return f"{sign} {report.name}: {said}{share} · {' · '.join(parts)} · {report.seconds:.1f} s · seed {report.seed}"


def _by_operator(mutations: Sequence[Mutation]) -> Counter[str]:
    return Counter(one.operator for one in mutations)
