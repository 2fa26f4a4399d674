"""Depth-gated (highway) LSTM stack with residual stream and dropout, as a small module library for a thesis.

Every Module keeps a stack `cache`: forward appends, backward pops, so a module may be used once per time step.
    cell   c' = f c + (1 - f) g + inject,  h' = o tanh(c')        inject = 0 in the first layer,
           = d c_low with d = sigmoid(x Wd + wc c + wl c_low + bd) in the higher ones (c_low: new cell of the layer below)
    stack  stream <- stream + dropout(h') after each layer; the streams are averaged over the valid steps and classified.
"""
import numpy as np


def sigmoid(a):
    return 0.5 * (1.0 + np.tanh(0.5 * a))


class Module:
    def __init__(self, **params):
        self.params, self.grads, self.cache = params, {}, []

    def reset(self):
        self.cache = []
        self.grads = {name: np.zeros_like(value) for name, value in self.params.items()}


class Linear(Module):
    def forward(self, x):
        self.cache.append(x)
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dy):
        x = self.cache.pop()
        self.grads["W"] += x.T @ dy
        self.grads["b"] += dy.sum(axis=0)
        return dy @ self.params["W"].T


class Dropout(Module):
    def __init__(self, masks, keep):
        super().__init__()
        self.masks, self.keep = masks, keep

    def forward(self, x):
        mask = self.masks[len(self.cache)]
        self.cache.append(mask)
        return x * mask / self.keep

    def backward(self, dy):
        mask = self.cache.pop()
        return dy * mask / self.keep


class CoupledCell(Module):
    def inject(self, x, c, c_low):
        return 0.0

    def inject_backward(self, dc):
        return 0.0, 0.0, 0.0

    def forward(self, x, h, c, c_low):
        n = h.shape[1]
        z = np.concatenate([x, h], axis=1)
        a = z @ self.params["W"] + self.params["b"]
        f, o, g = sigmoid(a[:, :n]), sigmoid(a[:, n:2 * n]), np.tanh(a[:, 2 * n:])
        c_new = f * c + (1.0 - f) * g + self.inject(x, c, c_low)
        tc = np.tanh(c_new)
        self.cache.append((z, f, o, g, c, tc))
        return o * tc, c_new

    def backward(self, dh, dc):
        z, f, o, g, c, tc = self.cache.pop()
        n = f.shape[1]
        dc = dc + dh * o * (1.0 - tc ** 2)
        da = np.empty((len(z), 3 * n))
        da[:, :n] = dc * (c - g) * f * (1.0 - f)
        da[:, n:2 * n] = dh * tc * o * (1.0 - o)
        da[:, 2 * n:] = dc * (1.0 - f) * (1.0 - g ** 2)
        self.grads["W"] += z.T @ da
        self.grads["b"] += da.sum(axis=0)
        dz = da @ self.params["W"].T
        dx_skip, dc_skip, dc_low = self.inject_backward(dc)
        return dz[:, :-n] + dx_skip, dz[:, -n:], dc * f + dc_skip, dc_low


class DepthGatedCell(CoupledCell):
    def reset(self):
        super().reset()
        self.gate_cache = []

    def inject(self, x, c, c_low):
        p = self.params
        d = sigmoid(x @ p["Wd"] + p["wc"] * c + p["wl"] * c_low + p["bd"])
        self.gate_cache.append((x, c, c_low, d))
        return d * c_low

    def inject_backward(self, dc):
        x, c, c_low, d = self.gate_cache.pop()
        p, g = self.params, self.grads
        dd = dc * c_low * d * (1.0 - d)
        g["Wd"] += x.T @ dd
        g["wc"] += (dd * c).sum(axis=0)
        g["wl"] += (dd * c_low).sum(axis=0)
        g["bd"] += dd.sum(axis=0)
        return dd @ p["Wd"].T, dd * p["wc"], dc * d + dd * p["wl"]


