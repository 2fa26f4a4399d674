"""Silence for one thread: what other threads print goes on as it was.

`contextlib.redirect_stdout` exchanges what belongs to the whole process, and puts back what it found. Where two threads
do so in turns, each puts back what the other had put there, and it stays.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any


class _Muted:
    """Standard output, but for threads that are silenced."""

    def __init__(self, stream: Any) -> None:
        self.behind = stream
        self.silenced: dict[int, int] = {}

    def write(self, text: str) -> int:
        """Write it, or forget it."""
        return len(text) if get_ident() in self.silenced else self.behind.write(text)

    def writelines(self, lines: Any) -> None:
        """Write each line, or forget it."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush, if there is anything."""
        if get_ident() not in self.silenced:
            self.behind.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)


class _Exchange:
    """One thread at a time exchanges what belongs to the process."""

    def __init__(self) -> None:
        # Ctrl-C may come when a block is left and the lock not yet: the thread must not wait for itself then
        self.lock = threading.RLock()


_exchange = _Exchange()


#: The last stand-ins for standard output. Another thread that prints holds `sys.stdout`, and CPython before 3.12.10 and
#: 3.13.3 does not count that (gh-130163): one that nobody kept would be freed meanwhile, and the process would crash.
_stand_ins: deque[_Muted] = deque(maxlen=16)


def _stand_in_for(stream: Any) -> _Muted:
    """The one that there is for it, or a new one."""
    found = next((one for one in _stand_ins if one.behind is stream), None)
    if found is None:
        found = _Muted(stream)
        _stand_ins.append(found)
    return found


def renew_lock() -> None:
    """A lock that nobody holds: in a child that was forked, or where Ctrl-C came before the lock was given back."""
    _exchange.lock = threading.RLock()


def _once_more(threads: dict[int, int]) -> None:
    """This thread asks for it, perhaps within a block for which it has asked already."""
    mine = get_ident()
    threads[mine] = threads.get(mine, 0) + 1


def _once_less(threads: dict[int, int]) -> None:
    """One of the blocks for which this thread has asked is left."""
    mine = get_ident()
    threads[mine] = threads.get(mine, 1) - 1
    if not threads[mine]:
        del threads[mine]


#: threads that are listened to, and how often they asked for it
_heard: dict[int, int] = {}


@contextmanager
def heard() -> Iterator[None]:
    """What this thread prints is heard, whoever asks for silence inside."""
    _once_more(_heard)
    try:
        yield
    finally:
        _once_less(_heard)


@contextmanager
def muted() -> Iterator[None]:
    """What this thread prints is not heard; `sys.stdout` is as it was afterwards."""
    if get_ident() in _heard or get_ident() in getattr(sys.stdout, "silenced", ()):
        yield
        return
    with _exchange.lock:
        current: Any = sys.stdout
        stream = current if isinstance(current, _Muted) else _stand_in_for(current)
        sys.stdout = stream
        _once_more(stream.silenced)
    try:
        yield
    finally:
        with _exchange.lock:
            _once_less(stream.silenced)
            if not stream.silenced and sys.stdout is stream:
                sys.stdout = stream.behind


def end_silence() -> None:
    """Take back what this thread has asked for, if Ctrl-C came while it was."""
    mine = get_ident()
    renew_lock()  # it is this thread's turn, so that no other one holds it
    _heard.pop(mine, None)
    with _exchange.lock:
        stream: Any = sys.stdout
        if isinstance(stream, _Muted):
            stream.silenced.pop(mine, None)
            if not stream.silenced:
                sys.stdout = stream.behind
