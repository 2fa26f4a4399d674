"""A chain of labels, as of a CRF: the logarithm of all paths' weights, with gradients by forward and backward sums."""

from __future__ import annotations

CHAIN = """\
import numpy as np
import gradcheck


def forward(p, x):
    s, alpha = x + p["b"], np.zeros_like(x)
    alpha[0] = s[0]
    for t in range(1, len(x)):
        alpha[t] = np.log(np.sum(np.exp(alpha[t - 1][:, None] + p["A"]), axis=0)) + s[t]
    return s, alpha, np.log(np.sum(np.exp(alpha[-1])))


def grads(p, x):
    T = len(x)
    s, alpha, total = forward(p, x)
    beta = np.zeros_like(x)
    for t in range(T - 2, -1, -1):
        beta[t] = np.log(np.sum(np.exp(p["A"] + s[t + 1] + beta[t + 1]), axis=1))
    db = np.exp(alpha + beta - total).sum(axis=0)
    dA = np.zeros_like(p["A"])
    for t in range(T - 1):
        dA += np.exp(alpha[t][:, None] + p["A"] + s[t + 1] + beta[t + 1] - total)
    return {"A": dA, "b": db}


@gradcheck.target
def cell(rng, *, T=4, K=3):
    p, x = {"A": rng.standard_normal((K, K)), "b": rng.standard_normal(K)}, rng.standard_normal((T, K))
    return gradcheck.Target(p, lambda: forward(p, x)[2], lambda: grads(p, x))
"""
