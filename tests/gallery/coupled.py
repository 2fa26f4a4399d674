"""An LSTM whose forget gate is one minus its input gate; the state at the start is learned, one for the whole batch."""

from __future__ import annotations

import numpy as np

import gradcheck


def sigmoid(z):
    """The logistic function."""
    return 1 / (1 + np.exp(-z))


def forward(p, x):
    """The outputs of every step (T, B, K), and what the backward needs."""
    h, c = np.tile(p["h0"], (x.shape[1], 1)), np.tile(p["c0"], (x.shape[1], 1))
    outputs, tape = [], []
    for step in x:
        i = sigmoid(step @ p["Wi"] + h @ p["Ui"] + p["bi"])
        o = sigmoid(step @ p["Wo"] + h @ p["Uo"] + p["bo"])
        g = np.tanh(step @ p["Wg"] + h @ p["Ug"] + p["bg"])
        before = h, c
        c = (1 - i) * c + i * g
        h = o * np.tanh(c)
        tape.append((step, *before, i, o, g, c, h))
        outputs.append(h @ p["V"] + p["by"])
    return np.array(outputs), tape


def backward(p, dys, tape):
    """The gradients of all parameters."""
    grads = {name: np.zeros_like(weight) for name, weight in p.items()}
    dh = dc = np.zeros_like(tape[0][1])
    for dy, (step, h_old, c_old, i, o, g, c, h) in zip(dys[::-1], tape[::-1], strict=True):
        grads["V"] += h.T @ dy
        grads["by"] += dy.sum(axis=0)
        dh = dh + dy @ p["V"].T
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        dzi = dc * (g - c_old) * i * (1 - i)
        dzo = dh * np.tanh(c) * o * (1 - o)
        dzg = dc * i * (1 - g**2)
        dh, dc = 0, dc * (1 - i)
        for gate, dz in (("i", dzi), ("o", dzo), ("g", dzg)):
            grads["W" + gate] += step.T @ dz
            grads["U" + gate] += h_old.T @ dz
            grads["b" + gate] += dz.sum(axis=0)
            dh = dh + dz @ p["U" + gate].T
    grads["h0"] = dh.sum(axis=0)
    grads["c0"] = dc.sum(axis=0)
    return grads


@gradcheck.target
def coupled(rng, *, T=4, B=3, D=2, H=5, K=2):
    """The mean squared error of K outputs, over steps, batch and outputs."""
    p = {}
    for gate in "iog":
        p["W" + gate], p["U" + gate] = rng.standard_normal((D, H)), rng.standard_normal((H, H)) / np.sqrt(H)
        p["b" + gate] = rng.standard_normal(H) / 2
    p |= {"V": rng.standard_normal((H, K)), "by": rng.standard_normal(K)}
    p |= {"h0": rng.standard_normal(H), "c0": rng.standard_normal(H)}
    x, goal = rng.standard_normal((T, B, D)), rng.standard_normal((T, B, K))

    def loss():
        return np.mean((forward(p, x)[0] - goal) ** 2)

    def grads():
        outputs, tape = forward(p, x)
        return backward(p, 2 * (outputs - goal) / goal.size, tape)

    return gradcheck.Target(p, loss, grads, inputs={"x": x, "goal": goal})
