"""A minGRU: gates see the input alone, so all of them are one product, and only a scan is left over time."""

from __future__ import annotations

import numpy as np

import gradcheck


def forward(x, h0, Wz, bz, Wh, bh):
    """All states (T, B, H) of x (T, B, D), from h0 (B, H), and what the backward needs."""
    z = 1 / (1 + np.exp(-(x @ Wz + bz)))
    candidate = x @ Wh + bh
    states = [h0]
    for t in range(len(x)):
        states.append((1 - z[t]) * states[-1] + z[t] * candidate[t])
    states = np.array(states)
    return states[1:], (x, z, candidate, states[:-1], Wz, Wh)


def backward(dstates, cache):
    """The gradients of all arguments of the forward, in their order."""
    x, z, candidate, before, Wz, Wh = cache
    dh, carried = np.empty_like(dstates), np.zeros_like(dstates[0])
    for t in reversed(range(len(x))):
        dh[t] = dstates[t] + carried
        carried = dh[t] * (1 - z[t])
    dz_bar = dh * (candidate - before) * z * (1 - z)
    dcandidate = dh * z
    dWz = np.einsum("tbd,tbh->dh", x, dz_bar)
    dWh = np.einsum("tbd,tbh->dh", x, dcandidate)
    dx = dz_bar @ Wz.T + dcandidate @ Wh.T
    return dx, carried, dWz, dz_bar.sum(axis=(0, 1)), dWh, dcandidate.sum(axis=(0, 1))


@gradcheck.target
def min_gru(rng, *, T=4, B=2, D=3, H=5):
    """Cotangents of all states, gradients of all arguments."""
    shapes = {"x": (T, B, D), "h0": (B, H), "Wz": (D, H), "bz": (H,), "Wh": (D, H), "bh": (H,)}
    return gradcheck.Target.from_vjp(
        forward, backward, {name: rng.standard_normal(one) for name, one in shapes.items()}
    )
