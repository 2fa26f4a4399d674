"""Tiny layer library.  Every module keeps a stack of caches: forward pushes, backward
pops, so unrolling through time is just calling forward T times and backward T times.
Model: [x_t, y_{t-1}] -> Linear -> Tanh -> variational dropout -> LSTMP -> Linear -> y_t,
partly teacher-forced; Huber loss and L2 penalty on the weight matrices."""
import numpy as np


class Module:
    def __init__(self):
        self.p, self.g, self.stack = {}, {}, []

    def reset(self):
        self.stack, self.g = [], {k: np.zeros_like(v) for k, v in self.p.items()}


class Linear(Module):
    def __init__(self, rng, n_in, n_out):
        super().__init__()
        self.p["W"] = rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)
        self.p["b"] = 0.1 * rng.standard_normal(n_out)

    def forward(self, x):
        self.stack.append(x)
        return x @ self.p["W"] + self.p["b"]

    def backward(self, dy):
        self.g["W"] += self.stack.pop().T @ dy
        self.g["b"] += dy.sum(0)
        return dy @ self.p["W"].T


class Tanh(Module):
    def forward(self, x):
        self.stack.append(np.tanh(x))
        return self.stack[-1]

    def backward(self, dy):
        return dy * (1 - self.stack.pop() ** 2)


class VariationalDropout(Module):
    """One mask for the whole sequence (Gal & Ghahramani)."""

    def __init__(self, rng, batch, n, keep):
        super().__init__()
        self.mask = (rng.random((batch, n)) < keep) / keep

    def forward(self, x):
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


class LSTMPCell(Module):
    """LSTM with diagonal peepholes and a recurrent projection (Sak et al.)."""

    def __init__(self, rng, n_in, n_hid, n_proj):
        super().__init__()
        for k in "ifgo":
            self.p["Wx" + k] = rng.standard_normal((n_in, n_hid)) / np.sqrt(n_in)
            self.p["Wr" + k] = rng.standard_normal((n_proj, n_hid)) / np.sqrt(n_proj)
            self.p["b" + k] = np.full(n_hid, 1.0 if k == "f" else 0.0)
            if k != "g":
                self.p["p" + k] = 0.6 * rng.standard_normal(n_hid)
        self.p["Wp"] = rng.standard_normal((n_hid, n_proj)) / np.sqrt(n_hid)

    def start(self, batch):
        self.r = np.zeros((batch, self.p["Wp"].shape[1]))
        self.c = np.zeros((batch, self.p["Wp"].shape[0]))
        self.dr, self.dc = np.zeros_like(self.r), np.zeros_like(self.c)

    def forward(self, x):
        p, r0, c0 = self.p, self.r, self.c
        pre = {k: x @ p["Wx" + k] + r0 @ p["Wr" + k] + p["b" + k] for k in "ifgo"}
        i = 1 / (1 + np.exp(-(pre["i"] + p["pi"] * c0)))
        f = 1 / (1 + np.exp(-(pre["f"] + p["pf"] * c0)))
        g = np.tanh(pre["g"])
        c = f * c0 + i * g
        o = 1 / (1 + np.exp(-(pre["o"] + p["po"] * c)))
        tc = np.tanh(c)
        h = o * tc
        self.stack.append((x, r0, c0, i, f, g, o, c, tc, h))
        self.r, self.c = h @ p["Wp"], c
        return self.r

    def backward(self, dy):
        p, grad = self.p, self.g
        x, r0, c0, i, f, g, o, c, tc, h = self.stack.pop()
        dr = dy + self.dr
        grad["Wp"] += h.T @ dr
        dh = dr @ p["Wp"].T
        da = {"o": dh * tc * o * (1 - o)}
        dc = self.dc + dh * o * (1 - tc * tc) + da["o"] * p["po"]
        da["i"] = dc * g * i * (1 - i)
        da["f"] = dc * c0 * f * (1 - f)
        da["g"] = dc * i * (1 - g * g)
        grad["pi"] += (da["i"] * c0).sum(0)
        grad["pf"] += (da["f"] * c0).sum(0)
        grad["po"] += (da["o"] * c).sum(0)
        self.dc = dc * f + da["i"] * p["pi"] + da["f"] * p["pf"]
        dx, self.dr = np.zeros_like(x), np.zeros_like(r0)
        for k, d in da.items():
            grad["Wx" + k] += x.T @ d
            grad["Wr" + k] += r0.T @ d
            grad["b" + k] += d.sum(0)
            dx += d @ p["Wx" + k].T
            self.dr += d @ p["Wr" + k].T
        return dx


