"""How long a thread was ready to work while the processor was busy with others.

On Linux the scheduler says so itself. Elsewhere it is only known whether the process was sent away from the processor
at all: one that never was has waited by itself, for a file or a device or a clock.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path

#: the second number of a thread's statistics is how many nanoseconds it stood in the queue
NANOSECONDS = 1e-9


class Kept:
    """Seconds for which others kept the processor from the thread that is followed, since the last call."""

    def __init__(self) -> None:
        self._thread, self._queued, self._sent_away = 0, math.nan, _times_sent_away()

    def follow(self) -> None:
        """From now on it is about this thread."""
        thread = threading.get_native_id()
        if thread != self._thread:
            self._thread, self._queued = thread, _seconds_queued(thread)

    def __call__(self) -> float:
        """The seconds; infinite where it may have been all of the time."""
        queued, sent_away = _seconds_queued(self._thread), _times_sent_away()
        kept = queued - self._queued
        was_sent_away = sent_away != self._sent_away if sent_away is not None else True
        self._queued, self._sent_away = queued, sent_away
        if math.isnan(kept):
            return math.inf if was_sent_away else 0.0
        return kept


def _seconds_queued(thread: int) -> float:
    """Seconds that a thread of this process has stood in the scheduler's queue; not a number where nobody says so."""
    try:
        return float(Path(f"/proc/self/task/{thread}/schedstat").read_bytes().split()[1]) * NANOSECONDS
    except (OSError, ValueError, IndexError):
        return math.nan


def _sent_away_by_system() -> Callable[[], int | None]:
    """What counts how often this process had to leave the processor to others; None where nobody counts."""
    try:
        import resource
    except ImportError:  # on Windows
        return lambda: None
    return lambda: resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


_times_sent_away = _sent_away_by_system()
