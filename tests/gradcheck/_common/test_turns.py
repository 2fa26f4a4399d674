"""One check at a time in a process, whatever number of threads there is."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

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
