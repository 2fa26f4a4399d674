"""Linear recurrent units with complex modes: the state turns and shrinks, an output reads its real part.

One backward carries dL/dRe + i dL/dIm, the other one the conjugate of that.
"""

from __future__ import annotations

FORWARD = """\
import numpy as np
import gradcheck


def forward(p, u):
    lam = np.exp(-np.exp(p["a"]) + 1j * p["w"])
    B, C = p["Br"] + 1j * p["Bi"], p["Cr"] + 1j * p["Ci"]
    X = np.zeros((len(u) + 1, u.shape[1], len(lam)), complex)
    for t in range(len(u)):
        X[t + 1] = lam * X[t] + u[t] @ B
    return lam, C, X, np.tanh((X[1:] @ C).real)


def loss(p, u, y):
    return 0.5 * np.sum((forward(p, u)[-1] - y) ** 2) / u.shape[1]


"""
TARGET = """

@gradcheck.target
def cell(rng, *, T=4, B=2, D=2, N=3, K=4):
    p = {"a": rng.normal(-1, 0.3, N), "w": rng.uniform(0.3, 2, N)}
    p |= {name: rng.standard_normal((D, N)) for name in ("Br", "Bi")}
    p |= {name: rng.standard_normal((N, K)) for name in ("Cr", "Ci")}
    u, y = rng.standard_normal((T, B, D)), rng.standard_normal((T, B, K))
    return gradcheck.Target(p, lambda: loss(p, u, y), lambda: grads(p, u, y))
"""
MODES = (
    FORWARD
    + """\
def grads(p, u, y):
    lam, C, X, out = forward(p, u)
    dout = (out - y) / u.shape[1] * (1 - out ** 2)
    dx, dlam = np.zeros_like(X[0]), np.zeros_like(lam)
    dB, dC = np.zeros_like(p["Br"] + 0j), np.zeros_like(C)
    for t in reversed(range(len(u))):
        dC += np.conj(X[t + 1]).T @ dout[t]
        dx = dx + dout[t] @ np.conj(C.T)
        dB += u[t].T @ dx
        dlam += np.sum(dx * np.conj(X[t]), axis=0)
        dx = dx * np.conj(lam)
    ds = dlam * np.conj(lam)
    g = {"a": -np.exp(p["a"]) * ds.real, "w": ds.imag}
    g |= {"Br": dB.real, "Bi": dB.imag, "Cr": dC.real, "Ci": dC.imag}
    return g
"""
    + TARGET
)
CONJUGATES = (
    FORWARD
    + """\
def grads(p, u, y):
    lam, C, X, out = forward(p, u)
    dout = (out - y) / u.shape[1] * (1 - out ** 2)
    dx, dlam = np.zeros_like(X[0]), np.zeros_like(lam)
    dB, dC = np.zeros_like(p["Br"] + 0j), np.zeros_like(C)
    for t in reversed(range(len(u))):
        dC += X[t + 1].T @ dout[t]
        dx = dx + dout[t] @ C.T
        dB += u[t].T @ dx
        dlam += np.sum(dx * X[t], axis=0)
        dx = dx * lam
    ds = dlam * lam
    g = {"a": -np.exp(p["a"]) * ds.real, "w": -ds.imag}
    g |= {"Br": dB.real, "Bi": -dB.imag, "Cr": dC.real, "Ci": -dC.imag}
    return g
"""
    + TARGET
)
