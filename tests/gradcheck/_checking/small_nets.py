"""Small targets in a file of their own: edits that call a helper try every function of the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gradcheck
from gradcheck import Target


def network(during: Callable[[], object] = lambda: None) -> gradcheck.TargetFactory:
    """A wrong gradient of W, in one line; each loss does this besides."""

    @gradcheck.target
    def linear(rng: np.random.Generator, *, B: int = 3, D: int = 4) -> Target:
        params = {"W": rng.standard_normal((D, 2)), "b": rng.standard_normal(2)}
        x = rng.standard_normal((B, D))

        def loss() -> float:
            during()
            return float(np.sum(np.tanh(x @ params["W"] + params["b"]) ** 2))

        def grads() -> dict[str, Any]:
            h = np.tanh(x @ params["W"] + params["b"])
            dz = 2 * h * (1 - h**2)
            return {"W": -x.T @ dz, "b": dz.sum(0)}

        return Target(params, loss, grads)

    return linear


def squares(factor: float) -> Target:
    """The loss is the sum of the squares."""
    params = {"w": np.arange(1.0, 4.0)}
    return Target(params, lambda: float(np.sum(params["w"] ** 2)), lambda: {"w": factor * params["w"]})
