"""How much time there is for work that may be cut short, and the exception that ends it where it is cut.

`limited` puts a clock in place for a with-block. Whatever takes long asks `look` in between: each run of the user's
loss or gradients, each sweep, each candidate. Where no clock is in place it costs next to nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from gradcheck._common.interruption import interrupted_when
from gradcheck._common.waiting import Kept

#: where others keep the processor busy, a second may take so many
MOST_SHARED = 2.0
#: seconds on the wall within which the processor is not asked again: asking costs as much as a small loss
UNASKED = 0.02


class ComputingTime:
    """Seconds on the wall, but for those in which others kept the processor busy: a busy machine cuts no search short.

    What the user's code waits for by itself, a file or a clock, counts in full. They are no less than half of what the
    clock on the wall says, and no less than this process was at work.
    """

    def __init__(self) -> None:
        self._seconds, self._wall, self._own = 0.0, time.monotonic(), time.process_time()
        self._kept = Kept()

    def follow(self) -> None:
        """It is this thread that works: whether others keep the processor from it is what is asked."""
        self._kept.follow()

    def __call__(self) -> float:
        """The seconds so far; those of the last moment as if all of it were shared."""
        wall = time.monotonic()
        passed = wall - self._wall
        if passed < UNASKED:
            return self._seconds + passed / MOST_SHARED
        own = time.process_time()
        worked = own - self._own
        mine = max(worked, passed - self._kept(), passed / MOST_SHARED)
        self._seconds += min(passed, mine)
        self._wall, self._own = wall, own
        return self._seconds


#: seconds after which code that does not look at a clock that is up is ended
GRACE = 3.0

_computing_time = ComputingTime()
#: the time in seconds; the tests let it stand still, so that no report of theirs depends on how fast a machine is
now: Callable[[], float] = _computing_time


class TimeUpError(BaseException):
    """The time is up. No Exception: a search that tries edits takes those for a wrong edit, and the user's code may
    catch them."""


class Clock:
    """So many seconds from now, and no more than the clock around it has left; endless without a number."""

    def __init__(self, seconds: float | None = None, outer: Clock | None = None) -> None:
        self.ends = math.inf if seconds is None else now() + seconds
        self.outer = outer
        #: whether it was Ctrl-C that ended the time
        self.is_interrupted = False

    @property
    def left(self) -> float:
        """Seconds that are left; infinite if there is no end."""
        if self.is_interrupted:
            return 0.0
        own = max(0.0, self.ends - now())
        return own if self.outer is None else min(own, self.outer.left)

    @property
    def is_up(self) -> bool:
        """Whether nothing is left."""
        return self.left <= 0

    def interrupt(self) -> None:
        """There is no time left from now on, here and around."""
        self.is_interrupted = True
        if self.outer is not None:
            self.outer.interrupt()

    def look(self) -> None:
        """Raise `TimeUpError` if nothing is left."""
        if self.is_up:
            raise TimeUpError


class _Overdue:
    """Seconds until a clock is up for so long that nobody can be looking at it."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.up_since = clock, math.nan

    def __call__(self) -> float:
        if not self.clock.is_up:
            return self.clock.left + GRACE
        if math.isnan(self.up_since):
            self.up_since = time.monotonic()
        return GRACE - (time.monotonic() - self.up_since)


_current: ContextVar[Clock | None] = ContextVar("clock", default=None)


def look() -> None:
    """Raise `TimeUpError` if the time is up of the clock that is in place, if there is one."""
    clock = _current.get()
    if clock is not None:
        clock.look()


def current_clock() -> Clock:
    """The clock that is in place; an endless one if there is none."""
    return _current.get() or Clock()


@contextmanager
def limited(clock: Clock) -> Iterator[None]:
    """Let the block end, quietly, when the time is up or at Ctrl-C; afterwards the clock tells whether it did.

    A clock around it that is up ends what stands behind the block at the next look. Code that takes no look, as a loop
    of the user's that does not come to its end, is ended some seconds later.
    """
    token = _current.set(clock)
    try:
        _computing_time.follow()
        yield from _until_up(clock)
    finally:
        _current.reset(token)


def _until_up(clock: Clock) -> Iterator[None]:
    has_begun = False
    try:
        with interrupted_when(_Overdue(clock), TimeUpError):
            has_begun = True
            yield
    except TimeUpError:
        pass
    except KeyboardInterrupt:
        clock.interrupt()
    if not has_begun:  # it came on the way in, and no block can be left out: this one ends at its first look
        try:
            yield
        except TimeUpError:
            pass
        except KeyboardInterrupt:
            clock.interrupt()
