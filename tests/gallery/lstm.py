"""An LSTM one gate at a time, as courses write it: slopes from activated values, one product for each weight."""

from __future__ import annotations

import numpy as np

import gradcheck

GATES = "ifog"


def sigmoid(z):
    """The logistic function."""
    return 1 / (1 + np.exp(-z))


def dsigmoid(s):
    """Its slope, from its value."""
    return s * (1 - s)


def dtanh(s):
    """The slope of tanh, from its value."""
    return 1 - s**2


def forward(x, h, c, w):
    """Run x (T, B, D) from the state (h, c): all h (T, B, H), the last c, and what the backward needs."""
    hs, tape = [], []
    for step in x:
        v = np.hstack([step, h])
        i, f = sigmoid(v @ w["Wi"] + w["bi"]), sigmoid(v @ w["Wf"] + w["bf"])
        o, ct = sigmoid(v @ w["Wo"] + w["bo"]), np.tanh(v @ w["Wg"] + w["bg"])
        c_old, c = c, f * c + i * ct
        h = o * np.tanh(c)
        tape.append((v, i, f, o, ct, c_old, c))
        hs.append(h)
    return np.array(hs), c, tape


def step_back(dh, dc, cache, w, grads):
    """One step: the gradients of the weights are added, those of its input, h and c are returned."""
    v, i, f, o, ct, c_old, c = cache
    dc = dc + dh * o * dtanh(np.tanh(c))
    dzo = dh * np.tanh(c) * dsigmoid(o)
    dzi = dc * ct * dsigmoid(i)
    dzf = dc * c_old * dsigmoid(f)
    dct = dc * i * dtanh(ct)
    grads["Wi"] += v.T @ dzi
    grads["Wf"] += v.T @ dzf
    grads["Wo"] += v.T @ dzo
    grads["Wg"] += v.T @ dct
    grads["bi"] += dzi.sum(axis=0)
    grads["bf"] += dzf.sum(axis=0)
    grads["bo"] += dzo.sum(axis=0)
    grads["bg"] += dct.sum(axis=0)
    dv = dzi @ w["Wi"].T + dzf @ w["Wf"].T + dzo @ w["Wo"].T + dct @ w["Wg"].T
    split = dv.shape[1] - dh.shape[1]
    dx, dh_old = dv[:, :split], dv[:, split:]
    return dx, dh_old, dc * f


def backward(dhs, dc, tape, w):
    """The gradients of the weights, of all inputs, and of the state at the start."""
    grads = {name: np.zeros_like(weight) for name, weight in w.items()}
    dh, dx = np.zeros_like(dc), []
    for t in reversed(range(len(tape))):
        dx_t, dh, dc = step_back(dh + dhs[t], dc, tape[t], w, grads)
        dx.insert(0, dx_t)
    return {**grads, "x": np.array(dx), "h0": dh, "c0": dc}


@gradcheck.target
def lstm(rng, *, T=4, B=2, D=3, H=5):
    """Half the squared error of every h and of the last c."""
    shapes = {"W" + gate: (D + H, H) for gate in GATES} | {"b" + gate: (H,) for gate in GATES}
    w = {name: rng.standard_normal(shape) / 2 for name, shape in shapes.items()}
    goal, last = rng.standard_normal((T, B, H)), rng.standard_normal((B, H))
    start = {"h0": rng.standard_normal((B, H)), "c0": rng.standard_normal((B, H))}
    params = {**w, "x": rng.standard_normal((T, B, D)), **start}

    def run():
        return forward(params["x"], params["h0"], params["c0"], params)

    def loss():
        hs, c, _ = run()
        return np.sum((hs - goal) ** 2) / 2 + np.sum((c - last) ** 2) / 2

    def grads():
        hs, c, tape = run()
        return backward(hs - goal, c - last, tape, {name: params[name] for name in w})

    return gradcheck.Target(params, loss, grads, inputs={"goal": goal})
