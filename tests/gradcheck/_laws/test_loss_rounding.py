"""Gradients that carry the rounding of the loss are told from those that a backward adds up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck import Target
from gradcheck._comparing.comparer import Comparer
from gradcheck._laws.loss_rounding import LossRounding, find_loss_rounding
from gradcheck._numeric.evaluator import Evaluator
from gradcheck._numeric.gradients import parse_gradients
from gradcheck._targets.opening import opened
from tests.gradcheck.networks import Lstm, Rnn


def found(target: Target) -> tuple[LossRounding, int]:
    """What is told of a target, and how many losses it took."""
    with opened(target, 0):
        evaluator = Evaluator(target)
        gradients = parse_gradients(evaluator.raw_grads_here(), evaluator.base)[1]
        comparer = Comparer(evaluator, gradients, 0)
        comparer.given.measure_rounding(comparer.given.at(comparer.given.jittered_by_roundoffs()))
        before = evaluator.evaluations
        return find_loss_rounding(comparer), evaluator.evaluations - before


def squares(gradient: Any) -> Target:
    """A sum of squares and sines; its gradient is made by this function of the loss and the parameters."""
    params = {"w": np.random.default_rng(1).standard_normal(20)}

    def loss(w: Any) -> Any:
        return np.sum(np.sin(w) + w**2, axis=-1)

    return Target(params, lambda: float(loss(params["w"])), lambda: {"w": gradient(loss, params["w"])})


@pytest.mark.parametrize("step", [1e-3, 1e-4, 1e-5, 5e-5, 1e-6, 2.0**-18, np.finfo(float).eps ** (1 / 3)])
def test_differences_are_whole_numbers_of_the_last_digit(step: float) -> None:
    """Differences in one vectorised loss would be taken for a backward."""
    moves = step * np.eye(20)
    target = squares(lambda loss, w: (loss(w + moves) - loss(w - moves)) / (2 * step))
    assert found(target)[0].whole == ("w",)


def test_noise_of_another_kind_is_not_accused() -> None:
    """A backward that loses digits would be called a difference of the loss."""
    told, losses = found(squares(lambda _, w: np.cos(w) + 2 * w + 1e-9 * np.sin(1e17 * w)))
    assert not told.whole
    assert 1e-11 < told.noise < 1e-9
    assert losses <= 10


def test_steepness_is_no_noise() -> None:
    """A gradient that changes much over a hair, and smoothly, would be taken for rounding."""
    params = {"w": np.linspace(1.0, 2.0, 8)}
    target = Target(
        params, lambda: float(np.sum(np.exp(40 * params["w"]))), lambda: {"w": 40 * np.exp(40 * params["w"])}
    )
    assert found(target)[0] == LossRounding()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("make", [lambda rng: Rnn(rng).target(), lambda rng: Lstm(rng, T=8).target()])
def test_a_backward_carries_none_and_costs_nothing(make: Any, seed: int) -> None:
    """Right gradients would be suspected, and each check would cost ten backwards more."""
    assert found(make(np.random.default_rng(seed))) == (LossRounding(), 0)
