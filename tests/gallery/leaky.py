"""A leaky recurrent network: one learned rate for all units, and input weights of learned length and direction."""

from __future__ import annotations

import numpy as np

import gradcheck


def forward(x, h0, D, s, U, b, a):
    """All states (T, B, H): h' = (1 - r) h + r tanh(x W + h U + b), with r = σ(a) and the columns of W = s D / |D|."""
    rate = 1 / (1 + np.exp(-a))
    length = np.sqrt((D**2).sum(axis=0))
    W = s * D / length
    h, states, tape = h0, [], []
    for step in x:
        g = np.tanh(step @ W + h @ U + b)
        tape.append((step, h, g))
        h = h + rate * (g - h)
        states.append(h)
    return np.array(states), (tape, rate, length, W, D, s, U)


def backward(dstates, cache):
    """The gradients of the forward's arguments, by name."""
    tape, rate, length, W, D, s, U = cache
    dx, dW, dU, db, drate = [], np.zeros_like(W), np.zeros_like(U), np.zeros(len(U)), np.zeros_like(rate)
    carried = np.zeros_like(dstates[0])
    for t in reversed(range(len(tape))):
        step, h, g = tape[t]
        dh = dstates[t] + carried
        drate += np.sum(dh * (g - h))
        dz = dh * rate * (1 - g**2)
        dW += step.T @ dz
        dU += h.T @ dz
        db += dz.sum(axis=0)
        dx.insert(0, dz @ W.T)
        carried = dh * (1 - rate) + dz @ U.T
    unit = D / length
    ds = (dW * unit).sum(axis=0)
    dD = s / length * (dW - unit * ds)
    da = drate * rate * (1 - rate)
    return {"x": np.array(dx), "h0": carried, "D": dD, "s": ds, "U": dU, "b": db, "a": da}


@gradcheck.target
def leaky(rng, *, T=4, B=2, N=3, H=5):
    """N inputs, H units; cotangents of all states, gradients of all arguments."""
    shapes = {"x": (T, B, N), "h0": (B, H), "D": (N, H), "s": (H,), "U": (H, H), "b": (H,), "a": (1,)}
    inputs = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    return gradcheck.Target.from_vjp(forward, backward, inputs)
