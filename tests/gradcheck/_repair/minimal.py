"""A minimal gated unit: the state has part in its gate, in what the gate lets through, and in the next state."""

from __future__ import annotations

MINIMAL = """\
import numpy as np
import gradcheck


def forward(p, x):
    h, kept = np.zeros(len(p["Uf"])), []
    hs = np.zeros((len(x), len(h)))
    for t in range(len(x)):
        f = 1 / (1 + np.exp(-(p["Wf"] @ x[t] + p["Uf"] @ h)))
        c = np.tanh(p["W"] @ x[t] + p["U"] @ (f * h))
        kept.append((h, f, c))
        h = (1 - f) * h + f * c
        hs[t] = h
    return hs, kept


def loss(p, x, y):
    return float(0.5 * np.sum((forward(p, x)[0] @ p["V"] - y) ** 2))


def grads(p, x, y):
    hs, kept = forward(p, x)
    g, e = {name: np.zeros_like(one) for name, one in p.items()}, hs @ p["V"] - y
    g["V"] += hs.T @ e
    dout, dh = e @ p["V"].T, np.zeros_like(hs[0])
    for t in reversed(range(len(x))):
        h, f, c = kept[t]
        dh = dh + dout[t]
        dc = dh * f * (1 - c ** 2)
        dfh = p["U"].T @ dc
        df = (dh * (c - h) + dfh * h) * f * (1 - f)
        g["W"] += np.outer(dc, x[t])
        g["U"] += np.outer(dc, f * h)
        g["Wf"] += np.outer(df, x[t])
        g["Uf"] += np.outer(df, h)
        dh = dh * (1 - f) + dfh * f + p["Uf"].T @ df
    return g


@gradcheck.target
def cell(rng, *, T=4, D=2, H=3):
    shapes = {"Wf": (H, D), "Uf": (H, H), "W": (H, D), "U": (H, H), "V": (H, D)}
    p = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    x, y = rng.standard_normal((T, D)), rng.standard_normal((T, D))
    return gradcheck.Target(p, lambda: loss(p, x, y), lambda: grads(p, x, y))
"""
#: a product that the carry lacks
LACKS_PRODUCT = ("dh * (1 - f) + dfh * f + p", "dh * (1 - f) + p")
