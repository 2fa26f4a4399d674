"""A recurrent network whose gradients are views of one vector, as where an optimiser takes all of them at once."""

from __future__ import annotations

FLAT = """\
import numpy as np
import gradcheck


def walk(p, x):
    h, hs = np.zeros(len(p["u"])), [np.zeros(len(p["u"]))]
    for xt in x:
        h = np.tanh(p["u"] * h + p["w"] * xt)
        hs.append(h)
    return hs


def loss(p, x, y):
    return 0.5 * sum(np.sum((h + p["b"] - yt) ** 2) for h, yt in zip(walk(p, x)[1:], y))


def grads(p, x, y):
    hs, n = walk(p, x), len(p["u"])
    flat = np.zeros(3 * n)
    du, dw, db = flat[:n], flat[n : 2 * n], flat[2 * n :]
    carry = np.zeros(n)
    for t in reversed(range(len(x))):
        dh = hs[t + 1] + p["b"] - y[t]
        db += dh
        dz = (dh + carry) * (1 - hs[t + 1] ** 2)
        du += dz * hs[t]
        dw += dz * x[t]
        carry = dz * p["u"]
    return {"u": du, "w": dw, "b": db}


@gradcheck.target
def cell(rng, *, T=4, H=3):
    p = {name: rng.standard_normal(H) for name in "uwb"}
    x, y = rng.standard_normal((T, H)), rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: loss(p, x, y), lambda: grads(p, x, y))
"""
