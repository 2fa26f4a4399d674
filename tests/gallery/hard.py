"""A gated cell with piecewise linear pieces: a hard sigmoid, and a rectified candidate."""

from __future__ import annotations

import numpy as np

import gradcheck


def forward(x, h, w):
    """Run x (T, B, D) from h: all states, and what the backward needs."""
    states, tape = [], []
    for step in x:
        zu = step @ w["Wu"] + h @ w["Uu"] + w["bu"]
        zg = step @ w["Wg"] + h @ w["Ug"] + w["bg"]
        u = np.clip(0.2 * zu + 0.5, 0, 1)
        g = np.maximum(zg, 0)
        tape.append((step, h, zg, u, g))
        h = u * h + (1 - u) * g
        states.append(h)
    return np.array(states), tape


def backward(dstates, tape, w):
    """The gradients of the weights and of the state at the start."""
    grads = {name: np.zeros_like(weight) for name, weight in w.items()}
    carried = np.zeros_like(dstates[0])
    for t in reversed(range(len(tape))):
        step, h, zg, u, g = tape[t]
        dh = dstates[t] + carried
        du = dh * (h - g)
        dg = dh * (1 - u)
        inside = (u > 0) & (u < 1)
        dzu = 0.2 * du * inside
        dzg = dg * (zg > 0)
        for gate, dz in (("u", dzu), ("g", dzg)):
            grads["W" + gate] += step.T @ dz
            grads["U" + gate] += h.T @ dz
            grads["b" + gate] += dz.sum(axis=0)
        carried = dh * u + dzu @ w["Uu"].T + dzg @ w["Ug"].T
    return {**grads, "h0": carried}


@gradcheck.target
def hard(rng, *, T=4, B=3, D=4, H=5):
    """Half the squared error of every state; about a fifth of the gates are saturated."""
    w = {}
    for gate in "ug":
        w["W" + gate], w["U" + gate] = rng.standard_normal((D, H)), rng.standard_normal((H, H)) / np.sqrt(H)
        w["b" + gate] = rng.standard_normal(H)
    x, goal = rng.standard_normal((T, B, D)), rng.standard_normal((T, B, H))
    params = {**w, "h0": rng.standard_normal((B, H))}

    def loss():
        return np.sum((forward(x, params["h0"], params)[0] - goal) ** 2) / 2

    def grads():
        states, tape = forward(x, params["h0"], params)
        return backward(states - goal, tape, {name: params[name] for name in w})

    return gradcheck.Target(params, loss, grads, inputs={"x": x})
