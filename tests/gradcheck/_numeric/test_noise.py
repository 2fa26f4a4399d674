"""The noise of a loss along a line, and how long a step may be, from losses at a few points."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from gradcheck._numeric.noise import MAX_STEP_STRETCH, measure_noise, measure_step_stretch, noise_at_distance


def noisy(size: float, seed: int) -> Callable[[float], float]:
    """A smooth loss with Gaussian noise of this size."""
    rng = np.random.default_rng(seed)
    return lambda t: math.sin(t) + size * float(rng.normal())


@pytest.mark.parametrize("size", [1e-12, 1e-6, 1.0])
def test_the_noise_is_measured_and_what_is_smooth_is_not(size: float) -> None:
    """The bar of a difference would not hold the noise, or hold the shape of the loss."""
    found = [noise_at_distance(noisy(size, seed), 1e-3) or 0.0 for seed in range(51)]
    assert 1.5 * size < np.median(found) < 6 * size


@pytest.mark.parametrize("loss", [lambda _: 1.0, lambda _: math.nan])
def test_a_loss_that_does_not_move_shows_no_noise(loss: Callable[[float], float]) -> None:
    """A constant would be taken for a loss without noise, where its noise is only smaller than a hair."""
    assert noise_at_distance(loss, 1e-3) is None
    assert measure_noise(loss, 1.0, 1e-16) is None


def test_few_finite_losses_tell_nothing() -> None:
    """Differences across the edge of a domain would be measured as noise."""
    assert noise_at_distance(lambda t: t if t < 0.35 else math.inf, 0.1) == 0.0


def test_the_distance_grows_until_the_loss_moves() -> None:
    """A loss in single precision would be taken for one without noise, as it does not move over a hair."""
    found = measure_noise(lambda t: float(np.float32(1 + t * t / 7 + t)), 1e-2, 1e-16)
    assert found is not None
    assert 1e-8 < found < 1e-6


def test_curvature_is_no_noise() -> None:
    """Near the edge of a domain the shape of the loss would be measured as noise, and hide every small error."""
    found = measure_noise(lambda t: -math.log(1e-4 + t), 0.1, 2e-15)
    assert found is not None
    assert found < 1e-12


def test_very_large_losses_raise_no_warning() -> None:
    """Where warnings are errors, a check of a loss near the largest float would end in one of NumPy's."""
    losses = iter([1e308, -1e308] * 4)
    assert noise_at_distance(lambda _: next(losses), 1.0) == math.inf


@pytest.mark.parametrize(
    ("loss", "noise", "expected"),
    [
        (lambda t: 3 + 2 * t, 0.0, 1.0),
        (lambda t: 3 + 2 * t, 1e-12, MAX_STEP_STRETCH),
        (lambda t: math.sin(30 * t), 1e-12, 1.0),
        (lambda t: math.nan * t, 1e-12, 1.0),
        (lambda _: 1.0, 0.0, 1.0),
    ],
)
def test_steps_are_as_long_as_the_loss_is_straight(
    loss: Callable[[float], float], noise: float, expected: float
) -> None:
    """Long steps would be taken into what bends; or short ones drown the slope of a straight loss in its rounding."""
    ends = [loss(t) for t in (0.125, -0.125, 0.0625, -0.0625)]
    assert measure_step_stretch(ends, noise) == expected


def test_a_bend_shortens_the_step_by_its_root() -> None:
    """The slope over the first step would change by another part than is meant."""
    cubic = lambda t: t + t**3  # noqa: E731
    stretched = measure_step_stretch([cubic(t) for t in (0.04, -0.04, 0.02, -0.02)], 0.0)
    assert stretched == pytest.approx(math.sqrt(5e-3 * cubic(0.02) / (3 * 0.02**3)), rel=1e-6)
