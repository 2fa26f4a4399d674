"""Single entries: all of a block, or the worst one of a block too large for that."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gradcheck import Target, check
from gradcheck._evaluate import Evaluator
from gradcheck._locate import assemble, difference_entries, find_entries
from tests.gradcheck.networks import Rnn


def bowl(shape: tuple[int, ...], spoil: dict[tuple[int, ...], float]) -> tuple[Target, Any]:
    """loss = sum of sin w, with errors added to single entries of its gradient."""
    params = {"w": np.random.default_rng(0).normal(size=shape)}

    def grads() -> dict[str, Any]:
        gradient = np.cos(params["w"])
        for index, error in spoil.items():
            gradient[index] += error
        return {"w": gradient}

    return Target(params, lambda: np.sin(params["w"]).sum(), grads), np.cos(params["w"])


def evaluator(target: Target) -> Evaluator:
    """An evaluator that knows the loss."""
    made = Evaluator(target)
    made.loss_value = float(made.raw_loss())
    return made


def test_every_entry_of_a_block() -> None:
    """Entries would be differenced in another order than they are put together."""
    target, true = bowl((2, 3, 4), {})
    entries = difference_entries(evaluator(target), "w")
    assert np.all(np.abs(entries.values - true) <= entries.errors + 1e-15)
    assert not entries.kinks.any()


def test_entries_of_a_scalar_and_of_nothing() -> None:
    """A 0-d parameter or an empty one would not fit."""
    assert assemble((), [(1.0, 2.0, 3.0)]).errors.shape == ()
    assert assemble((0, 3), []).values.shape == (0, 3)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("index", [(0, 0), (3, 2), (5, 6)])
def test_the_worst_entry_and_both_its_values(index: tuple[int, int], full: bool) -> None:
    """The report would name another entry than the wrong one, or swap analytic and numerical."""
    target, true = bowl((6, 7), {index: 0.25, (1, 1): 0.1})
    worst = check(target, full=full).blocks["w"].worst
    assert worst is not None
    assert worst.index == index
    assert worst.analytic == true[index] + 0.25
    assert worst.numerical == pytest.approx(true[index], rel=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_one_wrong_entry_of_thousands_is_found_by_halving(seed: int) -> None:
    """A wrong entry in a large block would not be named, or cost as many losses as there are entries."""
    index = tuple(int(i) for i in np.random.default_rng(seed).integers(0, 64, 2))
    target, _ = bowl((64, 64), {index: 1e-3})
    asked = evaluator(target)
    worst = find_entries(asked, target.grads_at(target.values())["w"], "w", np.random.default_rng(seed))
    assert worst.index == index
    assert worst.analytic - worst.numerical == pytest.approx(1e-3, rel=1e-6)
    assert asked.evaluations < 30 * math.log2(64 * 64)


def test_a_check_halves_where_a_block_is_too_large() -> None:
    """A large wrong block would be differenced entry by entry."""
    target, _ = bowl((2, 1024), {(1, 7): -0.5})
    report = check(target, explain=False)
    assert report.blocks["w"].verdict == "wrong"
    assert report.blocks["w"].worst.index == (1, 7)
    assert report.evaluations < 300


def test_of_several_wrong_entries_a_large_one_is_found() -> None:
    """Halving would follow the small errors."""
    spoil = {(k, 3 * k): 1e-3 for k in range(20)} | {(40, 5): 0.5}
    target, _ = bowl((64, 64), spoil)
    gradient = target.grads_at(target.values())["w"]
    assert find_entries(evaluator(target), gradient, "w", np.random.default_rng(0)).index == (40, 5)


@pytest.mark.parametrize("seed", range(10))
def test_errors_that_cancel_are_told_apart_by_halving(seed: int) -> None:
    """Two large errors side by side, which hide each other under half of all signs, would lose to a small one."""
    target, _ = bowl((64, 64), {(3, 8): 1.0, (3, 9): -0.99, (50, 1): 0.1})
    gradient = target.grads_at(target.values())["w"]
    assert find_entries(evaluator(target), gradient, "w", np.random.default_rng(seed)).index == (3, 8)


@pytest.mark.parametrize("full", [False, True])
def test_one_entry_of_a_network_a_thousandth_off(full: bool) -> None:
    """The single wrong entry of a recurrent network would be missed or misplaced."""
    model = Rnn(np.random.default_rng(0), bug="one entry")
    block = check(model.target(), full=full).blocks["W"]
    assert block.verdict == "wrong"
    assert block.worst.index == (1, 2)
    assert block.worst.analytic / block.worst.numerical == pytest.approx(1.001, rel=1e-9)
