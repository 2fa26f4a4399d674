"""Which of the user's functions run, told without disturbing a profiler of theirs."""

from __future__ import annotations

import cProfile
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from gradcheck._usercode.profiling import count_calls, count_returns, functions_run, run_profiled


def half(x: float) -> float:
    """A function of the user's."""
    return x / 2


def test_functions_come_in_the_order_of_their_first_call() -> None:
    """The forward and the backward could not be told apart."""

    def run() -> None:
        half(1.0)

    assert [code.co_name for code in functions_run(run)] == ["run", "half"]


def test_returns_and_calls_are_counted() -> None:
    """It could not be seen that a gradient is made of many losses."""
    result, seen = count_returns(lambda: half(4.0) + half(4.0) + half(2.0), lambda value: value)
    assert result == 5.0
    assert seen[half.__code__, 2.0] == 2
    assert count_calls(lambda: half(half(4.0)))[1].times[half.__code__] == 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_profiler_goes_on_after_an_error(error: type[BaseException]) -> None:
    """A run that is profiled would end without its profile."""

    def fail() -> None:
        raise error

    def profiler(*_: object) -> None:
        return None

    sys.setprofile(profiler)
    try:
        with pytest.raises(error):
            run_profiled(fail, profiler)
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)


def test_cprofile_goes_on() -> None:
    """Under cProfile, which is no function, everything would end in an error."""
    outer = cProfile.Profile()
    outer.enable()
    try:
        assert run_profiled(lambda: half(2.0), lambda *_: None) == 1.0
        half(3.0)
    finally:
        outer.disable()
    assert half.__code__ in {entry.code for entry in outer.getstats()}


def test_work_that_is_handed_on_is_told() -> None:
    """What runs in other threads and processes is not counted; nobody would know that it was not."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()  # its thread is there by now
        assert count_calls(lambda: pool.submit(half, 2.0).result())[1].handed_on == "ThreadPoolExecutor.submit"
    command = [sys.executable, "-c", ""]
    assert count_calls(lambda: subprocess.run(command, check=True))[1].handed_on == "Popen.__init__"
    assert count_calls(lambda: half(2.0))[1].handed_on == ""
