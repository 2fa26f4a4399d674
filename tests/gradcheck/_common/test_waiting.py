"""How long others kept the processor busy, as the scheduler says."""

from __future__ import annotations

import math
import threading

import pytest

from gradcheck._common import waiting
from gradcheck._common.waiting import Kept


def test_what_the_scheduler_says_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that sleeps could not be told from code that others keep from the processor."""
    queued = {threading.get_native_id(): 5.0}
    monkeypatch.setattr(waiting, "_seconds_queued", lambda thread: queued.get(thread, math.nan))
    kept = Kept()
    kept.follow()
    assert kept() == 0.0
    queued[threading.get_native_id()] = 7.5
    kept.follow()  # of the same thread once more
    assert kept() == 2.5
    assert kept() == 0.0


@pytest.mark.parametrize(("times", "expected"), [([3, 3], 0.0), ([3, 4], math.inf), ([None, None], math.inf)])
def test_where_nobody_says_it_may_have_been_all_of_the_time(
    monkeypatch: pytest.MonkeyPatch, times: list[int | None], expected: float
) -> None:
    """On other systems a busy machine would cut searches short, or a loss that sleeps would get twice its time."""
    told = iter(times)
    monkeypatch.setattr(waiting, "_seconds_queued", lambda _: math.nan)
    monkeypatch.setattr(waiting, "_times_sent_away", lambda: next(told))
    assert Kept()() == expected


def test_a_thread_that_is_over_is_no_error() -> None:
    """A search in a new process would end with an error: there the thread that was followed is not."""
    assert math.isnan(waiting._seconds_queued(2**30))
