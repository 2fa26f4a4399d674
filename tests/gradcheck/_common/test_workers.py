"""Worker processes: what they print is no report, and what is raised beside them ends them at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest

from gradcheck._common.workers import CAN_FORK, ChildEndedError, run_in_copy, workers


def test_workers_are_other_processes_that_leave_ctrl_c_to_their_parent() -> None:
    """Ctrl-C would end in as many tracebacks as there are workers."""
    with workers(1) as pool:
        assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN


def test_what_a_worker_prints_is_no_report(capfd: pytest.CaptureFixture[str]) -> None:
    """A print in the user's code would stand in the middle of --json."""
    with workers(1) as pool:
        pool.submit(print, "from the user's code", flush=True).result()
    out, err = capfd.readouterr()
    assert out == ""
    assert "from the user's code" in err


def test_an_error_does_not_wait_for_what_workers_are_at() -> None:
    """After Ctrl-C the command would go on for as long as the slowest worker."""
    started = time.perf_counter()

    def interrupted() -> None:
        with workers(1) as pool:
            pool.submit(abs, 1).result()
            pool.submit(time.sleep, 60)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.perf_counter() - started < 30
    assert not multiprocessing.active_children()


@pytest.mark.skipif(not CAN_FORK, reason="processes cannot make copies of themselves here")
class TestCopies:
    """What is run in a copy of this process."""

    def test_its_result_comes_back_and_nothing_else(self) -> None:
        """What is run would change this process, or its result be cut off."""
        kept: list[int] = []
        assert len(run_in_copy(lambda: kept.append(1) or "x" * 10**6, 60.0)) == 10**6
        assert kept == []

    def test_one_that_dies_is_an_outcome(self) -> None:
        """This process would end with it, or wait for it for ever."""
        with pytest.raises(ChildEndedError) as error:
            run_in_copy(lambda: os.kill(os.getpid(), signal.SIGSEGV), 60.0)
        assert not error.value.is_late

    def test_one_that_raises_is_an_outcome(self) -> None:
        """An error of a process whose memory is in disorder would end the audit."""
        with pytest.raises(ChildEndedError):
            run_in_copy(lambda: 1 / 0, 60.0)

    def test_one_that_hangs_is_ended(self) -> None:
        """A mutant that hangs in C would never end."""
        with pytest.raises(ChildEndedError) as error:
            run_in_copy(signal.pause, 0.1)
        assert error.value.is_late
