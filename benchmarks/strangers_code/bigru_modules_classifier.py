"""minilayers: tiny layer library + a bidirectional GRU sequence classifier.

All layers follow the same protocol
    out  = layer.forward(inp)
    dinp = layer.backward(dout)      # fills layer.grads, uses self.cache
Sequences are batch-first, (batch, time, features); `pad` is 1.0 for real frames, 0.0 for padding.
"""
import numpy as np


def logistic(a):
    return 0.5 * (1 + np.tanh(0.5 * a))


class Layer:
    def __init__(self):
        self.params, self.grads, self.cache = {}, {}, []

    def add(self, name, value):
        self.params[name] = value
        self.grads[name] = np.zeros_like(value)

    def zero(self):
        self.cache = []
        for k in self.grads:
            self.grads[k] = np.zeros_like(self.params[k])


class Dense(Layer):
    def __init__(self, n_in, n_out, rng):
        super().__init__()
        self.add("W", rng.normal(0, 1.2 / np.sqrt(n_in), (n_in, n_out)))
        self.add("b", rng.normal(0, 0.3, n_out))

    def forward(self, inp):
        self.cache.append(inp)
        return inp @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        inp = self.cache.pop()
        self.grads["W"] += np.tensordot(inp, dout, axes=(range(inp.ndim - 1), range(inp.ndim - 1)))
        self.grads["b"] += dout.reshape(-1, dout.shape[-1]).sum(axis=0)
        return dout @ self.params["W"].T


class Tanh(Layer):
    def forward(self, inp):
        self.cache.append(np.tanh(inp))
        return self.cache[-1]

    def backward(self, dout):
        return dout * (1 - self.cache.pop() ** 2)


class FixedDropout(Layer):
    """the mask is drawn once, so that a gradient check is possible"""
    def __init__(self, keep_mask, keep_prob):
        super().__init__()
        self.keep_mask, self.keep_prob = keep_mask, keep_prob

    def forward(self, inp):
        return inp * self.keep_mask / self.keep_prob

    def backward(self, dout):
        return dout * self.keep_mask / self.keep_prob


class GRU(Layer):
    """cuDNN flavour: the reset gate is applied after the recurrent product."""
    def __init__(self, n_in, n_hid, rng, reverse=False):
        super().__init__()
        self.n_hid, self.reverse = n_hid, reverse
        self.add("Wi", rng.normal(0, 1.0 / np.sqrt(n_in), (n_in, 3 * n_hid)))
        self.add("Wh", rng.normal(0, 1.0 / np.sqrt(n_hid), (n_hid, 3 * n_hid)))
        self.add("bi", rng.normal(0, 0.3, 3 * n_hid))
        self.add("bh", rng.normal(0, 0.3, 3 * n_hid))

    def forward(self, seq, pad):
        h = np.zeros((seq.shape[0], self.n_hid))
        out = np.zeros(seq.shape[:2] + (self.n_hid,))
        steps = range(seq.shape[1])
        for t in (reversed(steps) if self.reverse else steps):
            gi_r, gi_u, gi_n = np.split(seq[:, t] @ self.params["Wi"] + self.params["bi"], 3, axis=1)
            gh_r, gh_u, gh_n = np.split(h @ self.params["Wh"] + self.params["bh"], 3, axis=1)
            r, u = logistic(gi_r + gh_r), logistic(gi_u + gh_u)
            n = np.tanh(gi_n + r * gh_n)
            m = pad[:, t, None]
            self.cache.append((t, seq[:, t], h, r, u, n, gh_n, m))
            h = m * ((1 - u) * n + u * h) + (1 - m) * h
            out[:, t] = h
        return out

    def backward(self, dout):
        dseq = np.zeros(dout.shape[:2] + (self.params["Wi"].shape[0],))
        dh = np.zeros((dout.shape[0], self.n_hid))
        while self.cache:
            t, x, h_prev, r, u, n, gh_n, m = self.cache.pop()
            dh = dh + dout[:, t]
            dnew = dh * m
            dh_prev = dh * (1 - m) + dnew * u
            dan = dnew * (1 - u) * (1 - n ** 2)
            dau = dnew * (h_prev - n) * u * (1 - u)
            dar = dan * gh_n * r * (1 - r)
            dgi = np.hstack([dar, dau, dan])
            dgh = np.hstack([dar, dau, dan * r])
            self.grads["Wi"] += x.T @ dgi
            self.grads["bi"] += dgi.sum(axis=0)
            self.grads["Wh"] += h_prev.T @ dgh
            self.grads["bh"] += dgh.sum(axis=0)
            dseq[:, t] = dgi @ self.params["Wi"].T
            dh = dh_prev + dgh @ self.params["Wh"].T
        return dseq


