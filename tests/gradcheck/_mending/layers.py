"""Layers of which all but the first add to what they are given; the loss grows slowly where errors are large."""

from __future__ import annotations

RESIDUAL = """\
import numpy as np
import gradcheck


def forward(p, x):
    h, kept = x @ p["E"], []
    for k in range(3):
        z = np.tanh(h @ p[f"W{k}"])
        kept.append((h, z))
        h = h + z if k > 0 else z
    return h, kept


def loss(p, x, y, delta):
    size = np.abs(forward(p, x)[0] - y)
    return float(np.sum(np.where(size <= delta, 0.5 * size ** 2, delta * (size - 0.5 * delta))))


def grads(p, x, y, delta):
    (out, kept), g = forward(p, x), {}
    err = out - y
    dh = np.clip(err, -delta, delta)
    for k in range(2, -1, -1):
        h, z = kept[k]
        dz = dh * (1 - z ** 2)
        g[f"W{k}"] = h.T @ dz
        dh = dz @ p[f"W{k}"].T + dh if k > 0 else dz @ p[f"W{k}"].T
    g["E"] = x.T @ dh
    return g


@gradcheck.target
def cell(rng, *, B=4, D=2, H=3):
    p = {f"W{k}": rng.standard_normal((H, H)) for k in range(3)} | {"E": rng.standard_normal((D, H))}
    x, y = rng.standard_normal((B, D)), rng.standard_normal((B, H))
    return gradcheck.Target(p, lambda: loss(p, x, y, 0.7), lambda: grads(p, x, y, 0.7))
"""
#: what is added in some layers alone is forgotten
NOT_ADDED = (' + dh if k > 0 else dz @ p[f"W{k}"].T', "")
