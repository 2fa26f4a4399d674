"""Worker processes."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import pickle
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from typing import NoReturn, TypeVar

Result = TypeVar("Result")

#: how often a copy looks whether its parent is still there
PARENT_SECONDS = 0.5
_SAFE_PATH = "PYTHONSAFEPATH"


@contextmanager
def workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of so many processes, which are ended at once with the block; what they are at then is lost."""
    # Spawned, not forked: BLAS threads of the parent do not survive a fork.
    with (
        _modules_of_this_folder_left_alone() as before,
        ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_become_worker, initargs=before) as pool,
    ):
        others = set(active_children())
        try:
            yield pool
        finally:
            # The pool would wait: for what they are at, or for ever, where one has died that waited for work, since the
            # others wait for the lock that it held.
            for worker in set(active_children()) - others:
                worker.kill()


@contextmanager
def _modules_of_this_folder_left_alone() -> Iterator[tuple[str | None]]:
    """Processes that begin meanwhile do not look for Python's own modules in the current folder; what was set before.

    A file called queue.py there would be imported before a worker has its parent's import path.
    """
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield (before,)
    finally:
        _set_safe_path(before)


def _set_safe_path(value: str | None) -> None:
    if value is None:
        os.environ.pop(_SAFE_PATH, None)
    else:
        os.environ[_SAFE_PATH] = value


def _become_worker(safe_path: str | None) -> None:
    """What the user's code prints is not a report; and Ctrl-C is for the parent, which ends its workers."""
    _set_safe_path(safe_path)
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a worker is killed in the end, with what it has not shown by then
        sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End when the parent does: killed, it tells nobody, and a worker would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def worker_is_gone(error: Exception) -> bool:
    """Whether what an executor raises tells of a worker that is gone. Dask has an exception of its own for that."""
    gone = isinstance(error, (BrokenExecutor, CancelledError, EOFError, ConnectionError))
    return gone or any(kind.__name__ == "KilledWorker" for kind in type(error).__mro__)


class ChildEndedError(Exception):
    """A child process gave no result: it died, or it had no time left."""

    def __init__(self, *, is_late: bool) -> None:
        """`is_late`: it was ended, since it took too long."""
        super().__init__("took too long" if is_late else "died")
        self.is_late = is_late


#: whether a process can make a copy of itself
CAN_FORK = hasattr(os, "fork")


def run_in_copy(function: Callable[[], Result], seconds: float) -> Result:
    """What a function returns that is run in a copy of this process, where it may do any harm.

    Only its result comes back, which can be pickled; this process stays as it is.

    Raises:
        ChildEndedError: If there is no result, after so many seconds at most.
    """
    reading, writing = os.pipe()
    parent, child = os.getpid(), os.fork()
    if not child:
        threading.Thread(target=_end_without, args=(parent,), daemon=True).start()
        _send_and_end(function, writing)
    os.close(writing)
    try:
        data = _read_all(reading, time.monotonic() + seconds)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)  # nothing is left for it to do
        os.waitpid(child, 0)
    try:
        result: Result = pickle.loads(data or b"")
    except Exception:
        raise ChildEndedError(is_late=data is None) from None
    return result


def _end_without(parent: int) -> None:
    """End when the parent has: nobody else would end a copy that hangs."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(1)


def _send_and_end(function: Callable[[], object], writing: int) -> NoReturn:
    try:
        faulthandler.disable()  # its death is no fault of this program
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # its last words are those of a memory allocator
        data = pickle.dumps(function())
        while data:
            data = data[os.write(writing, data) :]
    finally:
        os._exit(0)  # whatever it was: nothing of the parent's is to be run here any more


def _read_all(reading: int, deadline: float) -> bytes | None:
    """All that is sent; None if it did not end in time."""
    data = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reading], [], [], left)[0]:
            return None
        part = os.read(reading, 65536)
        if not part:
            return data
        data += part
