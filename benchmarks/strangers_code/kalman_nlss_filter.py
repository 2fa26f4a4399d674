"""Nonlinear state-space model filtered with a diagonal ("mean field") Kalman recursion.

    dm/dtau = -KAPPA m + tanh(A m + B u + b)      one midpoint step of length DT per period
    y_t     = C m_t + noise,  var exp(r);         process noise var exp(q)

S independent series, T periods, N states, M observed series (some missing), K inputs.
The parameters are fitted on the Gaussian negative log likelihood of the innovations.
"""
import numpy as np

DT = 0.5
KAPPA = 0.4
P_MISSING = 0.2


def drift(m, u, th):
    act = np.tanh(m @ th["A"].T + u @ th["B"].T + th["b"])
    return -KAPPA * m + act, act


def filter_forward(th, y, u, seen):
    S, T, M = y.shape
    m = np.tile(th["m0"], (S, 1))
    P = np.tile(np.exp(th["logP0"]), (S, 1))
    C2 = th["C"] ** 2
    rho = 1 / (1 + np.exp(-th["a"]))
    nll = 0.0
    tape = []
    for t in range(T):
        m_old, P_old = m, P
        # predict (midpoint rule for the mean, AR(1) for the variance)
        k1, act1 = drift(m_old, u[:, t], th)
        m_half = m_old + 0.5 * DT * k1
        k2, act2 = drift(m_half, u[:, t], th)
        m_pred = m_old + DT * k2
        P_pred = rho ** 2 * P_old + np.exp(th["q"])
        # innovation
        e = y[:, t] - m_pred @ th["C"].T
        F = P_pred @ C2.T + np.exp(th["r"])
        w = seen[:, t] * e / F
        # update
        gain_e = w @ th["C"]
        m = m_pred + P_pred * gain_e
        prec = seen[:, t] * np.exp(-th["r"])
        den = 1 + P_pred * (prec @ C2)
        P = P_pred / den
        nll += 0.5 * np.sum(seen[:, t] * (np.log(F) + e ** 2 / F))
        tape.append((m_old, P_old, act1, m_half, act2, m_pred, P_pred, e, F, w, gain_e, prec, den, P))
    return nll / seen.sum(), tape


def filter_backward(th, y, u, seen, tape):
    S, T, M = y.shape
    g = {k: np.zeros_like(v) for k, v in th.items()}
    A, B, C = th["A"], th["B"], th["C"]
    C2 = C ** 2
    gC2 = np.zeros_like(C2)
    grho = np.zeros_like(th["a"])
    rho = 1 / (1 + np.exp(-th["a"]))
    n_obs = seen.sum()
    gm = np.zeros((S, len(A)))
    gP = np.zeros((S, len(A)))
    for t in range(T - 1, -1, -1):
        m_old, P_old, act1, m_half, act2, m_pred, P_pred, e, F, w, gain_e, prec, den, P = tape[t]
        obs = seen[:, t]

        # variance update P = P_pred / (1 + P_pred * info)
        gP_pred = gP / den ** 2
        ginfo = -gP * P ** 2
        gC2 += prec.T @ ginfo
        g["r"] -= np.sum(prec * (ginfo @ C2.T), axis=0)

        # mean update
        gm_pred = gm.copy()
        gP_pred += gm * gain_e
        ggain = gm * P_pred
        g["C"] += w.T @ ggain
        gw = ggain @ C.T

        # innovations, from the gain and from the likelihood
        ge = gw * obs / F + obs * e / F / n_obs
        gF = -gw * w / F + 0.5 * obs * (1 / F - e ** 2 / F ** 2) / n_obs
        gP_pred += gF @ C2
        gC2 += gF.T @ P_pred
        g["r"] += np.exp(th["r"]) * gF.sum(axis=0)
        gm_pred -= ge @ C
        g["C"] -= ge.T @ m_pred

        # variance prediction
        g["q"] += np.exp(th["q"]) * gP_pred.sum(axis=0)
        grho += np.sum(2 * rho * P_old * gP_pred, axis=0)
        gP = rho ** 2 * gP_pred

        # midpoint rule, second stage then first stage
        gk2 = DT * gm_pred
        gz2 = gk2 * (1 - act2 ** 2)
        g["A"] += gz2.T @ m_half
        g["B"] += gz2.T @ u[:, t]
        g["b"] += gz2.sum(axis=0)
        gm_half = gz2 @ A - KAPPA * gk2
        gk1 = 0.5 * DT * gm_half
        gz1 = gk1 * (1 - act1 ** 2)
        g["A"] += gz1.T @ m_old
        g["B"] += gz1.T @ u[:, t]
        g["b"] += gz1.sum(axis=0)
        gm = gm_pred + gm_half + gz1 @ A - KAPPA * gk1
    g["C"] += 2 * C * gC2
    g["a"] += grho * rho * (1 - rho)
    g["m0"] += gm.sum(axis=0)
    g["logP0"] += np.exp(th["logP0"]) * gP.sum(axis=0)
    return g


def make(Target, rng, S=2, T=5, N=3, M=2, K=2):
    th = {
        "A": rng.normal(size=(N, N)),
        "B": rng.normal(size=(N, K)),
        "b": 0.3 * rng.normal(size=N),
        "C": 0.8 * rng.normal(size=(M, N)),
        "a": 1 + 0.5 * rng.normal(size=N),
        "q": -0.7 + 0.3 * rng.normal(size=N),
        "r": -0.7 + 0.3 * rng.normal(size=M),
        "m0": 0.5 * rng.normal(size=N),
        "logP0": 0.3 * rng.normal(size=N),
    }
    y = 1.5 * rng.normal(size=(S, T, M))
    u = rng.normal(size=(S, T, K))
    seen = (rng.random((S, T, M)) > P_MISSING).astype(float)
    seen[0] = 1.0

    def loss():
        return float(filter_forward(th, y, u, seen)[0])

    def grads():
        _, tape = filter_forward(th, y, u, seen)
        return filter_backward(th, y, u, seen, tape)

    return Target(th, loss, grads)


BUGS = {
    "variance-update-slope": ("gP_pred = gP / den ** 2", "gP_pred = gP / den"),
    "gain-term-overwrites": ("gP_pred += gm * gain_e", "gP_pred = gm * gain_e"),
    "innovation-variance-power": ("(1 / F - e ** 2 / F ** 2)", "(1 / F - e ** 2 / F)"),
    "innovation-sign": ("gm_pred -= ge @ C", "gm_pred += ge @ C"),
    "variance-carry-stale": ("gP = rho ** 2 * gP_pred", "gP = rho ** 2 * gP"),
    "midpoint-stale-state": ("g[\"A\"] += gz2.T @ m_half", "g[\"A\"] += gz2.T @ m_old"),
    "first-stage-full-step": ("gk1 = 0.5 * DT * gm_half", "gk1 = DT * gm_half"),
    "carry-a-transposed": ("gm = gm_pred + gm_half + gz1 @ A - KAPPA * gk1", "gm = gm_pred + gm_half + gz1 @ A.T - KAPPA * gk1"),
}
PAIRS = [
    ("gain-term-overwrites", "innovation-variance-power"),
    ("variance-update-slope", "innovation-variance-power"),
    ("midpoint-stale-state", "first-stage-full-step"),
    ("variance-carry-stale", "innovation-sign"),
    ("first-stage-full-step", "carry-a-transposed"),
    ("innovation-variance-power", "midpoint-stale-state"),
]
