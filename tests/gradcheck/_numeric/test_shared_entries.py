"""Entries shared out to an executor: the same report, and errors that come back whole."""

from __future__ import annotations

import math
import multiprocessing
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gradcheck import GradientError, Target, TargetError, TargetFactory, UserCodeError, check
from gradcheck._numeric import shared_entries
from gradcheck._numeric.shared_entries import MAX_TASK_ENTRIES, TIMED_ENTRIES
from tests.gradcheck import networks


class Recording(Executor):
    """Runs each task at once, in this process, and keeps what was submitted."""

    def __init__(self) -> None:
        """Nothing was submitted yet."""
        self.tasks: list[tuple[Any, ...]] = []

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        """Run it."""
        self.tasks.append(arguments)
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **keywords))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    """One worker process, started afresh: nothing of this one is in it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


def timeless(report: Any) -> Any:
    """The report but for its duration."""
    return replace(report, seconds=0.0)


@pytest.mark.parametrize(
    "factory",
    [
        networks.right_rnn,
        networks.wrong_rnn,
        networks.real_rnn,
        networks.right_vjp,
        networks.batched,
        networks.batched_real,
    ],
)
def test_the_report_is_the_same(factory: TargetFactory) -> None:
    """A check would find something else when it is shared out."""
    executor = Recording()
    assert timeless(check(factory, full=True, executor=executor)) == timeless(check(factory, full=True))
    assert max(len(task[4]) for task in executor.tasks) <= MAX_TASK_ENTRIES
    sizes = [math.prod(b.shape) for b in check(factory).blocks.values()]
    assert sum(len(task[4]) for task in executor.tasks) == sum(max(size - TIMED_ENTRIES, 0) for size in sizes)


def test_other_processes(processes: Executor) -> None:
    """A factory could not be imported by workers, or its results not come back."""
    assert timeless(check(networks.right_rnn, full=True, executor=processes)) == timeless(
        check(networks.right_rnn, full=True)
    )


def test_threads_leave_the_process_as_it_was() -> None:
    """Workers that are threads would lose standard output, or leave a warning filter behind."""
    out, filters = sys.stdout, list(warnings.filters)
    with ThreadPoolExecutor(4) as executor:
        report = check(networks.right_rnn, full=True, executor=executor)
    assert sys.stdout is out
    assert warnings.filters == filters
    assert timeless(report) == timeless(check(networks.right_rnn, full=True))


def test_threads_take_turns() -> None:
    """Two threads would silence standard output at once, and one of them put the other's silence back for good."""
    networks.turns.clear()
    check(networks.watched)
    outside = len(networks.turns)
    assert not any(networks.turns)
    networks.turns.clear()
    check(networks.watched, full=True, executor=Recording())
    assert len(networks.turns) > outside
    assert any(networks.turns)
    assert all(networks.turns[networks.turns.index(True) :])


def test_an_error_in_a_worker_comes_back_whole(processes: Executor) -> None:
    """An error of the user's code would break the pool, or lose its place, on the way back."""
    with pytest.raises(
        UserCodeError, match=r"loss\(\) raised CustomError: \('in a worker', 3\) .*networks.py"
    ) as caught:
        check(networks.raising, full=True, executor=processes)
    assert "raise CustomError" in caught.value.traceback_text


def test_a_dead_worker_does_not_lose_the_check() -> None:
    """A worker that is killed, for want of memory say, would take with it all that was computed."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        report = check(networks.deadly, full=True, executor=executor)
    alone = check(networks.deadly, full=True)
    assert timeless(replace(report, notes=())) == timeless(replace(alone, notes=()))
    assert "the executor lost 1 of 1 tasks; this process ran them instead" in report.notes


class Forgetful(Recording):
    """Loses every other task in a way of its own."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        """Run it, or fail."""
        future = super().submit(function, *arguments, **keywords)
        if len(self.tasks) % 2:
            future = Future()
            future.set_exception(KilledWorker("gone"))
        return future


class KilledWorker(Exception):  # noqa: N818 - the name is what matters
    """As Dask calls it, which is not installed here."""


def test_executors_that_lose_tasks_in_their_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask tells of a worker that is gone by an exception that knows nothing of `concurrent.futures`."""
    monkeypatch.setattr("gradcheck._numeric.shared_entries.MAX_TASK_ENTRIES", 3)
    executor = Forgetful()
    report = check(networks.right_rnn, full=True, executor=executor)
    assert len(executor.tasks) > 4
    assert timeless(replace(report, notes=())) == timeless(check(networks.right_rnn, full=True))
    assert "the executor lost" in report.notes[0]


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
def test_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of a Dask cluster would find something else, or one that is killed lose the check."""
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install 'gradcheck[dask]'")
    monkeypatch.setattr("gradcheck._numeric.shared_entries.MAX_TASK_ENTRIES", 16)
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
    with cluster, distributed.Client(cluster) as client, client.get_executor() as executor:
        for factory in (networks.right_rnn, networks.wrong_rnn, networks.real_rnn):
            assert timeless(check(factory, full=True, executor=executor)) == timeless(check(factory, full=True))
        report = check(networks.deadly, full=True, executor=executor)
        assert timeless(replace(report, notes=())) == timeless(check(networks.deadly, full=True))
        assert "the executor lost 1 of 1 tasks; this process ran them instead" in report.notes


def test_an_executor_that_was_shut_down_is_refused() -> None:
    """A mistake of the caller's would look like a worker that is gone, and everything be made here in silence."""
    with ProcessPoolExecutor(1) as executor:
        executor.shutdown()
        with pytest.raises(RuntimeError, match="after shutdown"):
            check(networks.right_rnn, full=True, executor=executor)


def test_only_a_full_check_is_shared_out() -> None:
    """A check along directions would start workers for nothing."""
    executor = Recording()
    assert check(networks.right_rnn, executor=executor).ok
    assert executor.tasks == []


def test_a_factory_that_cannot_be_sent_is_refused() -> None:
    """A factory inside a function would fail in the worker, with a message about pickling."""
    with pytest.raises(TargetError, match=r"network cannot be sent to workers .* define it at the top of a module"):
        check(networks.factory(), full=True, executor=Recording())


def test_errors_survive_pickling() -> None:
    """An error would not come back from a worker, as its constructor takes more than a message."""
    report = check(networks.wrong_rnn)
    assert pickle.loads(pickle.dumps(GradientError(report))).report == report
    w = np.ones(1)
    with pytest.raises(UserCodeError) as caught:
        check(Target({"w": w}, lambda: 1 / 0, dict))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.what, again.place, again.traceback_text) == (
        str(caught.value),
        "loss()",
        caught.value.place,
        caught.value.traceback_text,
    )


def test_a_pool_that_waits_for_ever_for_a_dead_worker_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is killed while it sends a result would let the check wait for ever."""
    monkeypatch.setattr(shared_entries, "LOOK_SECONDS", 0.01)
    killed = []

    class Process:
        """One of the pool's."""

        def __init__(self, alive: bool) -> None:
            """`alive`: it was not killed."""
            self.is_alive = lambda: alive

        def kill(self) -> None:
            """End it."""
            killed.append(self)

    waiting: Future[Any] = Future()
    pool: Any = SimpleNamespace(_processes={1: Process(True), 2: Process(False)})
    with pytest.raises(BrokenExecutor):
        shared_entries._result(pool, waiting)
    assert len(killed) == 2
    finished: Future[Any] = Future()
    finished.set_exception(TimeoutError("of the user's own"))
    with pytest.raises(TimeoutError, match="of the user's own"):
        shared_entries._result(pool, finished)
