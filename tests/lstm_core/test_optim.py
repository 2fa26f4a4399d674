"""The optimisers: against their definitions written out in scalars, and what they may not touch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_core import SGD, Adam, Optimizer, clip_by_global_norm, global_norm

finite = st.floats(-1e3, 1e3)
gradients = st.lists(finite, min_size=1, max_size=20)


@given(finite, gradients, st.floats(1e-4, 1.0), st.floats(0, 0.99), st.floats(0, 0.9999))
def test_adam_is_algorithm_one(p: float, grads: list[float], lr: float, beta1: float, beta2: float) -> None:
    """The running means, the bias correction or the place of epsilon would differ from the paper's."""
    params = {"p": np.array([p])}
    adam = Adam(params, lr=lr, betas=(beta1, beta2), eps=1e-8)
    m = v = 0.0
    for t, g in enumerate(grads, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        p -= lr * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + 1e-8)
        adam.step({"p": np.array([g])})
    assert params["p"][0] == pytest.approx(p, rel=1e-12, abs=1e-12)


def test_the_first_step_of_adam_is_the_learning_rate() -> None:
    """Without bias correction the first steps would be far too short."""
    params = {"p": np.array([1.0, 1.0])}
    Adam(params, lr=0.01).step({"p": np.array([1e-3, -1e3])})
    np.testing.assert_allclose(params["p"], [0.99, 1.01], rtol=1e-5)


@given(finite, gradients, st.floats(1e-4, 1.0))
def test_sgd_goes_down_the_gradient(p: float, grads: list[float], lr: float) -> None:
    """The step would have another sign or length than -lr times the gradient."""
    params = {"p": np.array([p])}
    sgd = SGD(params, lr=lr)
    for g in grads:
        sgd.step({"p": np.array([g])})
        p -= lr * g
    assert params["p"][0] == p


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_parameters_are_updated_in_place_and_gradients_left_alone(kind: type[Optimizer], dtype: type) -> None:
    """The model would go on with its old arrays, change precision, or the gradients would be overwritten."""
    param, grad = np.ones((2, 3), dtype), np.full((2, 3), 7, dtype)
    grad.flags.writeable = False
    params = {"p": param}
    kind(params, lr=0.1, clip=1.0).step({"p": grad})
    assert params["p"] is param
    assert (param < 1).all()
    assert param.dtype == dtype


@given(st.floats(0.01, 10), st.floats(0.01, 100))
def test_clipping_keeps_the_direction_and_bounds_the_norm(limit: float, size: float) -> None:
    """Clipping would work entry by entry or block by block, and turn the gradient."""
    grads = {"a": size * np.array([3.0, 0.0]), "b": size * np.array([[-4.0]])}
    clipped = clip_by_global_norm(grads, limit)
    factor = min(1.0, limit / (5 * size))
    for name, grad in grads.items():
        np.testing.assert_allclose(clipped[name], grad * factor, rtol=1e-12)


def test_a_small_gradient_is_handed_on_as_it_is() -> None:
    """Clipping would touch gradients within the limit."""
    grads = {"a": np.array([0.3, 0.4]), "b": np.zeros(3)}
    assert all(clip_by_global_norm(grads, 1.0)[name] is grads[name] for name in grads)
    assert clip_by_global_norm({"b": grads["b"]}, 1.0)["b"] is grads["b"]


def test_clipping_applies_to_the_step() -> None:
    """The limit given to an optimiser would have no effect."""
    params = {"p": np.zeros(2)}
    SGD(params, lr=1.0, clip=1.0).step({"p": np.array([30.0, 40.0])})
    np.testing.assert_allclose(params["p"], [-0.6, -0.8])


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_the_global_norm_neither_overflows_nor_underflows(size: float) -> None:
    """An exploding gradient would have the norm inf, and be scaled to zero rather than to the limit."""
    grads = {"a": np.array([3.0 * size]), "b": np.array([[4.0 * size]])}
    assert global_norm(grads) == pytest.approx(5 * size, rel=1e-14)


def test_the_global_norm_of_nothing_is_zero() -> None:
    """An empty mapping or an empty array would raise."""
    assert global_norm({}) == 0
    assert global_norm({"a": np.zeros(0)}) == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_is_named(bad: float) -> None:
    """nan would reach every parameter through the common factor, and the block it came from would be lost."""
    params = {"a": np.ones(2), "b": np.ones(2)}
    sgd = SGD(params, lr=1.0, clip=1.0)
    with pytest.raises(ValueError, match="the gradient of b is not finite"):
        sgd.step({"a": np.ones(2), "b": np.array([0.0, bad])})
    assert all((param == 1).all() for param in params.values())


@pytest.mark.parametrize(
    ("grads", "message"),
    [
        ({"a": np.ones(2)}, "gradients are for a, expected a, b: pass one for every parameter"),
        ({"a": np.ones(2), "b": np.ones(1)}, r"the gradient of b has shape \(1,\), expected \(2,\)"),
    ],
)
def test_gradients_that_do_not_fit_change_nothing(grads: dict[str, np.ndarray], message: str) -> None:
    """A parameter would be left out, or a gradient broadcast, or half of the parameters updated."""
    params = {"a": np.ones(2), "b": np.ones(2)}
    with pytest.raises(ValueError, match=message):
        Adam(params).step(grads)
    assert all((param == 1).all() for param in params.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, "the learning rate is 0.0, expected a positive number"),
        ({"lr": math.nan}, "the learning rate is nan"),
        ({"clip": -1.0}, "the gradient limit is -1.0"),
        ({"betas": (0.9, 1.0)}, r"betas are \(0.9, 1.0\), expected two numbers in \[0, 1\)"),
        ({"eps": -1e-8}, "eps is -1e-08"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, float], message: str) -> None:
    """A mistyped setting would train in the wrong direction, or not at all, without a word."""
    with pytest.raises(ValueError, match=message):
        Adam({"p": np.ones(1)}, **options)


def test_a_limit_that_is_not_positive_is_refused() -> None:
    """A limit of zero would stop the training without a word."""
    with pytest.raises(ValueError, match="the gradient limit is 0, expected a positive number"):
        clip_by_global_norm({}, 0)


def test_the_common_base_has_no_rule_of_its_own() -> None:
    """A subclass without an update rule would silently train nothing."""
    with pytest.raises(NotImplementedError):
        Optimizer({"p": np.ones(1)}, lr=1.0).step({"p": np.ones(1)})