class MaskedMean(Layer):
    def forward(self, seq, pad):
        w = pad / pad.sum(axis=1, keepdims=True)
        self.cache.append(w)
        return (seq * w[:, :, None]).sum(axis=1)

    def backward(self, dout):
        w = self.cache.pop()
        return dout[:, None, :] * w[:, :, None]


class BiGRUClassifier:
    def __init__(self, n_feat, n_proj, n_hid, n_class, keep_mask, keep_prob, rng):
        self.proj, self.act = Dense(n_feat, n_proj, rng), Tanh()
        self.ltr = GRU(n_proj, n_hid, rng)
        self.rtl = GRU(n_proj, n_hid, rng, reverse=True)
        self.pool, self.drop = MaskedMean(), FixedDropout(keep_mask, keep_prob)
        self.clf = Dense(2 * n_hid, n_class, rng)
        self.layers = {"proj": self.proj, "act": self.act, "ltr": self.ltr, "rtl": self.rtl,
                       "pool": self.pool, "drop": self.drop, "clf": self.clf}

    def forward(self, seq, pad):
        for layer in self.layers.values():
            layer.zero()
        e = self.act.forward(self.proj.forward(seq))
        both = np.concatenate([self.ltr.forward(e, pad), self.rtl.forward(e, pad)], axis=-1)
        return self.clf.forward(self.drop.forward(self.pool.forward(both, pad)))

    def backward(self, dlogits):
        dboth = self.pool.backward(self.drop.backward(self.clf.backward(dlogits)))
        H = self.ltr.n_hid
        de = self.ltr.backward(dboth[..., :H])
        de += self.rtl.backward(dboth[..., H:])
        self.proj.backward(self.act.backward(de))


def cross_entropy(logits, labels):
    z = logits - logits.max(axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    rows = np.arange(len(labels))
    dlogits = np.exp(logp)
    dlogits[rows, labels] -= 1
    return float(-logp[rows, labels].mean()), dlogits / len(labels)


def make(Target, rng, batch=3, time=5, n_feat=2, n_proj=3, n_hid=3, n_class=4):
    keep_prob = 0.8
    keep_mask = (rng.random((batch, 2 * n_hid)) < keep_prob).astype(float)
    net = BiGRUClassifier(n_feat, n_proj, n_hid, n_class, keep_mask, keep_prob, rng)
    seq = rng.normal(size=(batch, time, n_feat))
    labels = rng.integers(0, n_class, batch)
    lengths = np.maximum(1, time - np.arange(batch) * 2)     # sorted, as pack_padded_sequence likes it
    pad = (np.arange(time) < lengths[:, None]).astype(float)
    params = {f"{ln}.{pn}": p for ln, layer in net.layers.items() for pn, p in layer.params.items()}

    def loss():
        return cross_entropy(net.forward(seq, pad), labels)[0]

    def grads():
        _, dlogits = cross_entropy(net.forward(seq, pad), labels)
        net.backward(dlogits)
        return {f"{ln}.{pn}": g for ln, layer in net.layers.items() for pn, g in layer.grads.items()}

    return Target(params, loss, grads)


BUGS = {
    "dense-bias-sums-everything": ("dout.reshape(-1, dout.shape[-1]).sum(axis=0)", "dout.reshape(-1, dout.shape[-1]).sum()"),
    "dropout-not-rescaled-back": ("return dout * self.keep_mask / self.keep_prob", "return dout * self.keep_mask"),
    "pad-mask-forgotten-in-step": ("dnew = dh * m", "dnew = dh"),
    "update-gate-sign": ("dau = dnew * (h_prev - n) * u * (1 - u)", "dau = dnew * (n - h_prev) * u * (1 - u)"),
    "reset-gate-slope-left-out": ("dar = dan * gh_n * r * (1 - r)", "dar = dan * gh_n"),
    "candidate-recurrent-not-reset": ("dgh = np.hstack([dar, dau, dan * r])", "dgh = np.hstack([dar, dau, dan])"),
    "direct-carry-forgotten": ("dh = dh_prev + dgh @ self.params[\"Wh\"].T", "dh = dgh @ self.params[\"Wh\"].T"),
    "rtl-gets-ltr-slice": ("de += self.rtl.backward(dboth[..., H:])", "de += self.rtl.backward(dboth[..., :H])"),
}
PAIRS = [
    ("dropout-not-rescaled-back", "update-gate-sign"),
    ("rtl-gets-ltr-slice", "candidate-recurrent-not-reset"),
    ("pad-mask-forgotten-in-step", "reset-gate-slope-left-out"),
    ("reset-gate-slope-left-out", "candidate-recurrent-not-reset"),
    ("direct-carry-forgotten", "dense-bias-sums-everything"),
    ("update-gate-sign", "direct-carry-forgotten"),
]
