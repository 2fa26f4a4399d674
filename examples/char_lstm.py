"""`lstm_core` under audit, exactly as a stranger's code would be: everything is right.

Two ways in, for the two things that have a gradient. ``char_lstm`` is a whole model: a loss, and gradients
by the names of its parameters. ``lstm_sequence`` is the recurrence alone, with no loss around it: every
output (all h, and the last h and c) gets a cotangent, and every argument (the inputs and the initial state
too) has its gradient checked::

    gradcheck check examples/char_lstm.py
    gradcheck check examples/char_lstm.py::lstm_sequence --size T=50
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import gradcheck
import lstm_core

Array: TypeAlias = NDArray[Any]


@gradcheck.target
def char_lstm(rng: np.random.Generator, *, T: int = 4, B: int = 2, V: int = 7, H: int = 5) -> gradcheck.Target:
    """CharLSTM on a window of T time steps, B texts side by side, V symbols, H hidden units."""
    model = lstm_core.CharLSTM(V, H, rng=rng)
    tokens, targets = rng.integers(V, size=(T, B)), rng.integers(V, size=(T, B))
    # Not zeros: after a zero state the recurrent weights have no gradient in a window of one step.
    state = rng.standard_normal((B, H)), rng.standard_normal((B, H))
    return gradcheck.Target(
        model.params,
        lambda: model.loss(tokens, targets, state),
        lambda: model.loss_and_grads(tokens, targets, state)[1],
        inputs={"tokens": tokens, "targets": targets},
        gates="ifgo",
        # many copies of one parameter at once: what makes a full check fast
        batched=lambda name, copies: model.losses(name, copies, tokens, targets, state),
    )


@gradcheck.target
def lstm_sequence(rng: np.random.Generator, *, T: int = 4, B: int = 2, D: int = 3, H: int = 5) -> gradcheck.Target:
    """lstm_forward and lstm_backward: all outputs, all arguments."""

    def forward(*arrays: Array) -> tuple[Any, Any]:
        h, last, cache = lstm_core.lstm_forward(*arrays)
        return (h, last), cache

    def backward(cotangents: Any, cache: Any) -> dict[str, Array]:
        dh, (dhT, dcT) = cotangents
        return lstm_core.lstm_backward(dh, dhT, dcT, cache)

    shapes = {"x": (T, B, D), "h0": (B, H), "c0": (B, H), "W": (D, 4 * H), "U": (H, 4 * H), "b": (4 * H,)}
    inputs = {name: rng.standard_normal(shape) / 2 for name, shape in shapes.items()}
    return gradcheck.Target.from_vjp(forward, backward, inputs, gates="ifgo")
