"""tinyseq: the smallest layer library I could get away with.

Every layer maps a (time, batch, features) array to another one, keeps what it needs on `self`
during forward(), and fills self.g[...] during backward().  Parameters are addressed from the
outside as "layer/name".
"""
import numpy as np


class Layer:
    def __init__(self, name, **params):
        self.name, self.p, self.g = name, params, {}

    def zero_grad(self):
        self.g = {k: np.zeros_like(v) for k, v in self.p.items()}

    def children(self):
        return [self]


def logistic(a):
    return 1.0 / (1.0 + np.exp(-a))


class MGU(Layer):
    """Minimal gated unit (Zhou et al. 2016): a GRU with a single gate."""

    def __init__(self, name, n_in, n, rng):
        init = lambda *s: rng.normal(0.0, 0.8, s)
        super().__init__(name, Wf=init(n_in, n), Wc=init(n_in, n), Uf=init(n, n), Uc=init(n, n),
                         bf=init(n), bc=init(n), h0=init(n))

    def forward(self, x):
        p, self.x = self.p, x
        self.hs = [np.broadcast_to(p["h0"], (x.shape[1], len(p["h0"])))]
        self.fs, self.cs = [], []
        for xt in x:
            h = self.hs[-1]
            f = logistic(xt @ p["Wf"] + h @ p["Uf"] + p["bf"])
            c = np.tanh(xt @ p["Wc"] + (f * h) @ p["Uc"] + p["bc"])
            for kept, value in zip((self.fs, self.cs, self.hs), (f, c, (1.0 - f) * h + f * c)):
                kept.append(value)
        return np.stack(self.hs[1:])

    def backward(self, dout):
        p, g = self.p, self.g
        dx = np.empty_like(self.x)
        carry = np.zeros_like(dout[0])
        for t in reversed(range(len(dout))):
            h, f, c = self.hs[t], self.fs[t], self.cs[t]
            dh = dout[t] + carry
            dac = dh * f * (1.0 - c * c)
            dfh = dac @ p["Uc"].T
            daf = (dh * (c - h) + dfh * h) * f * (1.0 - f)
            carry = dh * (1.0 - f) + dfh * f + daf @ p["Uf"].T
            dx[t] = dac @ p["Wc"].T + daf @ p["Wf"].T
            g["Wf"] += self.x[t].T @ daf
            g["Wc"] += self.x[t].T @ dac
            g["Uf"] += h.T @ daf
            g["Uc"] += (f * h).T @ dac
            g["bf"] += daf.sum(axis=0)
            g["bc"] += dac.sum(axis=0)
        g["h0"] += carry.sum(axis=0)
        return dx


class CoupledLSTM(Layer):
    """LSTM with input gate = 1 - forget gate.  Can read the sequence from its end."""

    def __init__(self, name, n_in, n, rng, from_end=False):
        super().__init__(name, W=rng.normal(0, 0.8, (n_in, 3 * n)), U=rng.normal(0, 0.8, (n, 3 * n)),
                         b=rng.normal(0, 0.4, 3 * n))
        self.n, self.from_end = n, from_end

    def order(self, T):
        return list(range(T))[::-1] if self.from_end else list(range(T))

    def forward(self, x):
        T, B, _ = x.shape
        self.x, self.tape = x, [None] * T
        h, c = np.zeros((B, self.n)), np.zeros((B, self.n))
        y = np.empty((T, B, self.n))
        for t in self.order(T):
            f, o, i = np.split(x[t] @ self.p["W"] + h @ self.p["U"] + self.p["b"], 3, axis=1)
            f, o, i = logistic(f), logistic(o), np.tanh(i)
            c_new = f * c + (1.0 - f) * i
            self.tape[t] = (h, c, f, o, i, np.tanh(c_new))
            h, c = o * self.tape[t][-1], c_new
            y[t] = h
        return y

    def backward(self, dout):
        dx = np.empty_like(self.x)
        dh, dc = np.zeros_like(dout[0]), np.zeros_like(dout[0])
        for t in reversed(self.order(len(dout))):
            h_prev, c_prev, f, o, i, tc = self.tape[t]
            dh = dh + dout[t]
            dc = dc + dh * o * (1.0 - tc ** 2)
            daf, dao = dc * (c_prev - i) * f * (1.0 - f), dh * tc * o * (1.0 - o)
            dai = dc * (1.0 - f) * (1.0 - i ** 2)
            da = np.concatenate([daf, dao, dai], axis=1)
            dh, dc = da @ self.p["U"].T, dc * f
            dx[t] = da @ self.p["W"].T
            self.g["W"] += self.x[t].T @ da
            self.g["U"] += h_prev.T @ da
            self.g["b"] += da.sum(axis=0)
        return dx


