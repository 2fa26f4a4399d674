"""Large directions are drawn in another way than small ones: both are normal, and the same each time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradcheck._common.drawing import LARGE, gaussian, signs


@pytest.mark.parametrize("size", [LARGE, LARGE + 1, 300_001])
def test_numbers_are_normal(size: int) -> None:
    """What the report promises to see would be wrong: it follows from how often a normal number is small."""
    drawn = gaussian(np.random.default_rng(1), (size,))
    assert drawn.dtype == (np.float64 if size <= LARGE else np.float32)
    assert np.all(np.isfinite(drawn))
    for bound in (0.01, 0.1, 0.5, 1.0, 2.0, 3.0):
        expected = math.erf(bound / math.sqrt(2))
        spread = math.sqrt(expected * (1 - expected) / size)
        assert abs(np.mean(np.abs(drawn) < bound) - expected) < 5 * spread
    assert abs(np.mean(drawn)) < 5 / math.sqrt(size)
    half = size // 2
    assert abs(np.corrcoef(drawn[:half], drawn[half : 2 * half])[0, 1]) < 5 / math.sqrt(half)


@pytest.mark.parametrize("shape", [(3,), (200, 300), ()])
def test_the_same_generator_draws_the_same_numbers(shape: tuple[int, ...]) -> None:
    """The same seed would give another report."""
    first, second = (gaussian(np.random.default_rng(2), shape) for _ in range(2))
    assert np.shape(first) == shape
    assert np.array_equal(first, second)


def test_signs_are_both() -> None:
    """Parameters would all be moved to one side when rounding is measured."""
    drawn = signs(np.random.default_rng(0), (40, 50))
    assert set(drawn.ravel().tolist()) == {-1, 1}
    assert abs(int(drawn.sum())) < 5 * math.sqrt(drawn.size)
