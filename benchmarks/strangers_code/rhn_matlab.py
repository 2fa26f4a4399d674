"""Recurrent highway network, ported from the MATLAB version: features x batch x time, weight gradients after the loops.

Each time step runs L highway layers; only the first one sees the input. Packed rows: 1..H candidate, H+1..2H transform gate."""
import numpy as np


def rhn_fwd(X, s0, W, R, b):
    D, B, T = X.shape
    L, _, H = R.shape
    WX = np.einsum('gd,dbt->gbt', W, X)
    S = np.zeros((L + 1, H, B, T))      # S[l] goes into layer l; S[L] is the output
    C = np.zeros((L, H, B, T))
    G = np.zeros((L, H, B, T))
    s = s0
    for t in range(T):
        S[0, :, :, t] = s
        for l in range(L):
            a = np.einsum('gh,hb->gb', R[l], s) + b[l][:, None]
            if l == 0:
                a = a + WX[:, :, t]
            ac, ag = np.split(a, 2, axis=0)
            c = np.tanh(ac)
            g = 1 / (1 + np.exp(-ag))
            s = c * g + s * (1 - g)
            C[l, :, :, t], G[l, :, :, t], S[l + 1, :, :, t] = c, g, s
    Y = S[L].transpose(2, 1, 0)         # out: time x batch x features
    energy = (S[1:L] ** 2).sum(axis=(0, 3)).T
    return (Y, s.copy(), energy), (X, W, R, S, C, G)


def rhn_bwd(cotangents, cache):
    dY, dlast, denergy = cotangents
    X, W, R, S, C, G = cache
    D, B, T = X.shape
    L, _, H = R.shape
    dYt = np.transpose(dY, (2, 1, 0))
    dA = np.zeros((L, 2 * H, B, T))
    ds = dlast.copy()
    for t in reversed(range(T)):
        ds = ds + dYt[:, :, t]
        for l in reversed(range(L)):
            c, g, s_in = C[l, :, :, t], G[l, :, :, t], S[l, :, :, t]
            if l < L - 1:
                ds = ds + 2 * S[l + 1, :, :, t] * denergy.T
            dac = ds * g * (1 - c ** 2)
            dag = ds * (c - s_in) * g * (1 - g)
            dA[l, :, :, t] = np.concatenate([dac, dag], axis=0)
            ds = ds * (1 - g) + np.einsum('gh,gb->hb', R[l], dA[l, :, :, t])
    ds0 = ds
    dR = np.einsum('lgbt,lhbt->lgh', dA, S[:L])
    db = dA.sum(axis=(2, 3))
    dW = np.einsum('gbt,dbt->gd', dA[0], X)
    dX = np.einsum('gd,gbt->dbt', W, dA[0])
    return dX, ds0, dW, dR, db


def make(Target, rng, T=3, B=2, D=3, H=3, L=3):
    randn = lambda *q: 0.7 * rng.standard_normal(q)
    return Target.from_vjp(rhn_fwd, rhn_bwd, {'X': randn(D, B, T), 's0': randn(H, B), 'W': randn(2 * H, D), 'R': randn(L, 2 * H, H),
                                              'b': randn(L, 2 * H)})


BUGS = {
    "carry-through-transform-gate": ("ds = ds * (1 - g) + np.einsum('gh,gb->hb', R[l], dA[l, :, :, t])", "ds = ds * g + np.einsum('gh,gb->hb', R[l], dA[l, :, :, t])"),
    "bias-of-one-column": ("db = dA.sum(axis=(2, 3))", "db = dA[:, :, 0].sum(axis=2)"),
    "output-state-in-weight": ("dR = np.einsum('lgbt,lhbt->lgh', dA, S[:L])", "dR = np.einsum('lgbt,lhbt->lgh', dA, S[1:])"),
    "input-weight-from-all-layers": ("dW = np.einsum('gbt,dbt->gd', dA[0], X)", "dW = np.einsum('lgbt,dbt->gd', dA, X)"),
    "halves-packed-the-other-way": ("dA[l, :, :, t] = np.concatenate([dac, dag], axis=0)", "dA[l, :, :, t] = np.concatenate([dag, dac], axis=0)"),
    "energy-detached": ("ds = ds + 2 * S[l + 1, :, :, t] * denergy.T", "pass"),
    "gate-difference-without-state": ("dag = ds * (c - s_in) * g * (1 - g)", "dag = ds * c * g * (1 - g)"),
    "last-state-ignored": ("ds = dlast.copy()", "ds = np.zeros_like(dlast)"),
}

PAIRS = [
    ("input-weight-from-all-layers", "gate-difference-without-state"),
]
