"""Worker processes: what they print is no report, and what is raised beside them ends them at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest

from gradcheck._common.workers import CAN_FORK, ChildEndedError, run_in_copy, workers


def test_workers_are_other_processes_that_leave_ctrl_c_to_their_parent() -> None:
    """Ctrl-C would end in as many tracebacks as there are workers."""
    with workers(1) as pool:
        assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN


def test_workers_have_the_environment_of_their_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set while they begin would stay set, and change what the user's code starts."""
    for before in (None, "", "1"):
        monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
        if before is not None:
            monkeypatch.setenv("PYTHONSAFEPATH", before)
        with workers(1) as pool:
            assert pool.submit(os.getenv, "PYTHONSAFEPATH").result() == before
        assert os.getenv("PYTHONSAFEPATH") == before


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


def _stay(is_deaf: Path) -> None:
    """Leave the pool's request to end unheard, as a worker that has only begun does; tell so by a file."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    is_deaf.touch()
    time.sleep(600)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_pool_that_has_lost_a_worker_waits_for_no_other(tmp_path: Path) -> None:
    """A check with --jobs would never end if one of its workers is killed at the wrong moment."""
    started = time.perf_counter()
    with workers(2) as pool:
        staying = pool.submit(_stay, tmp_path / "deaf")
        victim = pool.submit(os.getpid).result()
        while not (tmp_path / "deaf").exists():
            time.sleep(0.01)
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(BrokenExecutor):
            staying.result()
    assert time.perf_counter() - started < 60  # it stays for ten minutes otherwise
    assert not multiprocessing.active_children()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [0, 1])
def test_a_worker_that_dies_at_the_end_keeps_nobody_waiting(number: int) -> None:
    """All was done, and the command would not end: who waits for work holds what the others wait for."""
    started = time.perf_counter()
    with workers(2) as pool:
        pids = sorted({one.result() for one in [pool.submit(_own_number, 0.5) for _ in range(2)]})
        os.kill(pids[number % len(pids)], signal.SIGKILL)
    assert time.perf_counter() - started < 60
    assert not multiprocessing.active_children()


def _own_number(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


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


PARENT = """\
import sys, time
from gradcheck._common.workers import workers

if __name__ == "__main__":
    with workers(2) as pool:
        for _ in range(2):
            pool.submit(print, "at work", file=None, flush=True)
        pool.submit(time.sleep, 0.1).result()
        pool.submit(time.sleep, 600)
        print("ready", file=sys.stderr, flush=True)
        time.sleep(600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_workers_do_not_outlive_their_parent(sent: signal.Signals, tmp_path: Path) -> None:
    """A check that a CI job kills would leave processes behind, busy or waiting for ever."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    while process.stderr.readline() != "ready\n":
        assert process.poll() is None
    process.send_signal(sent)
    process.communicate(timeout=60)  # to the end of standard error, which every worker holds open
    assert process.returncode == -sent


COPYING = """\
import sys, time
from gradcheck._common.workers import run_in_copy

def hang():
    print("ready", file=sys.stdout, flush=True)
    time.sleep(600)

run_in_copy(hang, 600.0)
"""


@pytest.mark.skipif(not CAN_FORK, reason="processes cannot make copies of themselves here")
def test_a_copy_does_not_outlive_its_parent(tmp_path: Path) -> None:
    """A mutant that hangs would go on for ever where the audit is killed."""
    script = tmp_path / "copying.py"
    script.write_text(COPYING)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate(timeout=60)  # to the end of standard output, which the copy holds open
