"""Softmax cross-entropy: against arithmetic written out, at extremes, and against the complex step."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_core import softmax_cross_entropy, softmax_cross_entropy_backward
from tests.lstm_core.lstm_strategies import Array, close, dtypes, magnitudes, normal, seeds

H_STEP = 1e-20


@st.composite
def likelihoods(draw: st.DrawFn) -> tuple[Array, Array]:
    """Logits (T, B, V) in double precision, and targets (T, B)."""
    T, B, V = (draw(st.integers(1, 5)) for _ in range(3))
    rng = np.random.default_rng(draw(seeds))
    return normal(rng, (T, B, V)) * draw(magnitudes), rng.integers(0, V, (T, B))


@given(likelihoods())
def test_the_loss_is_the_mean_negative_log_likelihood(drawn: tuple[Array, Array]) -> None:
    """The loss would be a sum, or of another base, or of another entry than the target."""
    logits, targets = drawn
    rows = zip(logits.reshape(-1, logits.shape[-1]).tolist(), targets.ravel().tolist(), strict=True)
    terms = [math.log(math.fsum(math.exp(a - row[y]) for a in row)) for row, y in rows]
    loss, _ = softmax_cross_entropy(logits, targets)
    assert type(loss) is float
    assert loss == pytest.approx(math.fsum(terms) / len(terms), rel=1e-12, abs=1e-14)


@given(likelihoods(), seeds)
def test_the_gradient_is_the_derivative_of_the_loss(drawn: tuple[Array, Array], seed: int) -> None:
    """The gradient would lack the division by T·B, or the one at the target."""
    logits, targets = drawn
    direction = normal(np.random.default_rng(seed), logits.shape)
    gradient = softmax_cross_entropy_backward(softmax_cross_entropy(logits, targets)[1])
    moved, _ = softmax_cross_entropy(logits + 1j * H_STEP * direction, targets)
    close(np.sum(gradient * direction), np.float64(complex(moved).imag / H_STEP), factor=100)


@given(likelihoods())
def test_the_gradient_of_a_row_sums_to_zero(drawn: tuple[Array, Array]) -> None:
    """The probabilities of a row would not sum to one."""
    gradient = softmax_cross_entropy_backward(softmax_cross_entropy(*drawn)[1])
    np.testing.assert_allclose(gradient.sum(axis=-1), 0, atol=1e-15)


@given(likelihoods(), st.sampled_from([-1e4, -1.0, 1e4]))
def test_a_common_shift_changes_nothing(drawn: tuple[Array, Array], shift: float) -> None:
    """The softmax would be computed without subtracting the maximum."""
    logits, targets = drawn
    logits = np.round(logits * 16) / 16  # so that adding the shift is exact
    loss, cache = softmax_cross_entropy(logits, targets)
    shifted_loss, shifted_cache = softmax_cross_entropy(logits + shift, targets)
    assert shifted_loss == loss
    np.testing.assert_array_equal(shifted_cache.probabilities, cache.probabilities)


@given(dtypes, st.booleans())
def test_logits_of_ten_thousand_are_no_problem(dtype: np.dtype[np.floating], right: bool) -> None:
    """A confident model, right or wrong, would overflow, or see -log 0."""
    logits = np.array([[1e4, -1e4, 0.0]], dtype)
    loss, cache = softmax_cross_entropy(logits, np.array([0 if right else 1]))
    assert loss == (0.0 if right else 2e4)
    expected = [[0.0, 0.0, 0.0]] if right else [[1.0, -1.0, 0.0]]
    np.testing.assert_array_equal(softmax_cross_entropy_backward(cache), expected)


@pytest.mark.parametrize("V", [1, 2, 65])
def test_no_preference_costs_the_logarithm_of_the_vocabulary(V: int) -> None:
    """The unit of the loss would not be nats per token."""
    loss, _ = softmax_cross_entropy(np.zeros((3, 2, V)), np.zeros((3, 2), int))
    assert loss == pytest.approx(math.log(V), rel=1e-15)


@given(dtypes)
def test_precision_is_kept(dtype: np.dtype[np.floating]) -> None:
    """Training in float32 would silently go on in float64."""
    _, cache = softmax_cross_entropy(np.ones((2, 3), dtype), np.zeros(2, int))
    assert softmax_cross_entropy_backward(cache).dtype == dtype


def test_arguments_and_cache_are_left_alone() -> None:
    """The caller's logits would change, or the backward would give something else the second time."""
    logits, targets = np.ones((2, 3)), np.zeros(2, int)
    logits.flags.writeable = False
    _, cache = softmax_cross_entropy(logits, targets)
    first = softmax_cross_entropy_backward(cache).copy()
    targets[:] = 1
    np.testing.assert_array_equal(softmax_cross_entropy_backward(cache), first)


@pytest.mark.parametrize(
    ("logits", "targets", "error", "message"),
    [
        (np.zeros((2, 3), int), np.zeros(2, int), TypeError, "logits has dtype int64"),
        (np.zeros(()), np.zeros((), int), ValueError, r"logits have shape \(\), expected \(..., V\)"),
        (np.zeros((0, 3)), np.zeros(0, int), ValueError, "no axis may be empty"),
        (np.zeros((2, 3)), np.zeros((2, 1), int), ValueError, r"targets has shape \(2, 1\), expected \(2,\)"),
        (np.zeros((2, 3)), np.zeros(2), TypeError, "targets has dtype float64, expected integers"),
        (np.zeros((2, 3)), [0, 1], TypeError, "targets is a list, expected a NumPy array"),
        (np.zeros((2, 3)), np.array([0, 3]), ValueError, "targets holds 3, expected 0 to 2"),
        (np.zeros((2, 3)), np.array([0, -1]), ValueError, "targets holds -1, expected 0 to 2"),
    ],
)
def test_what_does_not_fit_is_named(logits: Array, targets: Array, error: type[Exception], message: str) -> None:
    """A negative target would count from the end, or an array of another shape be broadcast."""
    with pytest.raises(error, match=message):
        softmax_cross_entropy(logits, targets)
