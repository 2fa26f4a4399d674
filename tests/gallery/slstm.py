"""An sLSTM: exponential input gates, a normaliser n beside the cell state c, and a stabiliser m."""

from __future__ import annotations

import numpy as np

import gradcheck


def forward(x, h, c, n, W, U, b):
    """All h (T, B, H) of x (T, B, D), from the state (h, c, n); gates in the order i, f, z, o."""
    m = np.zeros_like(c)
    outputs, tape = [], []
    for step in x:
        before = h, c, n
        i_bar, f_bar, z_bar, o_bar = np.split(step @ W + h @ U + b, 4, axis=1)
        f, o, z = 1 / (1 + np.exp(-f_bar)), 1 / (1 + np.exp(-o_bar)), np.tanh(z_bar)
        m_old, m = m, np.maximum(np.log(f) + m, i_bar)
        i_scaled, f_scaled = np.exp(i_bar - m), np.exp(np.log(f) + m_old - m)
        c = f_scaled * c + i_scaled * z
        n = f_scaled * n + i_scaled
        h = o * c / n
        tape.append((step, *before, i_scaled, f_scaled, f, z, o, c, n))
        outputs.append(h)
    return np.array(outputs), (tape, W, U)


def backward(douts, cache):
    """The gradients of all arguments of the forward, in their order."""
    tape, W, U = cache
    dx, dW, dU, db = [], np.zeros_like(W), np.zeros_like(U), np.zeros(W.shape[1])
    dh, dc, dn = np.zeros_like(douts[0]), np.zeros_like(douts[0]), np.zeros_like(douts[0])
    for t in reversed(range(len(tape))):
        step, h_old, c_old, n_old, i_scaled, f_scaled, f, z, o, c, n = tape[t]
        dh = dh + douts[t]
        dc = dc + dh * o / n
        dn = dn - dh * o * c / n**2
        di_bar = (dc * z + dn) * i_scaled
        df_bar = (dc * c_old + dn * n_old) * f_scaled * (1 - f)
        dz_bar = dc * i_scaled * (1 - z**2)
        do_bar = dh * c / n * o * (1 - o)
        dgates = np.hstack([di_bar, df_bar, dz_bar, do_bar])
        dW += step.T @ dgates
        dU += h_old.T @ dgates
        db += dgates.sum(axis=0)
        dx.append(dgates @ W.T)
        dh, dc, dn = dgates @ U.T, dc * f_scaled, dn * f_scaled
    return np.array(dx[::-1]), dh, dc, dn, dW, dU, db


@gradcheck.target
def slstm(rng, *, T=4, B=2, D=3, H=5):
    """Cotangents of all outputs, gradients of all arguments."""
    shapes = {"x": (T, B, D), "h0": (B, H), "c0": (B, H), "n0": (B, H), "W": (D, 4 * H), "U": (H, 4 * H), "b": (4 * H,)}
    inputs = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    inputs["n0"] = 0.5 + rng.random((B, H))  # a sum of exponentials is above 0
    return gradcheck.Target.from_vjp(forward, backward, inputs)
