"""`mutate`: every mutant of a backward in turn, here or in worker processes, for as long as there is time."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from gradcheck._checking.check import as_subject
from gradcheck._common.errors import TargetError
from gradcheck._common.turns import in_turn
from gradcheck._common.workers import CAN_FORK, ChildEndedError, run_in_copy, workers
from gradcheck._mutation.mutation_audit import MutantResult, MutationAudit
from gradcheck._mutation.mutation_executor import judge_by
from gradcheck._targets.factory import TargetFactory
from gradcheck._targets.target import Target
from gradcheck.report.mutation_records import MutationReport

#: what is called with the number of mutants done and of all
Progress: TypeAlias = Callable[[int, int], None]
#: mutants that are handed out to each worker ahead: one that it judges, and one that waits for it
MUTANTS_AHEAD = 2
#: seconds that a worker may take until it judges its first mutant
WORKER_START = 60.0
#: how a mutant was killed that took its process with it
ENDS_PROCESS = "ends the process"


@in_turn
def mutate(
    factory: TargetFactory | Callable[..., Target],
    *,
    full: bool = False,
    seed: int = 0,
    budget: float | None = None,
    jobs: int = 1,
    isolated: bool = False,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> MutationReport:
    """Plant bugs in a backward, one at a time, and see which of them its check finds.

    Args:
        factory: A factory (``@gradcheck.target``), right as it stands. Its functions are put back.
        full: Check each mutant in full.
        seed: Seeds the checks, and the order in which mutants are tried.
        budget: Seconds; mutants that are not begun by then are left untried. All are tried if it is None.
        jobs: Processes that share the mutants; the factory must be importable by them if there is more than one.
        isolated: Judge mutants in a process of their own even if there is one job: a mutant that ends the process is
            counted then. It is so anyway where the code calls functions of C, which a mutant may make crash.
        progress: Called as ``progress(done, all)``.
        executor: Any `concurrent.futures.Executor` whose workers are other processes, instead of `jobs`: the mutants
            are shared out to it. The factory must be importable by the workers.

    Raises:
        TargetError: If it is no factory, if its gradients are not right, if its source is not at hand, or if the
            workers of `executor` are threads.
    """
    started = time.perf_counter()
    subject = as_subject(factory)
    if not isinstance(subject, TargetFactory):
        raise TargetError("mutate() needs a factory (@gradcheck.target): a Target cannot be built anew for each mutant")
    audit = MutationAudit(subject, full, seed)
    order = np.random.default_rng(seed).permutation(len(audit.mutants)).tolist()
    queue = _Queue(order, None if budget is None else started + budget, progress or (lambda *_: None))
    if executor is not None:
        what = _pickled(subject), full, seed
        judge_by(executor, _judge_in_turn, what, queue.next, queue.finish, lambda index: _outcome_in_copy(audit, index))
    elif jobs > 1 or isolated or (audit.is_dangerous and not CAN_FORK):
        _Pool(queue, _pickled(subject), full, seed, jobs, _patience(audit)).judge()
    else:
        while (index := queue.next()) is not None:
            queue.finish(index, _outcome_of(audit, index))
    late: MutantResult = "untried", "the time was up"
    mutations = tuple(audit.described(i, *queue.results.get(i, late)) for i in range(len(audit.mutants)))
    return MutationReport(subject.name, mutations, seed, time.perf_counter() - started)


class _Queue:
    """The mutants that wait for their turn, by number, and what became of the others."""

    def __init__(self, waiting: list[int], deadline: float | None, progress: Progress) -> None:
        self.waiting, self.deadline, self.progress = waiting, deadline, progress
        self.total = len(waiting)
        self.results: dict[int, MutantResult] = {}

    def next(self) -> int | None:
        """The next one; None if there is none, or no time for it."""
        is_late = self.deadline is not None and time.perf_counter() > self.deadline
        return self.waiting.pop(0) if self.waiting and not is_late else None

    def finish(self, index: int, result: MutantResult) -> None:
        """Keep what became of a mutant."""
        self.results[index] = result
        self.progress(len(self.results), self.total)


class _HangingError(Exception):
    """No worker gives any result."""


def _patience(audit: MutationAudit) -> float:
    """What the audit grants a mutant, twice, and for the worker to begin."""
    return 2 * audit.patience + WORKER_START


@dataclass
class _Pool:
    """Worker processes that share the mutants; one that a mutant ends is replaced, and the mutant is counted."""

    queue: _Queue
    factory: bytes
    full: bool
    seed: int
    jobs: int
    #: seconds without any result after which the workers hang in code that cannot be interrupted
    patience: float | None = None
    running: dict[Future[MutantResult], int] = field(default_factory=dict)

    def judge(self) -> None:
        """Judge all that wait."""
        is_alone = False  # after a worker died: one at a time, so that it is known which one did it
        while (first := self.queue.next()) is not None:
            try:
                with workers(self.jobs) as pool:
                    self._submit(pool, first)
                    self._drain(pool, 1 if is_alone else MUTANTS_AHEAD * self.jobs, is_alone)
                is_alone = False
            except (BrokenProcessPool, _HangingError) as error:
                if is_alone:
                    how = "hangs" if isinstance(error, _HangingError) else ENDS_PROCESS
                    self.queue.finish(first, ("killed", how))
                else:
                    self.queue.waiting[:0] = [i for i in self.running.values() if i not in self.queue.results]
                is_alone = not is_alone
                self.running.clear()

    def _drain(self, pool: ProcessPoolExecutor, ahead: int, is_alone: bool) -> None:
        while self.running:
            while not is_alone and len(self.running) < ahead and (index := self.queue.next()) is not None:
                try:
                    self._submit(pool, index)
                except BrokenProcessPool:
                    self.queue.waiting.insert(0, index)
                    raise
            finished = wait(self.running, self.patience, return_when=FIRST_COMPLETED).done
            if not finished:
                raise _HangingError
            for done in finished:
                self.queue.finish(self.running[done], done.result())
                del self.running[done]

    def _submit(self, pool: ProcessPoolExecutor, index: int) -> None:
        self.running[pool.submit(_judge_in_worker, self.factory, self.full, self.seed, index)] = index


def _pickled(factory: TargetFactory) -> bytes:
    try:
        return pickle.dumps(factory)
    except Exception as error:
        raise TargetError(
            f"the factory {factory.name} cannot be sent to workers ({error}): define it at the top of a module"
        ) from error


@lru_cache(maxsize=2)
def _audit_in_worker(factory: bytes, full: bool, seed: int) -> MutationAudit:
    return MutationAudit(pickle.loads(factory), full, seed)


def _judge_in_worker(factory: bytes, full: bool, seed: int, index: int) -> MutantResult:
    return _outcome_of(_audit_in_worker(factory, full, seed), index)


@in_turn
def _judge_in_turn(factory: bytes, full: bool, seed: int, index: int) -> MutantResult:
    """As a worker with several threads does it, one after the other."""
    return _judge_in_worker(factory, full, seed, index)


def _outcome_of(audit: MutationAudit, index: int) -> MutantResult:
    """What becomes of a mutant; one that may write where it likes is judged in a process that ends with it."""
    return _outcome_in_copy(audit, index) if audit.is_dangerous else audit.outcome_of(index)


def _outcome_in_copy(audit: MutationAudit, index: int) -> MutantResult:
    """What becomes of a mutant in a copy of this process, where there can be one."""
    if not CAN_FORK:
        return audit.outcome_of(index)
    try:
        return run_in_copy(lambda: audit.outcome_of(index), 2 * audit.patience)
    except ChildEndedError as error:
        return "killed", "hangs" if error.is_late else ENDS_PROCESS
