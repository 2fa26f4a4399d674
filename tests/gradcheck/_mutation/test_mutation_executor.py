"""Mutants on an executor's workers: the report is that of one process, whatever the executor loses."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import pytest

import gradcheck
from gradcheck._mutation import mutation_executor
from gradcheck._mutation.mutation_executor import judge_by
from tests.small_targets import CELL


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[gradcheck.TargetFactory]:
    """A target of a module that workers can import: they get the path of its file."""
    path = tmp_path_factory.mktemp("shared") / "shared_cell.py"
    path.write_text(CELL)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module.cell.with_sizes(N=3)
    del sys.modules[path.stem]


class Elsewhere(Executor):
    """Runs each task at once, as if it were another process; loses those that `loses` says, in that way."""

    def __init__(self, loses: Callable[[int], Exception | None] = lambda _: None) -> None:
        self.loses, self.count = loses, 0

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        """Run it, or fail."""
        future: Future[Any] = Future()
        self.count += 1
        error = self.loses(self.count)
        if isinstance(error, BrokenProcessPool):
            raise error
        try:
            if error is not None:
                raise error
            future.set_result(function(("elsewhere", 0), *arguments[1:], **keywords))
        except Exception as caught:
            future.set_exception(caught)
        return future


class KilledWorker(Exception):  # noqa: N818 - the name is what matters
    """As Dask calls it, which is not installed here."""


@pytest.fixture(scope="module")
def alone(cell: gradcheck.TargetFactory) -> gradcheck.MutationReport:
    """The report of one process."""
    return timeless(gradcheck.mutate(cell))


def timeless(report: gradcheck.MutationReport) -> gradcheck.MutationReport:
    """The report without what differs from run to run."""
    return replace(report, seconds=0.0)


def test_the_report_is_that_of_one_process(cell: gradcheck.TargetFactory, alone: gradcheck.MutationReport) -> None:
    """Workers would find something else, or the mutants not be shared out."""
    assert len(alone.mutations) > 5
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert timeless(gradcheck.mutate(cell, executor=pool)) == alone


def test_what_an_executor_loses_is_judged_here(cell: gradcheck.TargetFactory, alone: gradcheck.MutationReport) -> None:
    """A worker that is gone would lose an audit of an hour, or its mutant."""
    errors = KilledWorker("gone"), BrokenProcessPool("gone"), ConnectionError("gone")
    executor = Elsewhere(lambda count: errors[count // 2 % 3] if count % 2 else None)
    assert timeless(gradcheck.mutate(cell, executor=executor)) == alone
    assert executor.count > 5


def test_threads_are_refused(cell: gradcheck.TargetFactory) -> None:
    """An audit would wait for its own threads for ever, or two bugs be planted at once."""
    with ThreadPoolExecutor(2) as pool, pytest.raises(gradcheck.TargetError, match="workers that are other processes"):
        gradcheck.mutate(cell, executor=pool)


def test_an_error_of_the_users_code_is_told(cell: gradcheck.TargetFactory) -> None:
    """A file that a worker cannot import would be judged here in silence, mutant by mutant."""
    executor = Elsewhere(lambda _: gradcheck.TargetError("no such file"))
    with pytest.raises(gradcheck.TargetError, match="no such file"):
        gradcheck.mutate(cell, executor=executor)


def test_no_mutant_is_begun_when_the_time_is_up(cell: gradcheck.TargetFactory) -> None:
    """A budget would be ignored on a cluster."""
    executor = Elsewhere()
    report = gradcheck.mutate(cell, executor=executor, budget=0.0)
    assert executor.count == 0
    assert len(report.untried) == len(report.mutations)


@pytest.mark.parametrize(("name", "expected"), [("num_workers", 6), ("_max_workers", 6), ("unknown", 50)])
def test_so_many_are_handed_out_as_keep_the_workers_busy(
    name: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers would wait for work, or the budget be noticed after all mutants have been handed out."""

    class Slow(Elsewhere):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:  # type: ignore[override]
            waiting.append(future := Future[Any]())
            return future

    executor, waiting, left = Slow(), list[Future[Any]](), list(range(50))
    setattr(executor, name, 3)

    def wait(running: Any, return_when: str) -> Any:
        del return_when
        seen.append(len(running))
        for one in running:
            one.set_result(("killed", "wrong"))
        return done(running)

    seen: list[int] = []
    done = mutation_executor.wait
    monkeypatch.setattr(mutation_executor, "wait", wait)
    judged: list[int] = []
    judge_by(
        executor,
        lambda *_: ("killed", "wrong"),
        (b"", False, 0),
        lambda: left.pop() if left else None,
        lambda index, _: judged.append(index),
        lambda _: ("survived", ""),
    )
    assert max(seen) == expected
    assert sorted(judged) == list(range(50))
