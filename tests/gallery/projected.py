"""An LSTM with a projection of its output and a bound on its cell state, as in speech recognition."""

from __future__ import annotations

import numpy as np

import gradcheck

BOUND = 0.8


def forward(x, r, c, W, U, b, P):
    """All projected outputs r (T, B, R) of x (T, B, D), from r (B, R) and c (B, H); gates in the order i, f, o, g."""
    outputs, tape = [], []
    for step in x:
        z = step @ W + r @ U + b
        i, f, o, g = np.split(z, 4, axis=1)
        i, f, o, g = 1 / (1 + np.exp(-i)), 1 / (1 + np.exp(-f)), 1 / (1 + np.exp(-o)), np.tanh(g)
        free = f * c + i * g
        bounded = np.clip(free, -BOUND, BOUND)
        m = o * np.tanh(bounded)
        tape.append((step, r, c, i, f, o, g, free, bounded, m))
        r, c = m @ P, bounded
        outputs.append(r)
    return np.array(outputs), (tape, W, U, P)


def backward(douts, cache):
    """The gradients of all arguments of the forward, in their order."""
    tape, W, U, P = cache
    dx, dW, dU, dP = [], np.zeros_like(W), np.zeros_like(U), np.zeros_like(P)
    db = np.zeros(W.shape[1])
    dr, dc = np.zeros_like(douts[0]), np.zeros_like(tape[0][2])
    for t in reversed(range(len(tape))):
        step, r, c, i, f, o, g, free, bounded, m = tape[t]
        dr = dr + douts[t]
        dP += m.T @ dr
        dm = dr @ P.T
        dc = dc + dm * o * (1 - np.tanh(bounded) ** 2)
        dc = dc * (np.abs(free) < BOUND)
        dzo = dm * np.tanh(bounded) * o * (1 - o)
        dz = np.hstack([dc * g * i * (1 - i), dc * c * f * (1 - f), dzo, dc * i * (1 - g**2)])
        dW += step.T @ dz
        dU += r.T @ dz
        db += dz.sum(axis=0)
        dx.append(dz @ W.T)
        dr, dc = dz @ U.T, dc * f
    return np.array(dx[::-1]), dr, dc, dW, dU, db, dP


@gradcheck.target
def projected(rng, *, T=4, B=2, D=3, H=5, R=4):
    """H units, R outputs; cotangents of all outputs, gradients of all arguments."""
    shapes = {"x": (T, B, D), "r0": (B, R), "c0": (B, H), "W": (D, 4 * H), "U": (R, 4 * H), "b": (4 * H,), "P": (H, R)}
    inputs = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    return gradcheck.Target.from_vjp(forward, backward, inputs)
