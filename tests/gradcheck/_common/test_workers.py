"""Worker processes: what they print is no report, and what is raised beside them ends them at once."""

from __future__ import annotations

import multiprocessing
import signal
import time

import pytest

from gradcheck._common.workers import workers


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