class Classifier(Module):
    def __init__(self, proj, cells, drops, head, x, lengths, labels, h0, c0):
        super().__init__(x=x, h0=h0, c0=c0)
        self.proj, self.cells, self.drops, self.head = proj, cells, drops, head
        self.labels, self.weights = labels, (np.arange(len(x))[:, None] < lengths) / lengths
        self.modules = {"proj": proj, "head": head, "net": self, **{f"cell{l}": cell for l, cell in enumerate(cells)}}

    def named(self, what):
        return {f"{owner}.{name}": value for owner, module in self.modules.items() for name, value in getattr(module, what).items()}

    def forward(self):
        for module in [*self.modules.values(), *self.drops]:
            module.reset()
        x, n_batch = self.params["x"], len(self.labels)
        h = [np.tile(row, (n_batch, 1)) for row in self.params["h0"]]
        c = [np.tile(row, (n_batch, 1)) for row in self.params["c0"]]
        pooled = 0.0
        for t in range(len(x)):
            stream, c_low = self.proj.forward(x[t]), None
            for l, (cell, drop) in enumerate(zip(self.cells, self.drops)):
                h[l], c[l] = cell.forward(stream, h[l], c[l], c_low)
                stream, c_low = stream + drop.forward(h[l]), c[l]
            pooled = pooled + self.weights[t][:, None] * stream
        logits = self.head.forward(pooled)
        logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        self.cache.append(np.exp(logp))
        return float(-logp[np.arange(n_batch), self.labels].mean())

    def backward(self):
        self.forward()
        dlogits = self.cache.pop() - np.eye(len(self.head.params["b"]))[self.labels]
        dpooled = self.head.backward(dlogits / len(self.labels))
        dh, dc = [0.0] * len(self.cells), [0.0] * len(self.cells)
        for t in reversed(range(len(self.weights))):
            dstream, dc_low = self.weights[t][:, None] * dpooled, 0.0
            for l in reversed(range(len(self.cells))):
                dh[l] = dh[l] + self.drops[l].backward(dstream)
                dx, dh[l], dc[l], dc_low = self.cells[l].backward(dh[l], dc[l] + dc_low)
                dstream = dstream + dx
            self.grads["x"][t] = self.proj.backward(dstream)
        for l in range(len(self.cells)):
            self.grads["h0"][l] = dh[l].sum(axis=0)
            self.grads["c0"][l] = dc[l].sum(axis=0)
        return self.named("grads")


def make(Target, rng, T=4, B=2, D=2, H=3, K=2, L=2):
    w = lambda *shape: 0.7 * rng.standard_normal(shape)
    cells = [CoupledCell(W=w(2 * H, 3 * H), b=w(3 * H))]
    cells += [DepthGatedCell(W=w(2 * H, 3 * H), b=w(3 * H), Wd=w(H, H), wc=w(H), wl=w(H), bd=w(H)) for _ in range(L - 1)]
    drops = [Dropout((rng.random((T, B, H)) < 0.7).astype(float), 0.7) for _ in range(L)]
    net = Classifier(Linear(W=w(D, H), b=w(H)), cells, drops, Linear(W=w(H, K), b=w(K)), w(T, B, D),
                     np.maximum(1, T - np.arange(B)), rng.integers(0, K, B), w(L, H), w(L, H))
    return Target(net.named("params"), net.forward, net.backward)


BUGS = {
    "masks-popped-from-the-wrong-end": ("        mask = self.cache.pop()", "        mask = self.cache.pop(0)"),
    "keep-probability-forgotten": ("return dy * mask / self.keep", "return dy * mask"),
    "coupled-gate-sign": ("da[:, :n] = dc * (c - g) * f * (1.0 - f)", "da[:, :n] = dc * (g - c) * f * (1.0 - f)"),
    "tanh-taken-twice": ("dc = dc + dh * o * (1.0 - tc ** 2)", "dc = dc + dh * o * (1.0 - np.tanh(tc) ** 2)"),
    "residual-path-lost": ("dstream = dstream + dx", "dstream = dx"),
    "cell-highway-between-layers-lost": ("self.cells[l].backward(dh[l], dc[l] + dc_low)", "self.cells[l].backward(dh[l], dc[l])"),
    "input-and-recurrent-slices-swapped": ("return dz[:, :-n] + dx_skip, dz[:, -n:], dc * f", "return dz[:, -n:] + dx_skip, dz[:, :-n], dc * f"),
    "linear-bias-not-accumulated": ('self.grads["b"] += dy.sum(axis=0)', 'self.grads["b"] = dy.sum(axis=0)'),
}

PAIRS = [("keep-probability-forgotten", "coupled-gate-sign"), ("residual-path-lost", "tanh-taken-twice"),
         ("cell-highway-between-layers-lost", "linear-bias-not-accumulated")]
