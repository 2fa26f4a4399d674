"""An LSTM whose gates see the cell state (peepholes): a dict of weights, one function each way, states in lists."""

from __future__ import annotations

import numpy as np

import gradcheck

GATES = ("i", "f", "g", "o")


def sigmoid(z):
    """The logistic function."""
    return 1 / (1 + np.exp(-z))


def forward(x, h, c, w):
    """Run x (T, B, D) from the state (h, c): the outputs (T, B, H), and what the backward needs."""
    tape, outputs = [], []
    for step in x:
        i = sigmoid(step @ w["Wi"] + h @ w["Ui"] + c * w["pi"] + w["bi"])
        f = sigmoid(step @ w["Wf"] + h @ w["Uf"] + c * w["pf"] + w["bf"])
        g = np.tanh(step @ w["Wg"] + h @ w["Ug"] + w["bg"])
        new = f * c + i * g
        o = sigmoid(step @ w["Wo"] + h @ w["Uo"] + new * w["po"] + w["bo"])
        squashed = np.tanh(new)
        tape.append((step, h, c, i, f, g, o, new, squashed))
        h, c = o * squashed, new
        outputs.append(h)
    return np.array(outputs), tape


def backward(douts, tape, w):
    """The gradients of the weights, and of the state at the start."""
    grads = {name: np.zeros_like(weight) for name, weight in w.items()}
    dh = np.zeros_like(tape[0][1])
    dc = np.zeros_like(dh)
    for dout, (step, h, c, i, f, g, o, new, squashed) in zip(douts[::-1], tape[::-1], strict=True):
        dh = dh + dout
        dzo = dh * squashed * o * (1 - o)
        dc = dc + dh * o * (1 - squashed**2) + dzo * w["po"]
        dzi = dc * g * i * (1 - i)
        dzf = dc * c * f * (1 - f)
        dzg = dc * i * (1 - g**2)
        grads["po"] += (dzo * new).sum(axis=0)
        grads["pi"] += (dzi * c).sum(axis=0)
        grads["pf"] += (dzf * c).sum(axis=0)
        dh = np.zeros_like(dh)
        for gate, dz in zip(GATES, (dzi, dzf, dzg, dzo), strict=True):
            grads["W" + gate] += step.T @ dz
            grads["U" + gate] += h.T @ dz
            grads["b" + gate] += dz.sum(axis=0)
            dh = dh + dz @ w["U" + gate].T
        dc = dc * f + dzi * w["pi"] + dzf * w["pf"]
    return grads, dh, dc


@gradcheck.target
def peephole(rng, *, T=4, B=2, D=3, H=5):
    """A squared error at every step, and the gradient of the state at the start."""
    w = {"W" + gate: rng.standard_normal((D, H)) for gate in GATES}
    w |= {"U" + gate: rng.standard_normal((H, H)) for gate in GATES}
    w |= {"b" + gate: rng.standard_normal(H) for gate in GATES}
    w |= {"p" + gate: rng.standard_normal(H) for gate in "ifo"}
    x, target = rng.standard_normal((T, B, D)), rng.standard_normal((T, B, H))
    params = {**w, "h0": rng.standard_normal((B, H)), "c0": rng.standard_normal((B, H))}

    def loss():
        outputs, _ = forward(x, params["h0"], params["c0"], params)
        return 0.5 * np.sum((outputs - target) ** 2)

    def grads():
        outputs, tape = forward(x, params["h0"], params["c0"], params)
        weights = {name: params[name] for name in w}
        found, dh, dc = backward(outputs - target, tape, weights)
        return {**found, "h0": dh, "c0": dc}

    return gradcheck.Target(params, loss, grads, inputs={"x": x, "target": target})
