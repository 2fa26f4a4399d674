"""Single entries: all of a block, or the wrong ones of a block too large for that."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest

from gradcheck import Target, check
from gradcheck._comparing.comparer import Comparer
from gradcheck._comparing.wrong_entries import WrongEntries, find_wrong, narrow_to_failing, split_failing
from gradcheck._numeric.entries import assemble, difference_entries
from gradcheck._numeric.evaluator import Evaluator
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


def found(target: Target, seed: int = 0) -> tuple[WrongEntries, int]:
    """What splitting finds, and the derivatives that it took."""
    comparer = Comparer(evaluator(target), {"w": target.grads_at(target.values())["w"]}, seed)
    probe, asked = comparer.probe("w"), []
    wrong = find_wrong(
        lambda direction: asked.append(1) or probe(direction), comparer.gradients["w"], np.random.default_rng(seed)
    )
    return wrong, len(asked)


def scattered(shape: tuple[int, ...], count: int, seed: int) -> dict[tuple[int, ...], float]:
    """Errors of several sizes at random entries."""
    rng = np.random.default_rng(seed)
    flats = rng.choice(math.prod(shape), count, replace=False)
    return {tuple(map(int, np.unravel_index(flat, shape))): 10.0 ** -rng.uniform(0, 4) for flat in flats}


@pytest.mark.parametrize(
    ("shape", "count"),
    [*product([(10, 10), (100, 100)], [1, 2, 4, 8, 16]), ((1000, 1000), 1)],
)
def test_all_wrong_entries_of_many_are_found_by_splitting(shape: tuple[int, int], count: int) -> None:
    """Wrong entries in a large block would not be named, or cost as many losses as there are entries."""
    spoil = scattered(shape, count, seed=count)
    wrong, asked = found(bowl(shape, spoil)[0])
    assert {tuple(map(int, index)) for index in np.argwhere(wrong.mask)} == set(spoil)
    assert asked <= 2 * count * (math.ceil(math.log2(math.prod(shape) / count)) + 1)
    assert wrong.worst.index == max(spoil, key=spoil.__getitem__)
    assert wrong.worst.analytic - wrong.worst.numerical == pytest.approx(max(spoil.values()), rel=1e-6)


def test_splitting_works_where_only_real_numbers_do() -> None:
    """The bar of a real difference would be taken for an error, or hide one."""
    spoil = scattered((40, 50), 3, seed=1)
    target, _ = bowl((40, 50), spoil)
    problem = target.problem
    real = Target(problem.arrays, problem.loss, problem.grads)
    assert not real.takes_complex
    assert {tuple(map(int, index)) for index in np.argwhere(found(real)[0].mask)} == set(spoil)


@pytest.mark.parametrize(
    "part",
    [
        np.s_[7],
        np.s_[:, 5],
        np.s_[[3, 40, 41]],
        np.s_[:, 16:32],
        np.s_[:, 64:],
        np.s_[2:30, 48:],
        np.s_[:, [*range(16), *range(32, 48)]],
        np.s_[:],
    ],
)
def test_slices_of_an_axis_are_found(part: Any) -> None:
    """Many wrong entries would go by the name of one, though they are a row, or a gate."""
    shape, expected = (60, 80), np.zeros((60, 80), dtype=bool)
    expected[part] = True
    spoil = {tuple(map(int, index)): 0.1 + 0.01 * k for k, index in enumerate(np.argwhere(expected))}
    wrong, asked = found(bowl(shape, spoil)[0])
    assert np.array_equal(wrong.mask, expected)
    assert wrong.worst.index in spoil
    assert asked < 250


def test_a_check_splits_where_a_block_is_too_large() -> None:
    """A large wrong block would be differenced entry by entry."""
    target, _ = bowl((2, 1024), {(1, 7): -0.5})
    report = check(target, explain=False)
    assert report.blocks["w"].verdict == "wrong"
    assert report.blocks["w"].worst.index == (1, 7)
    assert report.blocks["w"].where == "right except at 1 of 2048 entries: [1, 7]"
    assert report.evaluations < 150


def test_a_full_check_splits_nothing() -> None:
    """What every entry's difference tells already would be asked for again."""
    wrong, right = (check(bowl((30, 50), spoil)[0], full=True) for spoil in ({(2, 3): 1.0}, {}))
    assert wrong.evaluations <= right.evaluations + 30
    assert "[2, 3]" in wrong.blocks["w"].where


def test_of_many_wrong_entries_a_large_one_is_found() -> None:
    """Where there are too many to name, a small error would be shown as the worst."""
    spoil = {(k, 3 * k): 1e-3 for k in range(20)} | {(40, 5): 0.5}
    assert found(bowl((64, 64), spoil)[0])[0].worst.index == (40, 5)


@pytest.mark.parametrize("seed", range(10))
def test_errors_that_cancel_are_told_apart_by_splitting(seed: int) -> None:
    """Two large errors side by side, which hide each other under half of all signs, would not be found."""
    spoil = {(3, 8): 1.0, (3, 9): -1.0, (50, 1): 0.1}
    wrong, _ = found(bowl((64, 64), spoil)[0], seed)
    assert {tuple(map(int, index)) for index in np.argwhere(wrong.mask)} == set(spoil)


def test_an_error_within_the_bar_is_not_named() -> None:
    """Entries would be accused that nobody can tell from right ones."""
    assert split_failing(lambda span: 3.0 if span[0] <= 5 < span[1] else 0.5, [(0, 8)]) == []
    assert split_failing(lambda span: 9.0 if span[0] <= 5 < span[1] else 0.5, [(0, 8)]) == [(5, 6)]


@pytest.mark.parametrize("wrong", [[], [0], [9], [4], [0, 9], [2, 3, 7], list(range(10))])
def test_the_extent_of_what_fails(wrong: list[int]) -> None:
    """A range would leave out its first or last index, or take in one too many."""

    def ratio(span: tuple[int, int]) -> float:
        return 10.0 * any(span[0] <= k < span[1] for k in wrong)

    assert narrow_to_failing(ratio, (0, 10)) == ([(min(wrong), max(wrong) + 1)] if wrong else [])


@pytest.mark.parametrize("full", [False, True])
def test_one_entry_of_a_network_a_thousandth_off(full: bool) -> None:
    """The single wrong entry of a recurrent network would be missed or misplaced."""
    model = Rnn(np.random.default_rng(0), bug="one entry")
    block = check(model.target(), full=full).blocks["W"]
    assert block.verdict == "wrong"
    assert block.worst.index == (1, 2)
    assert block.worst.analytic / block.worst.numerical == pytest.approx(1.001, rel=1e-9)
