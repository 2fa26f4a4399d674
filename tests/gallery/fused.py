"""lstm_core itself, as its user would check it: the readable cell, and the fast sequence."""

from __future__ import annotations

import gradcheck
import lstm_core


def weights(rng, D, H):
    """W (D, 4H), U (H, 4H), b (4H,)."""
    return rng.standard_normal((D, 4 * H)), rng.standard_normal((H, 4 * H)), rng.standard_normal(4 * H)


@gradcheck.target
def cell(rng, *, B=2, D=3, H=4):
    """One time step."""
    W, U, b = weights(rng, D, H)
    state = {"h": rng.standard_normal((B, H)), "c": rng.standard_normal((B, H))}
    inputs = {"x": rng.standard_normal((B, D)), **state, "W": W, "U": U, "b": b}

    def forward(x, h, c, W, U, b):
        h, c, cache = lstm_core.cell_forward(x, h, c, W, U, b)
        return (h, c), cache

    def backward(cotangents, cache):
        return tuple(lstm_core.cell_backward(*cotangents, cache).values())

    return gradcheck.Target.from_vjp(forward, backward, inputs)


@gradcheck.target
def sequence(rng, *, T=4, B=2, D=3, H=5):
    """A whole sequence, with cotangents of every output."""
    W, U, b = weights(rng, D, H)
    inputs = {
        "x": rng.standard_normal((T, B, D)),
        "h0": rng.standard_normal((B, H)),
        "c0": rng.standard_normal((B, H)),
        "W": W,
        "U": U,
        "b": b,
    }

    def forward(x, h0, c0, W, U, b):
        h, (hT, cT), cache = lstm_core.lstm_forward(x, h0, c0, W, U, b)
        return (h, hT, cT), cache

    def backward(cotangents, cache):
        return lstm_core.lstm_backward(*cotangents, cache)

    return gradcheck.Target.from_vjp(forward, backward, inputs)
