"""ODE-RNN: between two observations the state flows along an ODE (Heun steps), at an observation it jumps by a gate.

Translated line by line from odernn_cost.m / odernn_grad.m, so arrays are  unit x sample x time [x sub step]  as they were there.
"""
import numpy as np


def odernn_init(rng, D, n, q):
    randn = lambda *s: 0.6 * rng.standard_normal(s)
    theta = {}
    theta["A"], theta["a"], theta["leak"] = randn(n, n), randn(n, 1), 0.5 + 0.3 * rng.random((n, 1))
    theta["Wg"], theta["Ug"], theta["bg"] = randn(n, D), randn(n, n), randn(n, 1)
    theta["Wc"], theta["Uc"], theta["bc"] = randn(n, D), randn(n, n), randn(n, 1)
    theta["V"], theta["v"] = randn(q, n), randn(q, 1)
    return theta


def odernn_cost(theta, X, Y, dt, K):
    # [J, S] = ODERNN_COST(theta, X, Y, dt, K): mean squared error of the read-out, K sub steps in each interval
    D, N, T = X.shape
    n = theta["A"].shape[0]
    S = dict(H=np.zeros((n, N, T, K + 1)), F1=np.zeros((n, N, T, K)), F2=np.zeros((n, N, T, K)), M=np.zeros((n, N, T, K)),
             G=np.zeros((n, N, T)), C=np.zeros((n, N, T)), Hp=np.zeros((n, N, T)), E=np.zeros(Y.shape))
    h = np.zeros((n, N))
    for t in range(T):
        step = dt[t] / K
        S["H"][:, :, t, 0] = h
        for k in range(K):
            F1 = np.tanh(theta["A"] @ h + theta["a"])
            slope1 = F1 - theta["leak"] * h
            mid = h + step * slope1
            F2 = np.tanh(theta["A"] @ mid + theta["a"])
            slope2 = F2 - theta["leak"] * mid
            h = h + step / 2 * (slope1 + slope2)
            S["F1"][:, :, t, k], S["F2"][:, :, t, k], S["M"][:, :, t, k], S["H"][:, :, t, k + 1] = F1, F2, mid, h
        x = X[:, :, t]
        G = 1 / (1 + np.exp(-(theta["Wg"] @ x + theta["Ug"] @ h + theta["bg"])))
        C = np.tanh(theta["Wc"] @ x + theta["Uc"] @ h + theta["bc"])
        h = h + G * (C - h)
        S["G"][:, :, t], S["C"][:, :, t], S["Hp"][:, :, t] = G, C, h
        S["E"][:, :, t] = theta["V"] @ h + theta["v"] - Y[:, :, t]
    J = np.sum(S["E"] ** 2) / (2 * N)
    return J, S


def odernn_grad(theta, X, Y, dt, K):
    # grad = ODERNN_GRAD(theta, X, Y, dt, K)
    D, N, T = X.shape
    J, S = odernn_cost(theta, X, Y, dt, K)
    grad = {name: np.zeros(value.shape) for name, value in theta.items()}
    rowsum = lambda M: np.sum(M, axis=1, keepdims=True)
    dh = np.zeros(S["Hp"].shape[:2])
    for t in range(T - 1, -1, -1):
        # ---- read-out
        e = S["E"][:, :, t] / N
        grad["V"] += e @ S["Hp"][:, :, t].T
        grad["v"] += rowsum(e)
        dh = dh + theta["V"].T @ e
        # ---- jump
        hm, G, C, x = S["H"][:, :, t, K], S["G"][:, :, t], S["C"][:, :, t], X[:, :, t]
        sg = dh * (C - hm) * G * (1 - G)
        sc = dh * G * (1 - C ** 2)
        grad["Wg"] += sg @ x.T
        grad["Ug"] += sg @ hm.T
        grad["bg"] += rowsum(sg)
        grad["Wc"] += sc @ x.T
        grad["Uc"] += sc @ hm.T
        grad["bc"] += rowsum(sc)
        dh = dh * (1 - G) + theta["Ug"].T @ sg + theta["Uc"].T @ sc
        # ---- flow, last sub step first
        step = dt[t] / K
        for k in range(K - 1, -1, -1):
            F1, F2, mid, h = S["F1"][:, :, t, k], S["F2"][:, :, t, k], S["M"][:, :, t, k], S["H"][:, :, t, k]
            d2 = step / 2 * dh
            s2 = d2 * (1 - F2 ** 2)
            dmid = theta["A"].T @ s2 - theta["leak"] * d2
            d1 = step / 2 * dh + step * dmid
            s1 = d1 * (1 - F1 ** 2)
            grad["A"] += s2 @ mid.T + s1 @ h.T
            grad["a"] += rowsum(s1 + s2)
            grad["leak"] -= rowsum(d1 * h + d2 * mid)
            dh = dh + dmid + theta["A"].T @ s1 - theta["leak"] * d1
    return grad


def make(Target, rng, T=3, N=2, D=2, n=3):
    theta = odernn_init(rng, D, n, 2)
    X, Y, dt = rng.standard_normal((D, N, T)), rng.standard_normal((2, N, T)), 0.4 + rng.random(T)
    return Target(params=theta, loss=lambda: odernn_cost(theta, X, Y, dt, 2)[0], grads=lambda: odernn_grad(theta, X, Y, dt, 2))


BUGS = {
    "midpoint-adjoint-not-passed-on": ('dh = dh + dmid + theta["A"].T @ s1', 'dh = dh + theta["A"].T @ s1'),
    "first-slope-misses-midpoint": ("d1 = step / 2 * dh + step * dmid", "d1 = step / 2 * dh"),
    "second-stage-uses-first-tanh": ("s2 = d2 * (1 - F2 ** 2)", "s2 = d2 * (1 - F1 ** 2)"),
    "state-before-the-flow": ('S["H"][:, :, t, K], S["G"]', 'S["H"][:, :, t, 0], S["G"]'),
    "leak-sign-in-midpoint": ('@ s2 - theta["leak"] * d2', '@ s2 + theta["leak"] * d2'),
    "first-sub-step-skipped": ("for k in range(K - 1, -1, -1):", "for k in range(K - 1, 0, -1):"),
    "gate-not-in-carry": ('dh = dh * (1 - G) + theta["Ug"].T @ sg', 'dh = dh * G + theta["Ug"].T @ sg'),
    "candidate-weight-takes-new-state": ('grad["Uc"] += sc @ hm.T', 'grad["Uc"] += sc @ S["Hp"][:, :, t].T'),
}

PAIRS = [
    ("midpoint-adjoint-not-passed-on", "gate-not-in-carry"),
    ("second-stage-uses-first-tanh", "candidate-weight-takes-new-state"),
]