class Sequential:
    def __init__(self, **layers):
        self.layers = layers

    def forward(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in reversed(list(self.layers.values())):
            dy = layer.backward(dy)
        return dy


def huber(e, delta):
    return np.where(np.abs(e) <= delta, 0.5 * e * e, delta * (np.abs(e) - 0.5 * delta))


def make(Target, rng, T=5, B=3, D=2, H=4, P=3, Y=2):
    net = Sequential(enc=Linear(rng, D + Y, H), act=Tanh(), drop=VariationalDropout(rng, B, H, 0.7),
                     rnn=LSTMPCell(rng, H, H, P), head=Linear(rng, P, Y))
    params = {n + "." + k: v for n, layer in net.layers.items() for k, v in layer.p.items()}
    xs, ys = rng.standard_normal((T, B, D)), 1.5 * rng.standard_normal((T, B, Y))
    forced = rng.random((T, B, 1)) < 0.4
    forced[1] = False
    lam, delta = 0.02, 1.0
    decayed = [k for k, v in params.items() if v.ndim == 2]

    def forward():
        for layer in net.layers.values():
            layer.reset()
        net.layers["rnn"].start(B)
        prev, preds = np.zeros((B, Y)), []
        for t in range(T):
            if t > 0:
                prev = np.where(forced[t], ys[t - 1], preds[-1])
            preds.append(net.forward(np.concatenate([xs[t], prev], axis=1)))
        return np.stack(preds)

    def loss():
        err = forward() - ys
        return float(huber(err, delta).sum() / (T * B) + 0.5 * lam * sum((params[k] ** 2).sum() for k in decayed))

    def grads():
        err = forward() - ys
        dpred = np.clip(err, -delta, delta) / (T * B)
        for t in range(T - 1, -1, -1):
            dinp = net.backward(dpred[t])
            if t > 0:    # own prediction was the input
                dpred[t - 1] += np.where(forced[t], 0.0, dinp[:, D:])
        out = {n + "." + k: v for n, layer in net.layers.items() for k, v in layer.g.items()}
        for k in decayed:
            out[k] += lam * params[k]
        return out

    return Target(params, loss, grads)


BUGS = {
    "carry-cell-missing": ("dc = self.dc + dh * o * (1 - tc * tc)", "dc = dh * o * (1 - tc * tc)"),
    "output-peephole-old-cell": ("grad[\"po\"] += (da[\"o\"] * c).sum(0)", "grad[\"po\"] += (da[\"o\"] * c0).sum(0)"),
    "forget-peephole-term-dropped": ("+ da[\"i\"] * p[\"pi\"] + da[\"f\"] * p[\"pf\"]", "+ da[\"i\"] * p[\"pi\"]"),
    "recurrent-grad-overwritten": ("self.dr += d @ p[\"Wr\" + k].T", "self.dr = d @ p[\"Wr\" + k].T"),
    "dropout-mask-missing": ("return dy * self.mask", "return dy"),
    "candidate-uses-forget-gate": ("da[\"g\"] = dc * i * (1 - g * g)", "da[\"g\"] = dc * f * (1 - g * g)"),
    "huber-not-clipped": ("dpred = np.clip(err, -delta, delta) / (T * B)", "dpred = err / (T * B)"),
    "teacher-forcing-inverted": ("np.where(forced[t], 0.0, dinp[:, D:])", "np.where(forced[t], dinp[:, D:], 0.0)"),
}
PAIRS = [
    ("carry-cell-missing", "dropout-mask-missing"),
    ("output-peephole-old-cell", "teacher-forcing-inverted"),
    ("candidate-uses-forget-gate", "huber-not-clipped"),
]
