"""Two recurrent networks, one that reads forwards and one that reads backwards, and what they say side by side."""

from __future__ import annotations

import numpy as np

import gradcheck


def run(x, h, W, U, b):
    """The states of one direction (T, B, H)."""
    states = []
    for step in x:
        h = np.tanh(step @ W + h @ U + b)
        states.append(h)
    return np.array(states)


def run_back(dstates, states, x, h0, W, U):
    """The gradients of one direction: of x, h0, W, U and b."""
    dx, dW, dU, db, carried = np.empty_like(x), np.zeros_like(W), np.zeros_like(U), np.zeros(len(U)), np.zeros_like(h0)
    for t in reversed(range(len(x))):
        dz = (dstates[t] + carried) * (1 - states[t] ** 2)
        dx[t] = dz @ W.T
        dW += x[t].T @ dz
        dU += (states[t - 1] if t else h0).T @ dz
        db += dz.sum(axis=0)
        carried = dz @ U.T
    return dx, carried, dW, dU, db


def forward(x, h0, k0, W, U, b, Wr, Ur, br):
    """Both directions side by side (T, B, 2H), each at its place in time."""
    there = run(x, h0, W, U, b)
    back = run(x[::-1], k0, Wr, Ur, br)
    return np.concatenate([there, back[::-1]], axis=2), (there, back, x, h0, k0, W, U, Wr, Ur)


def backward(dboth, cache):
    """The gradients in the order of the forward's arguments."""
    there, back, x, h0, k0, W, U, Wr, Ur = cache
    H = there.shape[2]
    dthere, dback = dboth[:, :, :H], dboth[::-1, :, H:]
    dx, dh0, dW, dU, db = run_back(dthere, there, x, h0, W, U)
    dxr, dk0, dWr, dUr, dbr = run_back(dback, back, x[::-1], k0, Wr, Ur)
    return dx + dxr[::-1], dh0, dk0, dW, dU, db, dWr, dUr, dbr


@gradcheck.target
def bidirectional(rng, *, T=4, B=2, D=3, H=5):
    """Cotangents of all outputs, gradients of all arguments."""
    shapes = {"x": (T, B, D), "h0": (B, H), "k0": (B, H), "W": (D, H), "U": (H, H), "b": (H,)}
    shapes |= {"Wr": (D, H), "Ur": (H, H), "br": (H,)}
    inputs = {name: rng.standard_normal(shape) / 2 for name, shape in shapes.items()}
    return gradcheck.Target.from_vjp(forward, backward, inputs)
