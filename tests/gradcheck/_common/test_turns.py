"""One check at a time in a process, whatever number of threads there is."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gradcheck._common import turns
from gradcheck._common.errors import TargetError
from gradcheck._common.turns import in_turn, turns_taken


def test_threads_take_turns_and_one_may_take_two() -> None:
    """One thread would see what another has edited; or a check that makes a check would wait for itself for ever."""
    inside, most = [], []

    @in_turn
    def one(depth: int = 1) -> None:
        inside.append(threading.get_ident())
        most.append(len(set(inside)))
        if depth:
            one(depth - 1)
        threading.Event().wait(0.01)
        inside.pop()

    before = turns_taken()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: one(), range(8)))
    assert set(most) == {1}
    assert turns_taken() - before == 16


def test_arithmetic_is_quiet_meanwhile_and_strict_again_afterwards() -> None:
    """With np.seterr(all="raise") the checker's own arithmetic would raise; or the user's would no longer."""

    @in_turn
    def divided() -> float:
        return float(np.float64(1.0) / np.float64(0.0))

    with np.errstate(all="raise"):
        assert divided() == np.inf
        with pytest.raises(FloatingPointError):
            np.float64(1.0) / np.float64(0.0)


def _by_a_future(function: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(function).result()


def _by_a_map(function: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        list(pool.map(lambda _: function(), range(1)))


def _by_a_thread(function: Callable[[], None]) -> None:
    raised: list[BaseException] = []

    def caught() -> None:
        try:
            function()
        except TargetError as error:
            raised.append(error)

    thread = threading.Thread(target=caught)
    thread.start()
    thread.join()
    raise raised[0]


@pytest.mark.parametrize("wait", [_by_a_future, _by_a_map, _by_a_thread])
def test_a_turn_that_cannot_come_is_an_error(wait: Callable[[Callable[[], None]], None]) -> None:
    """A loss that waits for a thread that makes a check would hang for ever, and nobody would know why."""

    @in_turn
    def inner() -> None:
        raise AssertionError

    @in_turn
    def outer() -> None:
        wait(inner)

    with pytest.raises(TargetError, match="wait for a thread that makes a check of its own"):
        outer()
    in_turn(lambda: None)()


def test_a_turn_that_comes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check would be refused since another one takes long, though nobody waits for it; or waits for a time alone."""
    monkeypatch.setattr(turns, "LOOK_AFTER", 0.01)
    done: list[str] = []

    @in_turn
    def inner() -> None:
        done.append("inner")

    @in_turn
    def outer() -> None:
        threads.append(threading.Thread(target=inner))
        threads[0].start()
        threads[0].join(timeout=0.1)
        threading.Event().wait(0.1)
        done.append("outer")

    threads: list[threading.Thread] = []
    outer()
    threads[0].join()
    assert done == ["outer", "inner"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_that_is_forked_in_somebody_elses_turn_has_one_of_its_own() -> None:
    """A process forked beside a check would wait for ever for a thread that it does not have."""
    is_in, may_go = threading.Event(), threading.Event()

    @in_turn
    def hold() -> None:
        is_in.set()
        may_go.wait(10)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        is_in.wait(10)
        child = os.fork()
        if not child:
            threading.Timer(10, os._exit, (1,)).start()
            in_turn(os._exit)(0)
        may_go.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
