"""Euler-discretised antisymmetric RNN over a filtered series.  The series is cut into
overlapping windows (width K) which a small filter bank F reads; the filtered windows drive
    h <- h + eps * tanh((A - A' - gamma I) h + V u + b)
and the last state predicts the target.  F reads each sample in several windows."""
import numpy as np

EPS_STEP = 0.3
GAMMA = 0.1
K = 3


def windows(series):
    """(B, N, D) -> list of (B, K*D), one per start"""
    B, N, D = series.shape
    return [series[:, n:n + K].reshape(B, K * D) for n in range(N - K + 1)]


def generator(A):
    return A - A.T - GAMMA * np.eye(A.shape[0])


def smooth(series, w):
    """learnt two tap smoother, applied to the raw series before it is cut"""
    out = series * w[0]
    out[:, 1:] += series[:, :-1] * w[1]
    return out


def integrate(p, series):
    smoothed = smooth(series, p["w"])
    M = generator(p["A"])
    h = np.zeros((series.shape[0], M.shape[0]))
    path = []
    for win in windows(smoothed):
        u = win @ p["F"].T
        v = np.tanh(h @ M.T + u @ p["V"].T + p["b"])
        path.append({"h": h, "u": u, "v": v, "win": win})
        h = h + EPS_STEP * v
    return h, path


def objective(p, series, target):
    h, _ = integrate(p, series)
    r = h @ p["c"] - target
    return np.mean(r ** 2) + 0.01 * np.sum(p["F"] ** 2)


def adjoint(p, series, target):
    hT, path = integrate(p, series)
    M = generator(p["A"])
    B, N, D = series.shape
    r = hT @ p["c"] - target
    dr = 2.0 * r / B
    g = {k: np.zeros_like(a) for k, a in p.items()}
    g["c"] = hT.T @ dr
    lam = np.outer(dr, p["c"])
    dM = np.zeros_like(M)
    dsmooth = np.zeros_like(series)
    for n in range(len(path) - 1, -1, -1):
        z = path[n]
        dpre = EPS_STEP * lam * (1.0 - z["v"] ** 2)
        dM += dpre.T @ z["h"]
        g["V"] += dpre.T @ z["u"]
        g["b"] += dpre.sum(axis=0)
        du = dpre @ p["V"]
        g["F"] = du.T @ z["win"]
        dsmooth[:, n:n + K] = (du @ p["F"]).reshape(B, K, D)
        lam = dpre @ M
    g["A"] = dM
    g["F"] += 0.02 * p["F"]
    g["w"][0] = np.sum(dsmooth * series)
    g["w"][1] = np.sum(dsmooth[:, 1:] * series[:, :-1])
    return g


def make(rng, T=4, B=3, D=2, H=3):
    q = 2
    p = {
        "w": rng.normal(size=2),
        "F": rng.normal(size=(q, K * D)) * 0.6,
        "A": rng.normal(size=(H, H)) * 0.8,
        "V": rng.normal(size=(H, q)) * 0.8,
        "b": rng.normal(size=H) * 0.5,
        "c": rng.normal(size=H),
    }
    series = rng.normal(size=(B, T + K - 1, D))
    target = rng.normal(size=B)
    return p, lambda: float(objective(p, series, target)), lambda: adjoint(p, series, target)


import gradcheck


@gradcheck.target
def audited(rng, *, T=4, B=3, D=2, H=3):
    return gradcheck.Target(*make(rng, T=T, B=B, D=D, H=H))


FAULTS = [("A enters as A - A' but only the first use gives a gradient",
  [69],
  [('g["A"] = dM', 'g["A"] = dM - dM.T')]),
 ('the identity path of the Euler step is missing, lam is replaced',
  [68],
  [('lam = dpre @ M', 'lam = lam + dpre @ M')]),
 ("overlapping windows: the series' gradient is overwritten, not added",
  [67],
  [('dsmooth[:, n:n + K] = ', 'dsmooth[:, n:n + K] += ')]),
 ("filter's gradient from the windows is only taken of the last processed window (= for +=)",
  [66],
  [('g["F"] = du.T', 'g["F"] += du.T')])]
