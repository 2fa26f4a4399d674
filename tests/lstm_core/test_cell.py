"""One time step: against arithmetic written out, against the complex step, and at its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_core import cell_backward, cell_forward, sigmoid
from tests.lstm_core.lstm_strategies import Array, Problem, close, doubles, normal, problem, problems, seeds

H_STEP = 1e-20


def one_step(drawn: Problem) -> tuple[Array, ...]:
    """The arguments of a single step, in the order of ``cell_forward``."""
    return (drawn.x[0], *drawn[1:])


@given(st.floats(-700, 700))
def test_sigmoid_is_the_logistic_function(z: float) -> None:
    """The gates would squash by another function than the one documented."""
    both_round = 2 * float(np.finfo(np.float64).eps)  # each side is a few roundings from the truth
    assert float(sigmoid(np.array(z))) == pytest.approx(1 / (1 + math.exp(-z)), abs=both_round)


@pytest.mark.parametrize("z", [-1e4, 1e4, -1e308, 1e308])
def test_sigmoid_saturates_without_overflow(z: float) -> None:
    """A large pre-activation would warn or give nan instead of an open or closed gate."""
    assert sigmoid(np.array(z)) == (z > 0)


def test_a_step_by_hand() -> None:
    """The equations, the order of the gates or the order of the states would have changed."""
    x, h_prev, c_prev = 0.5, -0.25, 0.75
    W, U, b = [0.1, -0.2, 0.3, 0.4], [0.5, 0.6, -0.7, 0.8], [0.01, 1.0, -0.03, 0.04]
    z = [x * W[k] + h_prev * U[k] + b[k] for k in range(4)]
    i, f, o = (1 / (1 + math.exp(-z[k])) for k in (0, 1, 3))
    c = f * c_prev + i * math.tanh(z[2])
    actual = cell_forward(*(np.array(a, ndmin=2) for a in (x, h_prev, c_prev, W, U)), np.array(b))
    assert [float(a[0, 0]) for a in actual[:2]] == pytest.approx([o * math.tanh(c), c], rel=1e-15)


def test_a_closed_input_and_an_open_forget_gate_keep_the_cell() -> None:
    """The forget gate would be applied to something other than the cell state before the step."""
    x, h, c, W, U, b = one_step(problem(1, 3, 2, 4))
    b = np.repeat([-200.0, 200.0, 0.0, 0.0], 4)
    _, kept, _ = cell_forward(x, h, c, W, U, b)
    np.testing.assert_array_equal(kept, c)


@settings(deadline=None)
@given(doubles, seeds)
def test_the_backward_is_the_derivative_of_the_forward(drawn: Problem, seed: int) -> None:
    """A factor, a sign or a term of the hand-written gradient would be wrong."""
    arguments = one_step(drawn)
    rng = np.random.default_rng(seed)
    dh, dc = normal(rng, drawn.h0.shape), normal(rng, drawn.h0.shape)
    grads = cell_backward(dh, dc, cell_forward(*arguments)[2])
    for k, name in enumerate(("x", "h", "c", "W", "U", "b")):
        direction = normal(rng, arguments[k].shape)
        moved = [a + (1j * H_STEP * direction if j == k else 0) for j, a in enumerate(arguments)]
        h, c, _ = cell_forward(*moved)
        expected = np.sum(dh * h.imag + dc * c.imag) / H_STEP
        close(np.sum(grads[name] * direction), expected, scale=1 + float(np.abs(drawn.U).max()))


@given(problems(min_B=2))
def test_the_step_treats_each_row_of_the_batch_alone(drawn: Problem) -> None:
    """One sequence of a batch would leak into another."""
    x, h, c, *weights = one_step(drawn)
    whole = cell_forward(x, h, c, *weights)
    alone = cell_forward(x[1:2], h[1:2], c[1:2], *weights)
    for all_rows, row in zip(whole[:2], alone[:2], strict=True):
        close(row, all_rows[1:2], scale=30.0)


@pytest.mark.parametrize(
    ("position", "value", "error", "message"),
    [
        (0, np.zeros(2), ValueError, r"x has shape \(2,\), expected 2 axes \(B, D\)"),
        (0, np.zeros((0, 2)), ValueError, r"x has shape \(0, 2\), expected no empty axis"),
        (0, np.zeros((3, 2), int), TypeError, "x has dtype int64, expected floating or complex"),
        (1, np.zeros((3, 5)), ValueError, r"h_prev has shape \(3, 5\), expected \(3, 4\), which is \(B, H\)"),
        (2, np.zeros((2, 4)), ValueError, r"c_prev has shape \(2, 4\), expected \(3, 4\)"),
        (3, np.zeros((2, 8)), ValueError, r"W has shape \(2, 8\), expected \(2, 16\), which is \(D, 4H\)"),
        (4, np.zeros((4, 12)), ValueError, r"U has shape \(4, 12\), expected \(4, 16\), which is \(H, 4H\)"),
        (5, np.zeros(4), ValueError, r"b has shape \(4,\), expected \(16,\)"),
    ],
)
def test_what_does_not_fit_is_named(position: int, value: Array, error: type[Exception], message: str) -> None:
    """A wrong argument would broadcast in silence, or fail with a message that names no argument."""
    arguments = list(one_step(problem(1, 3, 2, 4)))
    arguments[position] = value
    with pytest.raises(error, match=message) as caught:
        cell_forward(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["dh", "dc"])
def test_a_cotangent_that_does_not_fit_is_named(name: str) -> None:
    """A cotangent of one row would be broadcast over the batch and give a wrong gradient."""
    cache = cell_forward(*one_step(problem(1, 3, 2, 4)))[2]
    cotangents = {"dh": np.ones((3, 4)), "dc": np.ones((3, 4)), name: np.ones((1, 4))}
    with pytest.raises(ValueError, match=rf"{name} has shape \(1, 4\), expected \(3, 4\)"):
        cell_backward(**cotangents, cache=cache)
