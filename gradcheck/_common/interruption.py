"""Ends code that does not come back: an edit may make a loop endless, and nothing in there looks at the clock."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

#: seconds after which a watcher looks in any case
LONGEST = 60.0
#: seconds after which it looks whether an error that it sent was lost on the way
LOST_AFTER = 0.02


class EndlessError(BaseException):
    """Code took far longer than it should. No Exception: the user's code may catch those, in the endless loop."""


@contextmanager
def interrupted_when(due: Callable[[], float], error: type[BaseException]) -> Iterator[None]:
    """Raise an error in the block once no seconds are left, wherever in Python code it is then.

    Args:
        due: How many seconds are left; asked again once these are over.
        error: What is raised, between two instructions of this thread, as Ctrl-C is.
    """
    limit = _Limit(due, error)
    with _watched() as watcher:
        try:
            watcher.add(limit)
            yield
        finally:
            limit.is_over = True  # before all else: another block's error may come from here on
            watcher.remove(limit)
            if limit.is_raised:
                _let_through(error)


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise `EndlessError` in the block after so many seconds on the wall."""
    end = time.monotonic() + seconds
    with interrupted_when(lambda: end - time.monotonic(), EndlessError):
        yield


@dataclass(eq=False)
class _Limit:
    """How many seconds a block has left, and what is raised in it then."""

    due: Callable[[], float]
    error: type[BaseException]
    is_raised: bool = False
    is_over: bool = False


class _Watcher:
    """A thread that looks after the blocks of another one, as long as the outermost of them lasts.

    Thousands of edits are run, each in a block of its own: a thread for each would take as long as they do.

    An error may meet the thread in a destructor or a callback of the garbage collector. The interpreter lets nothing
    out of these: it hands the error to `sys.unraisablehook`, and the block goes on. So from the first error that is
    sent the watcher listens there, and sends it again.
    """

    def __init__(self) -> None:
        self._watched = threading.get_ident()
        self._sent: set[type[BaseException]] = set()
        self._heard_before: Callable[[UnraisableHookArgs], object] | None = None
        self._limits: list[_Limit] = []
        self._changed = threading.Condition()
        self._looks_next, self._is_done = math.inf, False
        self._thread = threading.Thread(target=self._watch, name="gradcheck-interruption", daemon=True)
        self._thread.start()

    def add(self, limit: _Limit) -> None:
        """Look after one more block."""
        with self._changed:
            self._limits.append(limit)
            if time.monotonic() + limit.due() < self._looks_next:
                self._changed.notify()

    def remove(self, limit: _Limit) -> None:
        """It came to its end."""
        with self._changed:
            self._limits = [one for one in self._limits if one is not limit]

    def end(self) -> None:
        """Let the thread come to its end."""
        with self._changed:
            self._is_done = True
            self._changed.notify()
        self._thread.join()
        if self._heard_before is not None and sys.unraisablehook == self._hear:
            sys.unraisablehook = self._heard_before

    def _watch(self) -> None:
        with self._changed:
            while not self._is_done:
                left = min(map(self._left, self._limits), default=LONGEST)
                self._looks_next = time.monotonic() + min(left, LONGEST)
                self._changed.wait(min(left, LONGEST))

    def _left(self, limit: _Limit) -> float:
        """How many seconds a block has; where there are none, its error is on the way."""
        if limit.is_over:
            return math.inf
        if not limit.is_raised and (left := limit.due()) > 0:
            return left
        if not limit.is_raised:
            self._listen()
            limit.is_raised = True
            self._sent.add(limit.error)
            _raise_in(self._watched, limit.error)
        return LOST_AFTER

    def _listen(self) -> None:
        if self._heard_before is None:
            self._heard_before, sys.unraisablehook = sys.unraisablehook, self._hear

    def _hear(self, lost: UnraisableHookArgs) -> None:
        """Take note of an error of ours that came to nothing; all else is for whoever listened before."""
        assert self._heard_before is not None
        if threading.get_ident() != self._watched or lost.exc_type not in self._sent:
            self._heard_before(lost)
            return
        for limit in self._limits:
            if limit.error is lost.exc_type:
                limit.is_raised = False


_mine = threading.local()


@contextmanager
def _watched() -> Iterator[_Watcher]:
    """Who looks after the blocks of this thread: for those in a block, the same."""
    around: _Watcher | None = getattr(_mine, "watcher", None)
    if around is not None:
        yield around
        return
    watcher = _mine.watcher = _Watcher()
    try:
        yield watcher
    finally:
        _mine.watcher = None
        watcher.end()


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
