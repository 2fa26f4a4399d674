"""The law "independence": differences of the loss are no backward, and no backward is taken for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck import Target, check
from tests.gradcheck.networks import Rnn, rnn_backward, rnn_forward, vjp_target


def differences(params: Any, loss: Any, below: float) -> dict[str, Any]:
    """What a textbook calls a gradient check, handed in as the gradient."""
    grads = {}
    for name, array in params.items():
        grads[name] = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            before = array[index]
            array[index] = before + 1e-6
            above = loss()
            array[index] = before - below
            grads[name][index] = (above - loss()) / (1e-6 + below)
            array[index] = before
    return grads


@pytest.mark.parametrize("below", [0.0, 1e-6])
@pytest.mark.parametrize("weights", [lambda params: params, lambda params: lambda: params])
def test_the_loss_checked_against_itself(below: float, weights: Any) -> None:
    """Gradients that are differences of the loss would be called right, whatever the backward does."""
    rnn = Rnn(np.random.default_rng(0), bug="no carry")
    report = check(Target(weights(rnn.params), lambda: rnn.loss(), lambda: differences(rnn.params, rnn.loss, below)))
    assert not report.ok
    assert not report.laws["independence"].holds
    assert "grads() runs loss()" in report.laws["independence"].message
    if below:
        assert report.verdict == "vacuous"
        assert {block.verdict for block in report.blocks.values()} == {"right"}


def test_a_forward_checked_against_itself() -> None:
    """Differences of a forward would be called a right backward."""
    inputs = {"W": np.linspace(0.1, 1.0, 12).reshape(3, 4), "V": np.linspace(-1.0, 1.0, 12).reshape(4, 3)}

    def forward(W: Any, V: Any) -> Any:
        return np.tanh(W @ V), {"W": W, "V": V}

    def backward(dy: Any, cache: Any) -> Any:
        return differences(cache, lambda: np.sum(dy * forward(**cache)[0]), 1e-6)

    assert check(Target.from_vjp(forward, backward, inputs)).laws["independence"].breach == "vacuous"


def test_a_backward_is_independent() -> None:
    """A backward that runs its forward again would be taken for differences of it."""
    rng = np.random.default_rng(0)
    for target in (Rnn(rng).target(), Rnn(rng).real_target(), Rnn(rng).function_target(), vjp_target()):
        assert check(target).laws["independence"].holds


def test_a_backward_that_asks_a_helper_for_every_entry() -> None:
    """Loops over entries, in code whose loss is one expression, would be taken for differences of it."""
    x, params = np.linspace(-1.0, 1.0, 20), {"w": np.linspace(0.1, 1.0, 20)}

    def slope(z: Any) -> Any:
        return 1 - np.tanh(z) ** 2

    def loss() -> float:
        return float(np.sum(slope(params["w"] * x)))

    def grads() -> dict[str, Any]:
        pairs = zip(params["w"], x, strict=True)
        return {"w": np.array([-2 * np.tanh(w * at) * slope(w * at) * at for w, at in pairs])}

    report = check(Target(params, loss, grads))
    assert report.ok, str(report)


def test_a_forward_run_again_at_every_step() -> None:
    """A backward that saves memory by running the forward anew for each step would be taken for differences."""
    rng = np.random.default_rng(0)
    inputs = {name: rng.normal(size=shape) for name, shape in {"x": (9, 1, 1), "h0": (1, 1)}.items()}
    inputs |= {"W": rng.normal(size=(1, 1)), "U": rng.normal(size=(1, 1)), "b": rng.normal(size=1)}

    def backward(cotangents: Any, cache: Any) -> Any:
        x, hs, W, U = cache
        for t in range(len(x)):
            rnn_forward(x[:t], hs[0], W, U, np.zeros(1)) if t else None
        return rnn_backward(cotangents, cache)

    assert check(Target.from_vjp(rnn_forward, backward, inputs)).laws["independence"].holds
