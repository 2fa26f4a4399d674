"""Checks in several threads: each says what it would say alone, and the process is as it was."""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import Target

pytestmark = pytest.mark.lines


def tanh_layer(seed: int) -> Target:
    """A layer whose backward has a wrong sign; all of them run the same functions."""
    rng = np.random.default_rng(seed)
    W, x = rng.standard_normal((3, 3)), rng.standard_normal((4, 3))
    print("a factory that prints")
    return Target({"W": W}, lambda: layer_loss(W, x), lambda: layer_grads(W, x))


def layer_loss(W: Any, x: Any) -> float:
    """The forward."""
    print("a loss that prints")
    return float(np.tanh(x @ W).sum())


def layer_grads(W: Any, x: Any) -> dict[str, Any]:
    """The backward, and its mistake."""
    h = np.tanh(x @ W)
    dz = np.empty_like(h)
    dz[:] = 1 + h**2
    return {"W": x.T @ dz}


def said(seed: int) -> dict[str, Any]:
    """What a check says, but for the time it took."""
    return {**gradcheck.check(tanh_layer(seed), seed=seed).to_dict(), "seconds": 0.0}


def process_state() -> tuple[Any, ...]:
    """What belongs to the whole process and has been exchanged by checks."""
    streams = sys.stdout, sys.stderr, sys.getprofile(), sys.gettrace(), tuple(sys.path)
    return *streams, np.empty, np.empty_like, np.geterr(), warnings.showwarning, list(warnings.filters)


def test_checks_in_threads_say_what_they_say_alone() -> None:
    """One would see what another has edited, and call a wrong gradient right."""
    alone, before, code = [said(seed) for seed in range(3)], process_state(), layer_grads.__code__
    assert [(one["verdict"], len(one["findings"]), len(one["patch"])) for one in alone] == [("wrong", 1, 1)] * 3
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(said, range(3))) == alone
    assert process_state() == before
    assert layer_grads.__code__ is code


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RecursionError, SystemExit])
@pytest.mark.parametrize("calls", [1, 30, 150])
def test_the_process_is_as_it_was_after_an_error_at_any_moment(error: type[BaseException], calls: int) -> None:
    """After Ctrl-C nothing would be printed any more, or np.empty would fill arrays with NaN."""
    before, code = process_state(), layer_grads.__code__
    left = [calls]
    subject = tanh_layer(0)

    def failing_loss() -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise error
        return subject.problem.loss()  # type: ignore[attr-defined]  # it has one

    kept = {name: array.copy() for name, array in subject.values().items()}
    failing = Target(subject.problem.arrays(), failing_loss, subject.problem.grads)  # type: ignore[attr-defined]
    with contextlib.suppress(KeyboardInterrupt, gradcheck.TargetError):  # where an edit is tried it may be an answer
        gradcheck.check(failing)
    assert left[0] <= 0
    assert process_state() == before
    assert layer_grads.__code__ is code
    for name, array in subject.values().items():
        assert np.array_equal(array, kept[name])


def test_a_check_beside_np_seterr_raise_says_what_it_says_without() -> None:
    """The checker's own overflows and divisions would end it, as if the user's code had raised."""
    plain = said(1)
    with np.errstate(all="raise"):
        assert said(1) == plain
        assert np.geterr()["over"] == "raise"


def test_a_thread_that_exchanges_filters_of_warnings_beside_a_check() -> None:
    """Its own filters would not count while the check runs, or what one of the two had set would stay for good."""
    before, itself, lost, rounds = list(warnings.filters), warnings.filters, [], []
    checked = threading.Event()

    def program() -> None:
        while not checked.is_set():
            with warnings.catch_warnings():
                warnings.simplefilter("error", FutureWarning)
                time.sleep(1e-4)
                with contextlib.suppress(FutureWarning):
                    warnings.warn("an error", FutureWarning, stacklevel=1)
                    lost.append(len(rounds))
            time.sleep(1e-4)
            rounds.append(1)

    with ThreadPoolExecutor(1) as pool:
        beside, seeds = pool.submit(program), itertools.count()
        try:
            while len(rounds) <= 10 and not beside.done():  # a busy machine gives the thread few turns in one check
                seed = next(seeds)
                gradcheck.check(tanh_layer(seed), seed=seed, explain=False)
        finally:
            checked.set()
        beside.result()
    assert not lost
    assert warnings.filters is itself
    assert warnings.filters == before


def test_a_loss_that_waits_for_a_check_in_another_thread_is_told() -> None:
    """The check would hang for ever."""
    w = np.ones(2)

    def loss() -> float:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(gradcheck.check, tanh_layer(0)).result()
        return float(w.sum())

    with pytest.raises(gradcheck.TargetError, match="wait for a thread that makes a check of its own"):
        gradcheck.check(Target({"w": w}, loss, lambda: {"w": np.ones(2)}))
