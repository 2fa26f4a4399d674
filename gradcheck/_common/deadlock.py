"""Whether a thread waits for another one for good: for its end, or for what it has been asked to calculate.

What a thread waits for can be seen on its stack. Only what cannot end otherwise is told: ``join()`` of a thread and
``result()`` of a future, without a timeout. Events, queues and locks may be freed by anybody.
"""

from __future__ import annotations

import concurrent.futures
import sys
import threading
from collections.abc import Iterator
from types import FrameType

#: the code of what waits until a thread or a future has come to its end
_WAITS = (threading.Thread.join.__code__, concurrent.futures.Future.result.__code__)


def waits_for_this_thread(other: int) -> bool:
    """Whether another thread, by its number, waits for the one that asks, and has set itself no time."""
    awaited = {id(one) for one in _awaited_by(other)}
    return any(id(one) in awaited for one in _gives())


def _awaited_by(thread: int) -> Iterator[object]:
    """The threads and futures that a thread waits for without a timeout."""
    for frame in _stack(sys._current_frames().get(thread)):
        if frame.f_code in _WAITS and frame.f_locals.get("timeout") is None:
            yield frame.f_locals.get("self")


def _gives() -> Iterator[object]:
    """What comes to its end with this thread: itself, and the futures that it is calculating."""
    yield threading.current_thread()
    for frame in _stack(sys._getframe()):
        if frame.f_globals.get("__name__") == "concurrent.futures.thread":
            yield getattr(frame.f_locals.get("self"), "future", None) or frame


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
