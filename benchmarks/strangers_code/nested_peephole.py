"""Nested LSTM with peepholes, functional: every piece returns (value, pull), and pull
takes the gradient of the value plus the accumulator dict g and returns input gradients."""
import numpy as np


def dense(p, key, x, h):
    W, U, b = p["W" + key], p["U" + key], p["b" + key]

    def pull(dy, g):
        g["W" + key] += x.T @ dy
        g["U" + key] += h.T @ dy
        g["b" + key] += dy.sum(axis=0)
        return dy @ W.T, dy @ U.T

    return x @ W + h @ U + b, pull


def gate(p, key, x, h, peek):
    pre, pull_dense = dense(p, key, x, h)
    s = 1.0 / (1.0 + np.exp(-(pre + peek * p["p" + key])))

    def pull(ds, g):
        da = ds * s * (1 - s)
        g["p" + key] += (da * peek).sum(axis=0)
        dx, dh = pull_dense(da, g)
        return dx, dh, da * p["p" + key]

    return s, pull


def squash(p, key, x, h):
    pre, pull_dense = dense(p, key, x, h)
    v = np.tanh(pre)
    return v, lambda dv, g: pull_dense(dv * (1 - v * v), g)


def inner_cell(p, x, h, n):
    """The memory of the outer cell: (x, h, n) -> (m', n')."""
    i, pull_i = gate(p, "_ni", x, h, n)
    f, pull_f = gate(p, "_nf", x, h, n)
    z, pull_z = squash(p, "_nz", x, h)
    n1 = f * n + i * z
    o, pull_o = gate(p, "_no", x, h, n1)
    tn = np.tanh(n1)

    def pull(dm1, dn1, g):
        dx_o, dh_o, dpeek = pull_o(dm1 * tn, g)
        dn1 = dn1 + dpeek + dm1 * o * (1 - tn * tn)
        dx_z, dh_z = pull_z(dn1 * i, g)
        dx_i, dh_i, dn_i = pull_i(dn1 * z, g)
        dx_f, dh_f, dn_f = pull_f(dn1 * n, g)
        dn = dn1 * f + dn_i + dn_f
        return dx_o + dx_z + dx_i + dx_f, dh_o + dh_z + dh_i + dh_f, dn

    return (o * tn, n1), pull


def outer_cell(p, x, state):
    h, m, n = state
    i, pull_i = gate(p, "_i", x, h, m)
    f, pull_f = gate(p, "_f", x, h, m)
    z, pull_z = squash(p, "_z", x, h)
    (m1, n1), pull_inner = inner_cell(p, i * z, f * m, n)
    o, pull_o = gate(p, "_o", x, h, m1)
    tm = np.tanh(m1)

    def pull(dstate, g):
        dh1, dm1, dn1 = dstate
        _, dh_o, dpeek = pull_o(dh1 * tm, g)
        dm1 = dm1 + dh1 * o * (1 - tm * tm) + dpeek
        diz, dfm, dn = pull_inner(dm1, dn1, g)
        _, dh_z = pull_z(diz * i, g)
        _, dh_i, dm_i = pull_i(diz * z, g)
        _, dh_f, dm_f = pull_f(dfm * m, g)
        return dh_o + dh_z + dh_i + dh_f, dfm * f + dm_i + dm_f, dn

    return (o * tm, m1, n1), pull


def scan(p, xs, state):
    hs, pulls = [], []
    for x in xs:
        state, pull = outer_cell(p, x, state)
        hs.append(state[0])
        pulls.append(pull)

    def pull_all(dhs, g):
        dstate = tuple(np.zeros_like(s) for s in state)
        for dh, pull in zip(dhs[::-1], pulls[::-1]):
            dstate = pull((dstate[0] + dh, dstate[1], dstate[2]), g)
        return dstate

    return hs, pull_all


def objective(p, xs, target):
    zero = np.zeros((xs.shape[1], p["V"].shape[0]))
    hs, pull_scan = scan(p, xs, (zero, zero, zero))
    errs = [h @ p["V"] + p["v"] - y for h, y in zip(hs, target)]
    value = sum(0.5 * (e ** 2).sum() for e in errs) / xs.shape[1]

    def pull():
        g = {k: np.zeros_like(a) for k, a in p.items()}
        errs_scaled = [e / xs.shape[1] for e in errs]
        for h, e in zip(hs, errs_scaled):
            g["V"] += h.T @ e
            g["v"] += e.sum(axis=0)
        pull_scan([e @ p["V"].T for e in errs_scaled], g)
        return g

    return value, pull


def make(Target, rng, T=4, B=3, D=3, H=4, Q=2):
    p = {"V": 2.0 * rng.normal(size=(H, Q)), "v": rng.normal(size=Q)}
    for key, n_in in [("_i", D), ("_f", D), ("_z", D), ("_o", D), ("_ni", H), ("_nf", H), ("_nz", H), ("_no", H)]:
        p["W" + key] = 0.8 * rng.normal(size=(n_in, H))
        p["U" + key] = 0.8 * rng.normal(size=(H, H))
        p["b" + key] = 0.5 * rng.normal(size=H)
        if key not in ("_z", "_nz"):
            p["p" + key] = 0.7 * rng.normal(size=H)
    xs = rng.normal(size=(T, B, D))
    target = rng.normal(size=(T, B, Q))
    return Target(p, lambda: float(objective(p, xs, target)[0]), lambda: objective(p, xs, target)[1]())


BUGS = {
    "U-not-transposed": ("return dy @ W.T, dy @ U.T", "return dy @ W.T, dy @ U"),
    "peephole-gradient-before-sigmoid": ("g[\"p\" + key] += (da * peek).sum(axis=0)", "g[\"p\" + key] += (ds * peek).sum(axis=0)"),
    "inner-output-peephole-forgotten": ("dn1 = dn1 + dpeek + dm1 * o * (1 - tn * tn)", "dn1 = dn1 + dm1 * o * (1 - tn * tn)"),
    "inner-forget-times-new-state": ("dx_f, dh_f, dn_f = pull_f(dn1 * n, g)", "dx_f, dh_f, dn_f = pull_f(dn1 * n1, g)"),
    "outer-tanh-derivative-not-squared": ("dm1 = dm1 + dh1 * o * (1 - tm * tm) + dpeek", "dm1 = dm1 + dh1 * o * (1 - tm) + dpeek"),
    "candidate-and-input-gate-swapped": ("_, dh_z = pull_z(diz * i, g)", "_, dh_z = pull_z(diz * z, g)"),
    "time-order-of-loss-gradients": ("for dh, pull in zip(dhs[::-1], pulls[::-1]):", "for dh, pull in zip(dhs, pulls[::-1]):"),
    "scan-gets-unscaled-errors": ("pull_scan([e @ p[\"V\"].T for e in errs_scaled], g)", "pull_scan([e @ p[\"V\"].T for e in errs], g)"),
}
PAIRS = [("U-not-transposed", "inner-output-peephole-forgotten"), ("outer-tanh-derivative-not-squared", "time-order-of-loss-gradients")]
