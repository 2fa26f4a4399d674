"""LSTM autoencoder.  The decoder rebuilds the sequence back to front, fed with its own
last output; the read-out shares its matrix E with the input embedding."""
import numpy as np


def logistic(v):
    return 1.0 / (1.0 + np.exp(-v))


def step(e, h, c, W, b):
    """One LSTM step on [e, h]; gates packed as i, f, o, g."""
    n = h.shape[1]
    eh = np.hstack([e, h])
    A = eh @ W + b
    i, f, o = logistic(A[:, :n]), logistic(A[:, n:2 * n]), logistic(A[:, 2 * n:3 * n])
    g = np.tanh(A[:, 3 * n:])
    c_new = f * c + i * g
    tc = np.tanh(c_new)
    return o * tc, c_new, (eh, c, i, f, o, g, tc)


def step_back(dh, dc, saved, W, dW, db):
    """Adds to dW, db in place; gives the gradients of e, h and c."""
    eh, c, i, f, o, g, tc = saved
    n = c.shape[1]
    dc = dc + dh * o * (1 - tc * tc)
    dA = np.hstack([
        dc * g * i * (1 - i),
        dc * c * f * (1 - f),
        dh * tc * o * (1 - o),
        dc * i * (1 - g * g),
    ])
    dW += eh.T @ dA
    db += dA.sum(0)
    deh = dA @ W.T
    k = eh.shape[1] - n
    return deh[:, :k], deh[:, k:], dc * f


def run(P, X):
    T, B, D = X.shape
    n = P["Wp"].shape[0]
    h = c = np.zeros((B, n))
    enc = []
    for t in range(T):
        h, c, s = step(X[t] @ P["E"], h, c, P["We"], P["be"])
        enc.append(s)
    dec, hid, out = [], [], []
    e = np.tile(P["go"], (B, 1))
    for t in range(T):
        h, c, s = step(e, h, c, P["Wd"], P["bd"])
        y = h @ P["Wp"] @ P["E"].T + P["by"]
        dec.append(s)
        hid.append(h)
        out.append(y)
        e = y @ P["E"]
    return enc, dec, hid, out


def reconstruction_loss(P, X):
    out = run(P, X)[3]
    R = np.array(out) - X[::-1]
    return 0.5 * np.sum(R * R) / X.shape[1]


def gradients(P, X):
    T, B, D = X.shape
    enc, dec, hid, out = run(P, X)
    G = {k: np.zeros_like(v) for k, v in P.items()}
    dh = np.zeros_like(hid[0])
    dc = np.zeros_like(hid[0])
    dy_next = np.zeros((B, D))       # what the next decoder step wants of this output
    for t in reversed(range(T)):
        dy = (out[t] - X[T - 1 - t]) / B + dy_next
        q = hid[t] @ P["Wp"]
        G["by"] += dy.sum(0)
        G["E"] += dy.T @ q
        dq = dy @ P["E"]
        G["Wp"] += hid[t].T @ dq
        dh = dh + dq @ P["Wp"].T
        de, dh, dc = step_back(dh, dc, dec[t], P["Wd"], G["Wd"], G["bd"])
        if t > 0:
            G["E"] += out[t - 1].T @ de
            dy_next = de @ P["E"].T
        else:
            G["go"] += de.sum(0)
    # the code (h, c) handed over by the encoder
    for t in reversed(range(T)):
        de, dh, dc = step_back(dh, dc, enc[t], P["We"], G["We"], G["be"])
        G["E"] += X[t].T @ de
    return G


def make(Target, rng, T=4, B=3, D=4, K=3, N=4):
    P = {
        "E": 0.6 * rng.standard_normal((D, K)),
        "We": 0.6 * rng.standard_normal((K + N, 4 * N)),
        "be": 0.3 * rng.standard_normal(4 * N),
        "Wd": 0.6 * rng.standard_normal((K + N, 4 * N)),
        "bd": 0.3 * rng.standard_normal(4 * N),
        "Wp": 0.8 * rng.standard_normal((N, K)),
        "go": rng.standard_normal(K),
        "by": 0.3 * rng.standard_normal(D),
    }
    X = rng.standard_normal((T, B, D))
    return Target(P, lambda: float(reconstruction_loss(P, X)), lambda: gradients(P, X))


BUGS = {
    "cell-gradient-not-accumulated": ("dc = dc + dh * o * (1 - tc * tc)", "dc = dh * o * (1 - tc * tc)"),
    "input-and-candidate-mixed-up": ("dc * g * i * (1 - i),", "dc * i * i * (1 - i),"),
    "output-gate-derivative": ("dh * tc * o * (1 - o),", "dh * tc * (1 - o * o),"),
    "target-not-reversed": ("dy = (out[t] - X[T - 1 - t]) / B + dy_next", "dy = (out[t] - X[t]) / B + dy_next"),
    "tied-readout-term-overwritten": ("G[\"E\"] += dy.T @ q", "G[\"E\"] = dy.T @ q"),
    "decoder-hidden-carry-dropped": ("dh = dh + dq @ P[\"Wp\"].T", "dh = dq @ P[\"Wp\"].T"),
    "feedback-uses-own-output": ("G[\"E\"] += out[t - 1].T @ de", "G[\"E\"] += out[t].T @ de"),
    "encoder-backward-with-decoder-weights": ("step_back(dh, dc, enc[t], P[\"We\"], G[\"We\"], G[\"be\"])", "step_back(dh, dc, enc[t], P[\"Wd\"], G[\"We\"], G[\"be\"])"),
}
PAIRS = [("output-gate-derivative", "target-not-reversed"), ("input-and-candidate-mixed-up", "decoder-hidden-carry-dropped")]
