"""Mutants judged by the workers of any `concurrent.futures.Executor`: a pool, a Dask cluster, processes of MPI."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from functools import lru_cache
from typing import TypeAlias

from gradcheck._common.errors import TargetError
from gradcheck._common.workers import worker_is_gone
from gradcheck._mutation.mutation_audit import MutantResult

#: judges a mutant: the pickled factory, whether in full, the seed, the mutant's number
Judge: TypeAlias = Callable[[bytes, bool, int, int], MutantResult]
#: the machine and the number of a process
_Process: TypeAlias = tuple[str, int]

#: mutants that are handed out ahead for each worker, or in all where it is not known how many there are
AHEAD_OF_EACH, AHEAD = 2, 256


def judge_by(
    executor: Executor,
    judge: Judge,
    what: tuple[bytes, bool, int],
    following: Callable[[], int | None],
    finish: Callable[[int, MutantResult], None],
    here: Callable[[int], MutantResult],
) -> None:
    """Judge all mutants that follow by the workers of an executor; those that it loses are judged here.

    Args:
        executor: Its workers are other processes, which can import the factory.
        judge: A function that a worker can import.
        what: What `judge` is called with before the number.
        following: The number of the next mutant; None if there is none, or no time for it.
        finish: Is told what became of each.
        here: Judges one in this process.

    Raises:
        TargetError: If the workers are threads of this process, or by the user's code.
    """
    ahead, running = _ahead(executor), dict[Future[MutantResult], int]()
    process = _this_process()
    try:
        while True:
            while len(running) < ahead and (index := following()) is not None:
                try:
                    running[executor.submit(_judge_there, process, judge, what, index)] = index
                except BrokenExecutor:
                    finish(index, here(index))
            if not running:
                return
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                index = running.pop(done)
                finish(index, _result(done, lambda index=index: here(index)))  # type: ignore[misc]
    except BaseException:
        for future in running:
            future.cancel()
        raise


def _result(done: Future[MutantResult], here: Callable[[], MutantResult]) -> MutantResult:
    try:
        return done.result()
    except Exception as error:
        if not worker_is_gone(error):
            raise
        return here()


def _ahead(executor: Executor) -> int:
    """How many mutants to hand out at a time: pools of processes and of MPI tell how many workers they have."""
    workers = getattr(executor, "num_workers", None) or getattr(executor, "_max_workers", None)
    return AHEAD_OF_EACH * workers if isinstance(workers, int) else AHEAD


@lru_cache(maxsize=1)
def _machine() -> str:
    return platform.node()


def _this_process() -> _Process:
    return _machine(), os.getpid()


def _judge_there(parent: _Process, judge: Judge, what: tuple[bytes, bool, int], index: int) -> MutantResult:
    """Judge a mutant in a worker."""
    if parent == _this_process():
        # planted in functions that the audit is waiting with: it would wait for ever
        raise TargetError(
            "mutate(executor=...) needs workers that are other processes: bugs are planted in functions, "
            "which all threads of a process share"
        )
    return judge(*what, index)
