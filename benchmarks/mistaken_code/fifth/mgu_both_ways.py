# Bidirectional minimal gated unit (Zhou et al. 2016); words can be missing (padding, dropped).
# Layers are objects: forward() stores what backward() needs.
import numpy as np
from collections import OrderedDict


class Layer:
    def __init__(self):
        self.params = OrderedDict()
        self.grads = OrderedDict()

    def add(self, name, value):
        self.params[name] = value
        self.grads[name] = np.zeros_like(value)

    def zero(self):
        for g in self.grads.values():
            g[...] = 0


class MGU(Layer):
    """f = s(Wf x + Uf h + bf),  c = tanh(Wh x + Uh (f*h) + bh),  h' = (1-f) h + f c.
    Where mask is 0 the state is copied."""

    def __init__(self, d, n, rng, backwards=False):
        super().__init__()
        self.n, self.backwards = n, backwards
        for g in "fh":
            self.add("W" + g, rng.normal(0, 0.9, (d, n)))
            self.add("U" + g, rng.normal(0, 0.9, (n, n)))
            self.add("b" + g, rng.normal(0, 0.3, (n,)))

    def order(self, T):
        return range(T - 1, -1, -1) if self.backwards else range(T)

    def forward(self, xs, mask):
        P = self.params
        T, B, _ = xs.shape
        h = np.zeros((B, self.n))
        out = np.zeros((T, B, self.n))
        self.saved = {}
        for t in self.order(T):
            x, m = xs[t], mask[t][:, None]
            f = 1 / (1 + np.exp(-(x @ P["Wf"] + h @ P["Uf"] + P["bf"])))
            fh = f * h
            c = np.tanh(x @ P["Wh"] + fh @ P["Uh"] + P["bh"])
            self.saved[t] = x, m, h, f, fh, c
            h = m * ((1 - f) * h + f * c) + (1 - m) * h
            out[t] = h
        return out

    def backward(self, dout):
        P, G = self.params, self.grads
        T = dout.shape[0]
        dh = np.zeros_like(dout[0])
        dxs = [None] * T
        for t in reversed(self.order(T)):
            x, m, h, f, fh, c = self.saved[t]
            dh = dh + dout[t]
            dnew = m * dh
            dcopy = (1 - m) * dh
            dc = dnew * f * (1 - c ** 2)
            dfh = dc @ P["Uh"].T
            df = (dnew * (c - h) + dfh * h) * f * (1 - f)
            G["Wh"] += x.T @ dc
            G["Uh"] += fh.T @ dc
            G["bh"] += dc.sum(0)
            G["Wf"] += x.T @ df
            G["Uf"] += h.T @ df
            G["bf"] += df.sum(0)
            dxs[t] = dc @ P["Wh"].T + df @ P["Wf"].T
            dh = dcopy + dnew * (1 - f) + dfh * f + df @ P["Uf"].T
        return np.stack(dxs)


class MaskedMean(Layer):
    def forward(self, hs, mask):
        self.w = mask[:, :, None] / mask.sum(0)[None, :, None]
        return (hs * self.w).sum(0)

    def backward(self, dpool):
        return dpool[None] * self.w


class Logistic(Layer):
    def __init__(self, n, rng):
        super().__init__()
        self.add("w", rng.normal(0, 1.2, (n,)))
        self.add("b", rng.normal(0, 0.3, (1,)))

    def forward(self, v, y):
        self.v, self.y = v, y
        self.p = 1 / (1 + np.exp(-(v @ self.params["w"] + self.params["b"])))
        return -np.mean(y * np.log(self.p) + (1 - y) * np.log(1 - self.p))

    def backward(self):
        ds = (self.p - self.y) / len(self.y)
        self.grads["w"] += self.v.T @ ds
        self.grads["b"] += ds.sum()
        return ds[:, None] * self.params["w"]


class Tagger:
    def __init__(self, d, n, rng):
        self.fw, self.bw = MGU(d, n, rng), MGU(d, n, rng, backwards=True)
        self.pool, self.top = MaskedMean(), Logistic(2 * n, rng)
        self.emb = Layer()
        self.emb.add("E", rng.normal(0, 1, (5, d)))
        self.parts = dict(fw=self.fw, bw=self.bw, top=self.top, emb=self.emb)

    def forward(self, words, mask, y):
        self.words = words
        xs = self.emb.params["E"][words]
        hs = np.concatenate([self.fw.forward(xs, mask), self.bw.forward(xs, mask)], axis=2)
        return self.top.forward(self.pool.forward(hs, mask), y)

    def backward(self):
        for part in self.parts.values():
            part.zero()
        dhs = self.pool.backward(self.top.backward())
        n = self.fw.n
        dxs = self.fw.backward(dhs[:, :, :n])
        dxs += self.bw.backward(dhs[:, :, n:])
        np.add.at(self.emb.grads["E"], self.words, dxs)


def make(rng):
    net = Tagger(2, 3, rng)
    words = rng.integers(0, 5, (5, 3))
    mask = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1], [1, 0, 1]], float)
    y = np.array([1.0, 0.0, 1.0])

    def grads():
        net.forward(words, mask, y)
        net.backward()
        return {f"{k}.{n}": g for k, part in net.parts.items() for n, g in part.grads.items()}

    params = {f"{k}.{n}": v for k, part in net.parts.items() for n, v in part.params.items()}
    return params, lambda: float(net.forward(words, mask, y)), grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


PAIRS = [[('missing 1/N', [97], [('ds = self.p - self.y', 'ds = (self.p - self.y) / len(self.y)')]),
  ('path through the gated state missing', [72], [('(1 - f) + df @', '(1 - f) + dfh * f + df @')])],
 [('mask forgotten in the carry', [72], [('dh = dcopy + dh * (1 - f)', 'dh = dcopy + dnew * (1 - f)')]),
  ('gradient of the candidate for the gate', [70], [('G["bf"] += dc.sum(0)', 'G["bf"] += df.sum(0)')])]]
