"""The time for work that may be cut short."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from functools import partial
from operator import getitem

import pytest

from gradcheck._common import clock
from gradcheck._common.clock import Clock, TimeUpError, current_clock, limited, look


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [0.0]
    monkeypatch.setattr(clock, "now", partial(getitem, now, 0))
    return now


def test_without_a_clock_nothing_ends(time: list[float]) -> None:
    """A check that nobody limits would be cut short."""
    time[0] = 1e9
    look()
    assert math.isinf(current_clock().left)


def test_a_block_ends_when_its_time_is_up(time: list[float]) -> None:
    """The search would go on, or its end would be an error."""
    mine, done = Clock(2.0), []
    with limited(mine):
        for second in range(5):
            time[0] = float(second)
            look()
            done.append(second)
    assert done == [0, 1]
    assert mine.is_up
    assert not mine.is_interrupted


def test_code_that_catches_every_error_does_not_go_on(time: list[float]) -> None:
    """A search that takes errors for wrong edits would try all the others after the time was up."""
    done = []
    with limited(Clock(1.0)):
        time[0] = 1.0
        with contextlib.suppress(Exception):
            look()
        done.append("went on")
    assert not done


def test_a_part_ends_with_the_whole(time: list[float]) -> None:
    """A stage would have more time than there is."""
    whole = Clock(2.0)
    part = Clock(10.0, whole)
    assert part.left == 2.0
    time[0] = 2.0
    assert part.is_up


def test_a_part_that_is_up_leaves_time_for_the_rest(time: list[float]) -> None:
    """What comes after the first stage would never be tried."""
    whole, done = Clock(2.0), []
    with limited(whole):
        with limited(Clock(1.0, whole)):
            time[0] = 1.0
            look()
        look()
        done.append("the rest")
        time[0] = 2.0
        look()
        done.append("too late")
    assert done == ["the rest"]


@pytest.mark.usefixtures("time")
def test_ctrl_c_ends_the_whole() -> None:
    """Ctrl-C would end one stage, and the next would begin; or it would be lost that it was Ctrl-C."""
    whole, done = Clock(), []
    with limited(whole):
        with limited(Clock(1.0, whole)):
            raise KeyboardInterrupt
        look()
        done.append("went on")
    assert not done
    assert whole.is_interrupted


@pytest.mark.usefixtures("time")
def test_ctrl_c_on_the_way_into_a_block_ends_it_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C a moment before the search begins would be an error of the checker's, and the verdict lost."""

    @contextlib.contextmanager
    def interrupted(*_: object) -> Iterator[None]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(clock, "interrupted_when", interrupted)
    whole, done = Clock(5.0), []
    with limited(whole):
        look()
        done.append("went on")
    assert not done
    assert whole.is_interrupted


def test_errors_are_not_kept(time: list[float]) -> None:
    """An error of the search would be taken for want of time; or the clock would stay in place."""
    with pytest.raises(ZeroDivisionError), limited(Clock(1.0)):
        raise ZeroDivisionError
    time[0] = 5.0
    look()
    with pytest.raises(TimeUpError):
        Clock(0.0).look()


def test_time_in_which_others_are_at_work_counts_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search would be cut short because a machine is busy, or never end where the code waits by itself."""
    wall, own, kept = [0.0], [0.0], [0.0]
    monkeypatch.setattr(clock.time, "monotonic", partial(getitem, wall, 0))
    monkeypatch.setattr(clock.time, "process_time", partial(getitem, own, 0))
    monkeypatch.setattr(clock, "Kept", lambda: partial(getitem, kept, 0))
    seconds = clock.ComputingTime()
    for passed, worked, by_others, counted in (
        (1.0, 1.0, 0.0, 1.0),
        (2.0, 1.5, 0.5, 1.5),
        (4.0, 0.0, 0.0, 4.0),  # it waited
        (4.0, 0.0, 1.0, 3.0),
        (8.0, 1.0, 7.0, 4.0),
        (4.0, 1.0, math.inf, 2.0),  # nobody knows
        (1.0, 8.0, 0.0, 1.0),
    ):
        before = seconds()
        wall[0], own[0], kept[0] = wall[0] + passed, own[0] + worked, by_others
        assert seconds() - before == pytest.approx(counted)
