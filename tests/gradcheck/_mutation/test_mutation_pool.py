"""The order in which mutants are judged, and the time that there is for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import pytest

from gradcheck._mutation import mutation_pool
from gradcheck._mutation.mutation_pool import _Pool, _Queue

KILLED = ("killed", "wrong")


def test_mutants_come_in_order_until_the_time_is_up() -> None:
    """A budget would be ignored, or a mutant judged twice."""
    told: list[tuple[int, int]] = []
    queue = _Queue([2, 0, 1], None, lambda *done: told.append(done))
    assert queue.next() == 2
    queue.finish(2, ("killed", "wrong"))
    queue.deadline = time.perf_counter() - 1
    assert queue.next() is None
    assert queue.waiting == [0, 1]
    assert told == [(1, 3)]


class Workers:
    """Worker processes that one mutant ends."""

    def __init__(self, deadly: int) -> None:
        self.deadly, self.is_broken = deadly, False

    def submit(self, _: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """The result of a mutant, or what becomes of all once a worker has died."""
        future: Future[Any] = Future()
        self.is_broken = self.is_broken or arguments[-1] == self.deadly
        if self.is_broken:
            future.set_exception(BrokenProcessPool())
        else:
            future.set_result(KILLED)
        return future


@pytest.mark.parametrize("deadly", range(5))
def test_a_mutant_that_ends_its_worker_is_found_and_the_others_go_on(
    deadly: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another mutant would be blamed, or lost."""

    @contextmanager
    def workers(_: int) -> Any:
        yield Workers(deadly)

    monkeypatch.setattr(mutation_pool, "workers", workers)
    queue = _Queue([0, 1, 2, 3, 4], None, lambda *_: None)
    _Pool(queue, b"", False, 0, 1).judge()
    ended = {deadly: ("killed", "ends the process")}
    assert queue.results == {**dict.fromkeys(range(5), KILLED), **ended}
