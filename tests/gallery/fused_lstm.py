"""An LSTM with its gates side by side in one array, as ``forward -> (outputs, cache)`` and ``backward``."""

from __future__ import annotations

import numpy as np

import gradcheck


def forward(x, h0, c0, W, U, b):
    """All h (T, B, H) and the last c; gates in the order i, f, o, g."""
    h, c, hs, cs, gates = h0, c0, [], [], []
    for step in x:
        z = step @ W + h @ U + b
        i, f, o = np.split(1 / (1 + np.exp(-z[:, : 3 * h0.shape[1]])), 3, axis=1)
        g = np.tanh(z[:, 3 * h0.shape[1] :])
        c = f * c + i * g
        h = o * np.tanh(c)
        hs.append(h)
        cs.append(c)
        gates.append((i, f, o, g))
    return (np.array(hs), c), (x, h0, c0, W, U, hs, cs, gates)


def backward(cotangents, cache):
    """The gradients in the order of the forward's arguments."""
    (dhs, dc), (x, h0, c0, W, U, hs, cs, gates) = cotangents, cache
    dx, dW, dU, db = np.empty_like(x), np.zeros_like(W), np.zeros_like(U), np.zeros(W.shape[1])
    carried = np.zeros_like(h0)
    for t in reversed(range(len(x))):
        i, f, o, g = gates[t]
        h_old = hs[t - 1] if t else h0
        c_old = cs[t - 1] if t else c0
        squashed = np.tanh(cs[t])
        dh = dhs[t] + carried
        dc = dc + dh * o * (1 - squashed**2)
        di, df, do, dg = dc * g, dc * c_old, dh * squashed, dc * i
        dz = np.hstack([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)])
        dx[t] = dz @ W.T
        dW += x[t].T @ dz
        dU += h_old.T @ dz
        db += dz.sum(axis=0)
        carried, dc = dz @ U.T, dc * f
    return dx, carried, dc, dW, dU, db


@gradcheck.target
def fused_lstm(rng, *, T=4, B=2, D=3, H=5):
    """Cotangents of all outputs, gradients of all arguments."""
    shapes = {"x": (T, B, D), "h0": (B, H), "c0": (B, H), "W": (D, 4 * H), "U": (H, 4 * H), "b": (4 * H,)}
    return gradcheck.Target.from_vjp(
        forward, backward, {name: rng.standard_normal(shape) / 2 for name, shape in shapes.items()}
    )
