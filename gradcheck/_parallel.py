"""Worker processes; single entries shared out to any `concurrent.futures.Executor`, a target for each worker."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from threading import Lock

import numpy as np

from gradcheck._errors import TargetError
from gradcheck._evaluate import Evaluator
from gradcheck._locate import Entries, assemble, difference_one
from gradcheck._sizes import Sizes, TargetFactory

#: entries in one task: enough to outweigh building the target, few enough to keep every worker busy
CHUNK = 64
#: workers that are threads take turns: standard output and warnings, which are silenced, belong to the whole process
TURNS = Lock()


@contextmanager
def workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of so many processes, ended at once where something is raised."""
    # Spawned, not forked: BLAS threads of the parent do not survive a fork.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_become_worker) as pool:
        try:
            yield pool
        except BaseException:
            for worker in active_children():  # or the pool would wait for what they are at
                worker.terminate()
            raise


def _become_worker() -> None:
    """What the user's code prints is not a report; and Ctrl-C is for the parent, which ends its workers."""
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def entries_by(
    executor: Executor, factory: TargetFactory, seed: int, sizes: Sizes
) -> Callable[[Evaluator, str], Entries]:
    """A replacement of `difference_entries` that runs in the executor; the results are the same."""
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
        chunks = [range(start, min(start + CHUNK, total)) for start in range(0, total, CHUNK)]
        learned = evaluator.learned
        futures = [executor.submit(_entries, pickled, seed, sizes, name, chunk, learned) for chunk in chunks]
        results = [future.result() for future in futures]
        evaluator.count(sum(asked for _, asked in results))
        return assemble(shape, [row for rows, _ in results for row in rows])

    return difference


def _entries(
    pickled: bytes,
    seed: int,
    sizes: Sizes,
    name: str,
    flats: range,
    learned: tuple[bool | None, float, float | None],
) -> tuple[list[tuple[float, float, float]], int]:
    """(value, error, kink) of these entries, and the losses asked for. Runs in a worker."""
    # Loaded here: what the user's file raises on import is then a result, where it would kill a worker of a pool.
    factory: TargetFactory = pickle.loads(pickled)
    target = factory.build(seed, sizes)
    with TURNS, target.preserved():
        target.begin(np.random.default_rng([seed, 1]))
        evaluator = Evaluator(target)
        evaluator.learned = learned
        return [difference_one(evaluator, name, flat) for flat in flats], evaluator.evaluations
