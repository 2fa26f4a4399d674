"""Ends code that does not come back: an edit may make a loop endless, and nothing in there looks at the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class EndlessError(BaseException):
    """Code took far longer than it should. No Exception: the user's code may catch those, in the endless loop."""


@contextmanager
def interrupted_when(due: Callable[[], float], error: type[BaseException]) -> Iterator[None]:
    """Raise an error in the block once no seconds are left, wherever in Python code it is then.

    Args:
        due: How many seconds are left; asked again once these are over.
        error: What is raised, between two instructions of this thread, as Ctrl-C is.
    """
    thread, done, lock, raised = threading.get_ident(), threading.Event(), threading.Lock(), list[bool]()

    def watch() -> None:
        while not done.wait(max(due(), 0.0)):
            if due() <= 0:
                with lock:
                    if not done.is_set():
                        raised.append(True)
                        _raise_in(thread, error)
                return

    watcher = threading.Thread(target=watch, name="gradcheck-interruption", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        with lock:
            done.set()
        watcher.join()
        if raised:
            _let_through(error)


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise `EndlessError` in the block after so many seconds on the wall."""
    end = time.monotonic() + seconds
    with interrupted_when(lambda: end - time.monotonic(), EndlessError):
        yield


def _raise_in(thread: int, error: type[BaseException]) -> None:
    """Let a thread raise an error at its next instruction that is a call or a jump back."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


def _let_through(error: type[BaseException]) -> None:
    """Let an error come that was on its way as the block ended: taken back, the interpreter would wait for it."""
    try:
        for _ in range(100):
            pass
    except error:
        pass
