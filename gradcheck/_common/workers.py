"""Worker processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context


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
