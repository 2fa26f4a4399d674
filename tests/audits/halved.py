"""A user's code around lstm_core, in a file of its own: what stands beside a fault is tried in its place."""

from __future__ import annotations

import numpy as np

import lstm_core
from gradcheck import Target


def halved():
    """A user's code around lstm_core, with one gradient spoiled."""
    rng = np.random.default_rng(0)
    model = lstm_core.CharLSTM(2, 1, rng=rng)
    tokens, labels = np.array([[0], [1]]), np.array([[1], [1]])
    state = (rng.standard_normal((1, 1)), rng.standard_normal((1, 1)))

    def grads():
        found = model.loss_and_grads(tokens, labels, state)[1]
        return {**found, "U": found["U"] * 0.5}

    return Target(model.params, lambda: model.loss(tokens, labels, state), grads)
