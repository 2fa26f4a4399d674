"""Single entries shared out to any `concurrent.futures.Executor`, a target for each worker."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from threading import Lock
from typing import TypeAlias

import numpy as np

from gradcheck._common.arrays import Sizes
from gradcheck._common.errors import TargetError
from gradcheck._common.workers import worker_is_gone
from gradcheck._numeric.entries import Entries, Row, assemble, difference_some
from gradcheck._numeric.evaluator import Calibration, Evaluator
from gradcheck._targets.factory import TargetFactory
from gradcheck._targets.opening import opened

#: the seconds a task should take: enough to outweigh building the target, few enough to keep every worker busy
TASK_SECONDS = 1.0
#: entries that tell how long one takes
TIMED_ENTRIES = 8
#: how often it is looked whether the workers are alive
LOOK_SECONDS = 2.0
#: the most entries in a task, so that small parameters are shared out as well
MAX_TASK_ENTRIES = 1024
#: workers that are threads take turns: module variables, which are put back, belong to the whole process
ONE_THREAD_AT_A_TIME = Lock()

#: what `_difference_in_worker` is called with
Task: TypeAlias = tuple[bytes, int, Sizes, str, range, Calibration]


def entries_by(
    executor: Executor, factory: TargetFactory, seed: int, sizes: Sizes
) -> Callable[[Evaluator, str], Entries]:
    """A function that gives what `difference_entries` gives, from the workers of an executor."""
    try:
        pickled = pickle.dumps(factory)
    except Exception as error:
        raise TargetError(
            f"the factory {factory.name} cannot be sent to workers ({error}): "
            "define it at the top of a module that they can import"
        ) from error

    def difference(evaluator: Evaluator, name: str) -> Entries:
        shape = evaluator.base[name].shape
        total = int(np.prod(shape, dtype=int))
        rows, size = _first(evaluator, name, min(TIMED_ENTRIES, total))
        learned = evaluator.calibration
        chunks = [range(start, min(start + size, total)) for start in range(len(rows), total, size)]
        tasks = [(pickled, seed, sizes, name, chunk, learned) for chunk in chunks]
        for found, asked in _results_in_order(executor, tasks, evaluator):
            rows += found
            evaluator.count(asked)
        return assemble(shape, rows)

    return difference


def _first(evaluator: Evaluator, name: str, count: int) -> tuple[list[Row], int]:
    """The first few entries; and how many make a task of about a second, by the time that these took."""
    started = time.perf_counter()
    rows = difference_some(evaluator, name, range(count))
    each = (time.perf_counter() - started) / max(count, 1)
    return rows, min(max(int(TASK_SECONDS / max(each, 1e-9)), 1), MAX_TASK_ENTRIES)


def _results_in_order(executor: Executor, tasks: list[Task], evaluator: Evaluator) -> Iterator[tuple[list[Row], int]]:
    """The results in the order of the tasks. Those that an executor loses are run here: no worker is worth a check."""
    futures = [_submitted(executor, task) for task in tasks]
    lost = 0
    for task, future in zip(tasks, futures, strict=True):
        try:
            result = None if future is None else _result(executor, future)
        except TargetError:
            raise  # by the user's code, not by the executor
        except Exception as error:
            if not worker_is_gone(error):
                raise
            result = None
        lost += result is None
        yield _difference_in_worker(*task) if result is None else result
    if lost:
        evaluator.remarks.append(f"the executor lost {lost} of {len(tasks)} tasks; this process ran them instead")


def _result(executor: Executor, future: Future[tuple[list[Row], int]]) -> tuple[list[Row], int]:
    """The result of a task; an error where it never comes.

    A pool of processes waits for ever for a worker that was killed while it sent a result. Its other workers are ended
    then, as they are where a pool notices: that ends its waiting.
    """
    while True:
        try:
            return future.result(LOOK_SECONDS)
        except TimeoutError:
            processes = list((getattr(executor, "_processes", None) or {}).values())
            if future.done():
                return future.result()
            if all(one.is_alive() for one in processes):
                continue
        with suppress(TimeoutError):  # it may have noticed by itself
            return future.result(LOOK_SECONDS)
        for one in processes:
            one.kill()
        with suppress(TimeoutError):
            return future.result(LOOK_SECONDS)
        raise BrokenExecutor("a worker is dead, and the pool waits for it")


def _submitted(executor: Executor, task: Task) -> Future[tuple[list[Row], int]] | None:
    try:
        return executor.submit(_difference_in_worker, *task)
    except BrokenExecutor:
        return None


def _difference_in_worker(
    pickled: bytes,
    seed: int,
    sizes: Sizes,
    name: str,
    flats: range,
    learned: Calibration,
) -> tuple[list[Row], int]:
    """(value, error, kink) of these entries, and the losses asked for. Runs in a worker."""
    # Loaded here: what the user's file raises on import is then a result, where it would kill a worker of a pool.
    factory: TargetFactory = pickle.loads(pickled)
    target = factory.build(seed, sizes)
    with ONE_THREAD_AT_A_TIME, np.errstate(all="ignore"), opened(target, seed):
        evaluator = Evaluator(target)
        evaluator.calibration = learned
        # the first entries were confirmed where the check is made
        return difference_some(evaluator, name, flats, confirm=False), evaluator.evaluations
