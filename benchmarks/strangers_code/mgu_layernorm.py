# Minimal gated unit with layer normalisation, regression at every step.
#
#   f_t = sigmoid( LN_f( x_t Wf + h_{t-1} Uf ) )
#   k_t = tanh(    LN_k( x_t Wk + (f_t * h_{t-1}) Uk ) )
#   h_t = (1 - f_t) * h_{t-1} + f_t * k_t
#   y_t = h_t V + c
import numpy as np

EPS = 1e-2


def ln(a, gain, shift):
    mu = a.mean(axis=-1, keepdims=True)
    var = ((a - mu) ** 2).mean(axis=-1, keepdims=True)
    inv = 1.0 / np.sqrt(var + EPS)
    xhat = (a - mu) * inv
    return gain * xhat + shift, (xhat, inv)


def ln_back(dout, gain, mem):
    xhat, inv = mem
    dgain = (dout * xhat).sum(axis=0)
    dshift = dout.sum(axis=0)
    dx = dout * gain
    m1 = dx.mean(axis=-1, keepdims=True)
    m2 = (dx * xhat).mean(axis=-1, keepdims=True)
    return inv * (dx - m1 - xhat * m2), dgain, dshift


def forward(w, X):
    T, B, _ = X.shape
    H = w["Uf"].shape[0]
    h = np.zeros((T + 1, B, H))
    f = np.zeros((T, B, H))
    k = np.zeros((T, B, H))
    mem_f, mem_k = [None] * T, [None] * T
    h[0] = w["h0"]
    for t in range(T):
        prev = h[t]
        nf, mem_f[t] = ln(X[t] @ w["Wf"] + prev @ w["Uf"], w["gf"], w["sf"])
        f[t] = 1 / (1 + np.exp(-nf))
        nk, mem_k[t] = ln(X[t] @ w["Wk"] + (f[t] * prev) @ w["Uk"], w["gk"], w["sk"])
        k[t] = np.tanh(nk)
        h[t + 1] = (1 - f[t]) * prev + f[t] * k[t]
    Y = h[1:] @ w["V"] + w["c"]
    return h, f, k, mem_f, mem_k, Y


def mse(w, X, target):
    Y = forward(w, X)[-1]
    return ((Y - target) ** 2).mean()


def bptt(w, X, target):
    h, f, k, mem_f, mem_k, Y = forward(w, X)
    T, B, _ = X.shape
    d = {name: np.zeros_like(arr) for name, arr in w.items()}

    dY = 2.0 * (Y - target) / Y.size
    d["V"] = np.tensordot(h[1:], dY, axes=([0, 1], [0, 1]))
    d["c"] = dY.sum(axis=(0, 1))

    dh = np.zeros((B, h.shape[2]))
    for t in range(T - 1, -1, -1):
        prev = h[t]
        dh = dh + dY[t] @ w["V"].T

        # candidate
        dk = dh * f[t]
        dnk = dk * (1 - k[t] ** 2)
        dak, dg, ds = ln_back(dnk, w["gk"], mem_k[t])
        d["gk"] += dg
        d["sk"] += ds
        d["Wk"] += X[t].T @ dak
        d["Uk"] += (f[t] * prev).T @ dak
        dfh = dak @ w["Uk"].T

        # gate: once through the mix, once through the reset of the candidate
        df = dh * (k[t] - prev)
        df += dfh * prev
        dnf = df * f[t] * (1 - f[t])
        daf, dg, ds = ln_back(dnf, w["gf"], mem_f[t])
        d["gf"] += dg
        d["sf"] += ds
        d["Wf"] += X[t].T @ daf
        d["Uf"] += prev.T @ daf

        dh = dh * (1 - f[t]) + dfh * f[t] + daf @ w["Uf"].T
    d["h0"] = dh.sum(axis=0)
    return d


def make(Target, rng, T=4, B=3, D=3, H=5, O=2):
    w = {}
    for s in "fk":
        w["W" + s] = rng.normal(size=(D, H))
        w["U" + s] = rng.normal(size=(H, H))
        w["g" + s] = 1 + 0.2 * rng.normal(size=H)
        w["s" + s] = 0.2 * rng.normal(size=H)
    w["V"] = rng.normal(size=(H, O))
    w["c"] = 0.1 * rng.normal(size=O)
    w["h0"] = 0.5 * rng.normal(size=H)
    X = rng.normal(size=(T, B, D))
    target = rng.normal(size=(T, B, O))
    return Target(w, lambda: float(mse(w, X, target)), lambda: bptt(w, X, target))


BUGS = {
    "layernorm-mean-over-batch": ("m2 = (dx * xhat).mean(axis=-1, keepdims=True)", "m2 = (dx * xhat).mean(axis=0, keepdims=True)"),
    "layernorm-mean-term-forgotten": ("return inv * (dx - m1 - xhat * m2), dgain, dshift", "return inv * (dx - xhat * m2), dgain, dshift"),
    "gain-not-applied": ("dx = dout * gain", "dx = dout"),
    "mse-divided-by-batch": ("dY = 2.0 * (Y - target) / Y.size", "dY = 2.0 * (Y - target) / B"),
    "candidate-gets-complement-gate": ("dk = dh * f[t]", "dk = dh * (1 - f[t])"),
    "reset-path-replaces-mix-path": ("df += dfh * prev", "df = dfh * prev"),
    "gate-layernorm-with-candidate-memory": ("daf, dg, ds = ln_back(dnf, w[\"gf\"], mem_f[t])", "daf, dg, ds = ln_back(dnf, w[\"gf\"], mem_k[t])"),
    "gate-recurrence-missing-in-carry": ("dh = dh * (1 - f[t]) + dfh * f[t] + daf @ w[\"Uf\"].T", "dh = dh * (1 - f[t]) + dfh * f[t]"),
}
PAIRS = [("layernorm-mean-over-batch", "candidate-gets-complement-gate"), ("gain-not-applied", "reset-path-replaces-mix-path")]
