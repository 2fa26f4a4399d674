"""A layer in the style of many courses: ``forward(...) -> (out, cache)``, ``backward(dout, cache) ->
gradients``.

Such a pair is checked as it stands, with no loss written for it: `gradcheck.Target.from_vjp` takes the two
functions and the arrays, draws the cotangents of the output itself, and judges the gradients in the order
of the arguments.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import gradcheck

Array: TypeAlias = NDArray[Any]
Cache: TypeAlias = tuple[Array, ...]


def rnn_forward(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, Cache]:
    """h_t = tanh(x_t Wx + h_(t-1) Wh + b) over x (T, B, D) from h0 (B, H); all of them, (T, B, H)."""
    h = np.empty((len(x), *h0.shape), np.result_type(x, h0, Wx, Wh, b))
    previous = h0
    for t in range(len(x)):
        previous = h[t] = np.tanh(x[t] @ Wx + previous @ Wh + b)
    return h, (x, h0, Wx, Wh, h)


def rnn_backward(dh: Array, cache: Cache) -> tuple[Array, Array, Array, Array, Array]:
    """Backpropagation through time: the gradients, from the cotangents dh (T, B, H) of all hidden states."""
    x, h0, Wx, Wh, h = cache
    dx, dWx, dWh, db = np.empty_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[1])
    dcarried = np.zeros_like(h0)
    for t in reversed(range(len(x))):
        previous = h[t - 1] if t else h0
        dz = (dh[t] + dcarried) * (1 - h[t] ** 2)
        dx[t] = dz @ Wx.T
        dWx += x[t].T @ dz
        dWh += previous.T @ dz
        db += dz.sum(axis=0)
        dcarried = dz @ Wh.T
    return dx, dcarried, dWx, dWh, db


@gradcheck.target
def vanilla_rnn(rng: np.random.Generator, *, T: int = 4, B: int = 2, D: int = 3, H: int = 5) -> gradcheck.Target:
    """The pair as it stands."""
    shapes = {"x": (T, B, D), "h0": (B, H), "Wx": (D, H), "Wh": (H, H), "b": (H,)}
    inputs = {name: rng.standard_normal(shape) / 2 for name, shape in shapes.items()}
    return gradcheck.Target.from_vjp(rnn_forward, rnn_backward, inputs)
