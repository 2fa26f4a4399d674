# Homework 3, question 2: gated recurrent unit.
# x is (T, B, D); one output distribution per time step.
import numpy as np


def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


def init_params(D, H, C, rng):
    p = {}
    for gate in ("r", "z", "n"):
        p["W" + gate] = rng.standard_normal((D, H)) * 0.7
        p["U" + gate] = rng.standard_normal((H, H)) * 0.6
        p["b" + gate] = rng.standard_normal(H) * 0.2
    p["bnh"] = rng.standard_normal(H) * 0.3
    p["h0"] = rng.standard_normal(H) * 0.5
    p["Wy"] = rng.standard_normal((H, C)) * 0.8
    p["by"] = rng.standard_normal(C) * 0.1
    return p


def gru_forward(x, y, p):
    """Returns the mean cross entropy and everything backward needs.

    r = sig(x Wr + h Ur + br)
    z = sig(x Wz + h Uz + bz)
    n = tanh(x Wn + bn + r * (h Un + bnh))
    h' = (1 - z) * n + z * h
    """
    T, B, D = x.shape
    h = np.tile(p["h0"], (B, 1))
    caches = []
    total = 0.0
    for t in range(T):
        h_prev = h
        r = sigmoid(x[t] @ p["Wr"] + h_prev @ p["Ur"] + p["br"])
        z = sigmoid(x[t] @ p["Wz"] + h_prev @ p["Uz"] + p["bz"])
        hn = h_prev @ p["Un"] + p["bnh"]
        n = np.tanh(x[t] @ p["Wn"] + p["bn"] + r * hn)
        h = (1 - z) * n + z * h_prev

        scores = h @ p["Wy"] + p["by"]
        scores = scores - scores.max(axis=1, keepdims=True)
        probs = np.exp(scores)
        probs /= probs.sum(axis=1, keepdims=True)
        total -= np.log(probs[np.arange(B), y[t]]).sum()

        caches.append((x[t], h_prev, r, z, hn, n, h, probs))
    return total / (T * B), caches


def gru_backward(y, p, caches):
    T = len(caches)
    B = y.shape[1]
    g = {k: np.zeros_like(v) for k, v in p.items()}
    dh_next = np.zeros((B, p["h0"].size))
    for t in reversed(range(T)):
        xt, h_prev, r, z, hn, n, h, probs = caches[t]

        # softmax + cross entropy
        dscores = probs.copy()
        dscores[np.arange(B), y[t]] -= 1
        dscores /= T * B
        g["Wy"] += h.T @ dscores
        g["by"] += dscores.sum(axis=0)
        dh = dscores @ p["Wy"].T + dh_next

        # h = (1 - z) * n + z * h_prev
        dn = dh * (1 - z)
        dz = dh * (h_prev - n)
        dh_prev = dh * z

        # candidate
        da_n = dn * (1 - n ** 2)
        g["Wn"] += xt.T @ da_n
        g["bn"] += da_n.sum(axis=0)
        dr = da_n * hn
        dhn = da_n * r
        g["Un"] += h_prev.T @ dhn
        g["bnh"] += dhn.sum(axis=0)
        dh_prev += dhn @ p["Un"].T

        # update gate
        da_z = dz * z * (1 - z)
        g["Wz"] += xt.T @ da_z
        g["Uz"] += h_prev.T @ da_z
        g["bz"] += da_z.sum(axis=0)
        dh_prev += da_z @ p["Uz"].T

        # reset gate
        da_r = dr * r * (1 - r)
        g["Wr"] += xt.T @ da_r
        g["Ur"] += h_prev.T @ da_r
        g["br"] += da_r.sum(axis=0)
        dh_prev += da_r @ p["Ur"].T

        dh_next = dh_prev
    g["h0"] = dh_next.sum(axis=0)
    return g


def make(Target, rng, T=4, B=3, D=3, H=4, C=5):
    p = init_params(D, H, C, rng)
    x = rng.standard_normal((T, B, D))
    y = rng.integers(0, C, (T, B))

    def loss():
        return float(gru_forward(x, y, p)[0])

    def grads():
        _, caches = gru_forward(x, y, p)
        return gru_backward(y, p, caches)

    return Target(p, loss, grads)


BUGS = {
    "mean-over-batch-only": ("dscores /= T * B", "dscores /= B"),
    "carry-dropped": ('dh = dscores @ p["Wy"].T + dh_next', 'dh = dscores @ p["Wy"].T'),
    "z-sign": ("dz = dh * (h_prev - n)", "dz = dh * (n - h_prev)"),
    "Un-missing-reset-gate": ('g["Un"] += h_prev.T @ dhn', 'g["Un"] += h_prev.T @ da_n'),
    "dr-wrong-saved-value": ("dr = da_n * hn", "dr = da_n * h_prev"),
    "Uz-not-transposed": ('dh_prev += da_z @ p["Uz"].T', 'dh_prev += da_z @ p["Uz"]'),
    "tanh-derivative-for-sigmoid": ("da_r = dr * r * (1 - r)", "da_r = dr * (1 - r ** 2)"),
    "candidate-path-overwrites": ('dh_prev += dhn @ p["Un"].T', 'dh_prev = dhn @ p["Un"].T'),
}
PAIRS = [("carry-dropped", "Un-missing-reset-gate"), ("z-sign", "tanh-derivative-for-sigmoid")]
