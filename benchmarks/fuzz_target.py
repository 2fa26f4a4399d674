"""What `fuzz.py` checks: a layer whose backward has a wrong sign, and a vector with many entries."""

from __future__ import annotations

from typing import Any

import numpy as np

import gradcheck

#: the line that is wrong
WRONG_LINE = "    return x.T @ (1 + h**2)\n"


def layer_forward(W: Any, x: Any) -> float:
    """The loss."""
    return float(np.tanh(x @ W).sum())


def layer_backward(W: Any, x: Any) -> Any:
    """The gradient of W, and its mistake."""
    h = np.tanh(x @ W)
    return x.T @ (1 + h**2)


@gradcheck.target
def layer(rng: np.random.Generator, *, B: int = 2, H: int = 3) -> gradcheck.Target:
    """One layer."""
    W, x = rng.standard_normal((H, H)), rng.standard_normal((B, H))
    return gradcheck.Target({"W": W}, lambda: layer_forward(W, x), lambda: {"W": layer_backward(W, x)})


@gradcheck.target
def wide(rng: np.random.Generator, *, N: int = 4000) -> gradcheck.Target:
    """A gradient that is right, of so many entries that they are shared out."""
    w = rng.standard_normal(N)
    return gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": 2 * w})