class LayerNorm(Layer):
    def __init__(self, name, n, rng, eps=1e-3):
        super().__init__(name, gain=1.0 + rng.normal(0, 0.4, n), shift=rng.normal(0, 0.4, n))
        self.eps = eps

    def forward(self, x):
        xc = x - x.mean(axis=-1, keepdims=True)
        self.std = np.sqrt((xc ** 2).mean(axis=-1, keepdims=True) + self.eps)
        self.xhat = xc / self.std
        return self.xhat * self.p["gain"] + self.p["shift"]

    def backward(self, dout):
        self.g["gain"] += (dout * self.xhat).sum(axis=(0, 1))
        self.g["shift"] += dout.sum(axis=(0, 1))
        dxhat = dout * self.p["gain"]
        along = (dxhat * self.xhat).mean(axis=-1, keepdims=True)
        return (dxhat - dxhat.mean(axis=-1, keepdims=True) - self.xhat * along) / self.std


class LockedDropout(Layer):
    """One mask for all time steps; drawn once, so that the loss is a fixed function."""

    def __init__(self, name, keep, mask):
        super().__init__(name)
        self.keep, self.mask = keep, mask

    def forward(self, x):
        return x * self.mask / self.keep

    def backward(self, dout):
        return dout / self.keep * self.mask


class Residual(Layer):
    def __init__(self, inner):
        self.inner = inner

    def children(self):
        return self.inner.children()

    def forward(self, x):
        return self.inner.forward(x) + x

    def backward(self, dout):
        return self.inner.backward(dout) + dout


class Dense(Layer):
    def __init__(self, name, n_in, n, rng):
        super().__init__(name, W=rng.normal(0, 0.9, (n_in, n)), b=rng.normal(0, 0.3, n))

    def forward(self, x):
        self.x = x
        return x @ self.p["W"] + self.p["b"]

    def backward(self, dout):
        self.g["W"] += np.tensordot(self.x, dout, axes=([0, 1], [0, 1]))
        self.g["b"] += dout.sum(axis=(0, 1))
        return dout @ self.p["W"].T


class Sequential:
    def __init__(self, *layers):
        self.layers = layers

    def named(self, what):
        return {f"{l.name}/{k}": v for box in self.layers for l in box.children() for k, v in getattr(l, what).items()}

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, d):
        for layer in self.layers[::-1]:
            for leaf in layer.children():
                leaf.zero_grad()
            d = layer.backward(d)
        return self.named("g")


def make(Target, rng, T=5, B=3, H=4, features=3, outputs=2):
    net = Sequential(
        MGU("mgu", features, H, rng), LayerNorm("norm", H, rng),
        LockedDropout("drop", 0.7, (np.arange(B * H).reshape(B, H) % 4 != 1).astype(float)),
        Residual(CoupledLSTM("cifg", H, H, rng, from_end=True)), Dense("out", H, outputs, rng))
    x, want = rng.normal(0, 1, (T, B, features)), rng.normal(0, 1, (T, B, outputs))

    def loss():
        return float(np.mean((net.forward(x) - want) ** 2))

    def grads():
        err = net.forward(x) - want
        return net.backward(2.0 * err / err.size)

    return Target(net.named("p"), loss, grads)


BUGS = {
    "residual-skip-forgotten": ("return self.inner.backward(dout) + dout", "return self.inner.backward(dout)"),
    "norm-projection-over-time": ("along = (dxhat * self.xhat).mean(axis=-1, keepdims=True)", "along = (dxhat * self.xhat).mean(axis=0, keepdims=True)"),
    "dropout-scale-forgotten": ("return dout / self.keep * self.mask", "return dout * self.mask"),
    "mgu-state-after-the-step": ("h, f, c = self.hs[t], self.fs[t], self.cs[t]", "h, f, c = self.hs[t + 1], self.fs[t], self.cs[t]"),
    "mgu-candidate-not-transposed": ("dfh = dac @ p[\"Uc\"].T", "dfh = dac @ p[\"Uc\"]"),
    "cifg-gates-packed-wrong": ("da = np.concatenate([daf, dao, dai], axis=1)", "da = np.concatenate([daf, dai, dao], axis=1)"),
    "cifg-walks-same-way-as-forward": ("for t in reversed(self.order(len(dout))):", "for t in self.order(len(dout)):"),
    "cifg-bias-assigned": ("self.g[\"b\"] += da.sum(axis=0)", "self.g[\"b\"] = da.sum(axis=0)"),
}
PAIRS = [
    ("residual-skip-forgotten", "mgu-state-after-the-step"),
    ("norm-projection-over-time", "cifg-gates-packed-wrong"),
    ("dropout-scale-forgotten", "cifg-bias-assigned"),
    ("mgu-candidate-not-transposed", "cifg-walks-same-way-as-forward"),
    ("residual-skip-forgotten", "cifg-bias-assigned"),
    ("mgu-state-after-the-step", "dropout-scale-forgotten"),
]
