"""The read-out of the fast path against the loss and the products that it stands for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_core import softmax_cross_entropy, softmax_cross_entropy_backward
from lstm_core._readout import Readout
from tests.lstm_core.lstm_strategies import close, dtypes, magnitudes, normal, seeds


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 5), dtypes, magnitudes, seeds)
def test_it_is_the_loss_of_the_logits(
    N: int, H: int, V: int, dtype: np.dtype[np.floating], magnitude: float, seed: int
) -> None:
    """The loss of a model, or its gradients, would be those of another read-out."""
    rng = np.random.default_rng(seed)
    outputs, Wy, by = (normal(rng, shape, dtype) * dtype.type(magnitude) for shape in ((H, N), (H, V), (V,)))
    targets = rng.integers(0, V, N)
    readout = Readout(N, H, V, dtype)
    loss = readout.run(outputs, Wy, by, targets)
    expected, cache = softmax_cross_entropy(outputs.T @ Wy + by, targets)
    scale = 1 + magnitude**2
    assert isinstance(loss, float)
    close(np.array(loss, dtype), np.array(expected, dtype), scale=scale)
    rows = softmax_cross_entropy_backward(cache)
    of_outputs, of_Wy, of_by = readout.back(outputs, Wy, targets)
    close(of_outputs, Wy @ rows.T, scale=scale)
    close(of_Wy, outputs @ rows, scale=scale)
    close(of_by, rows.sum(axis=0), scale=scale)


@pytest.mark.parametrize(("V", "dtype", "within"), [(20_000, np.float32, 5e-7), (4000, np.float16, 5e-4)])
def test_many_logits_are_added_up_precisely(V: int, dtype: type, within: float) -> None:
    """The softmax of a large vocabulary would not add up to one, and every gradient be off by as much."""
    rng = np.random.default_rng(0)
    outputs, Wy = normal(rng, (3, 5), dtype), 0.1 * normal(rng, (3, V), dtype)
    readout, targets = Readout(5, 3, V, dtype), rng.integers(0, V, 5)
    readout.run(outputs, Wy.astype(dtype), np.zeros(V, dtype), targets)
    exact = readout._columns.astype(np.float64).sum(axis=0)
    np.testing.assert_allclose(readout._total, exact, rtol=within)


@pytest.mark.parametrize("large", [1e4, -1e4])
def test_large_logits_do_not_overflow(large: float) -> None:
    """The loss of a confident model would be infinite or not a number."""
    readout = Readout(1, 1, 2, np.float64)
    outputs, targets = np.array([[1.0]]), np.array([0])
    loss = readout.run(outputs, np.array([[large, 0.0]]), np.zeros(2), targets)
    assert loss == max(-large, 0.0)
    _, of_Wy, _ = readout.back(outputs, np.array([[large, 0.0]]), targets)
    np.testing.assert_array_equal(of_Wy, [[0.0, 0.0]] if large > 0 else [[-1.0, 1.0]])
