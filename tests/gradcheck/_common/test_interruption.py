"""Code that does not come back is ended, and nothing else is."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from gradcheck._common import clock as clocks
from gradcheck._common.clock import Clock, limited
from gradcheck._common.interruption import EndlessError, interrupted_after


def turning():
    """An endless loop that takes every exception that is one."""
    while True:
        try:
            time.sleep(0)
        except Exception:
            raise AssertionError from None


def test_an_endless_loop_is_ended():
    """If it fails, one edit of a condition hangs the whole check."""
    with pytest.raises(EndlessError), interrupted_after(0.05):
        turning()


def test_what_comes_back_in_time_is_left_alone():
    """If it fails, the next code that runs in this thread is interrupted for what was over."""
    before = threading.active_count()
    for _ in range(20):
        with interrupted_after(60):
            pass
    assert threading.active_count() == before
    sum(range(1000))


def test_blocks_inside_a_block_need_no_threads_of_their_own():
    """If it fails, every edit that is run waits for a thread to start and to end: as long as most code takes."""
    before = threading.active_count()
    with interrupted_after(60):
        for _ in range(20):
            with interrupted_after(30):
                assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_of_blocks_inside_each_other_that_one_ends_whose_time_is_up():
    """If it fails, an endless edit ends the whole search, or one that ended in time ends what comes after it."""
    with interrupted_after(60):
        with pytest.raises(EndlessError), interrupted_after(0.05):
            turning()
        with interrupted_after(0.03):
            pass
        time.sleep(0.06)
        sum(range(1000))
    with pytest.raises(EndlessError), interrupted_after(0.05), interrupted_after(60):
        turning()


class Ending:
    """Counts how often it is interrupted while an instance comes to its end."""

    interrupted = 0

    def __del__(self):
        try:
            for _ in range(8):
                pass
        except EndlessError:
            type(self).interrupted += 1
            raise


def ending_things():
    """An endless loop that spends most of its time in a destructor."""
    while True:
        Ending()


def test_an_interruption_that_is_lost_in_a_destructor_comes_again(monkeypatch):
    """If it fails, an endless edit goes on where the error met a destructor or the garbage collector, and a traceback
    of ours is printed into the user's terminal, or fails the test of theirs."""
    heard = []
    monkeypatch.setattr(sys, "unraisablehook", hook := heard.append)
    for _ in range(20):
        with pytest.raises(EndlessError), interrupted_after(0.01):
            ending_things()
    assert Ending.interrupted > 0
    assert (heard, sys.unraisablehook) == ([], hook)


def test_what_is_lost_of_others_is_told_as_before(monkeypatch):
    """If it fails, errors in the destructors of the user's objects are silent where an edit was ended."""

    class Broken:
        def __del__(self):
            raise ValueError

    heard = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: heard.append(lost.exc_type))
    with interrupted_after(60):
        with pytest.raises(EndlessError), interrupted_after(0.01):
            turning()
        Broken()
    assert heard == [ValueError]


def test_an_interruption_that_comes_at_the_end_is_not_left_behind():
    """If it fails, code behind the block is interrupted, or the interpreter waits for what never comes."""
    for _ in range(8):
        try:
            with interrupted_after(0.001):
                time.sleep(0.001)
        except EndlessError:
            pass
    sys.setprofile(lambda *_: None)  # what is left behind shows as an endless loop where calls are traced
    try:
        assert (lambda: 7)() == 7
    finally:
        sys.setprofile(None)


def test_the_budget_ends_code_that_does_not_look_at_the_clock(monkeypatch):
    """If it fails, `--budget 30` does not end where an edit, or the loss itself, does not come back."""
    monkeypatch.setattr(clocks, "GRACE", 0.05)
    monkeypatch.setattr(clocks, "now", time.monotonic)
    with limited(clock := Clock(0.05)):
        turning()
    assert clock.is_up
