"""my-nn-from-scratch: layers with forward()/backward(), no autograd.

Every layer keeps a stack of caches, so that it can be called once per time step and
walked back in the opposite order. Gradients pile up in layer.grads.
"""
import numpy as np


class Layer:
    def __init__(self, **params):
        self.params = params
        self.reset()

    def reset(self):
        self.cache = []
        self.grads = {k: np.zeros_like(v) for k, v in self.params.items()}


class Embedding(Layer):
    def __init__(self, rng, vocab, dim):
        super().__init__(W=rng.normal(size=(vocab, dim)))

    def forward(self, idx):
        self.cache.append(idx)
        return self.params["W"][idx]

    def backward(self, grad):
        idx = self.cache.pop()
        np.add.at(self.grads["W"], idx, grad)
        return None


class RNNCell(Layer):
    def __init__(self, rng, n_in, n_hidden):
        super().__init__(
            Wx=rng.normal(size=(n_in, n_hidden)) / np.sqrt(n_in),
            Wh=rng.normal(size=(n_hidden, n_hidden)) / np.sqrt(n_hidden),
            b=0.3 * rng.normal(size=n_hidden))

    def reset(self):
        super().reset()
        self.h = 0.0
        self.dh_next = 0.0

    def forward(self, x):
        h_prev = self.h * np.ones((len(x), len(self.params["b"])))
        self.h = np.tanh(x @ self.params["Wx"] + h_prev @ self.params["Wh"] + self.params["b"])
        self.cache.append((x, h_prev, self.h))
        return self.h

    def backward(self, grad):
        x, h_prev, h = self.cache.pop()
        dh = grad + self.dh_next
        da = dh * (1 - h * h)
        self.grads["Wx"] += x.T @ da
        self.grads["Wh"] += h_prev.T @ da
        self.grads["b"] += da.sum(axis=0)
        self.dh_next = da @ self.params["Wh"].T
        return da @ self.params["Wx"].T


class Dense(Layer):
    def __init__(self, rng, n_in, n_out, activation=None):
        self.activation = activation
        super().__init__(W=rng.normal(size=(n_in, n_out)) / np.sqrt(n_in), b=0.3 * rng.normal(size=n_out))

    def forward(self, x):
        out = x @ self.params["W"] + self.params["b"]
        if self.activation == "tanh":
            out = np.tanh(out)
        self.cache.append((x, out))
        return out

    def backward(self, grad):
        x, out = self.cache.pop()
        dz = grad
        if self.activation == "tanh":
            dz = grad * (1 - out ** 2)
        self.grads["W"] += x.T @ dz
        self.grads["b"] += dz.sum(axis=0)
        return dz @ self.params["W"].T


class SoftmaxCE(Layer):
    """Softmax and cross entropy with label smoothing, summed over the batch."""

    def __init__(self, smoothing):
        self.smoothing = smoothing
        super().__init__()

    def forward(self, logits, y):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        self.cache.append((p, y))
        hit = np.log(p[np.arange(len(y)), y])
        return -((1 - self.smoothing) * hit + self.smoothing * np.log(p).mean(axis=1)).sum()

    def backward(self):
        p, y = self.cache.pop()
        target = np.full_like(p, self.smoothing / p.shape[1])
        target[np.arange(len(y)), y] += 1 - self.smoothing
        return p - target


class Trainer:
    def __init__(self, layers, criterion, lam):
        self.layers = layers
        self.criterion = criterion
        self.lam = lam

    def loss(self, X, Y):
        """X, Y: integer arrays (batch, time)."""
        for layer in self.layers + [self.criterion]:
            layer.reset()
        total = 0.0
        for t in range(X.shape[1]):
            out = X[:, t]
            for layer in self.layers:
                out = layer.forward(out)
            total += self.criterion.forward(out, Y[:, t])
        l2 = sum((w ** 2).sum() for layer in self.layers for k, w in layer.params.items() if k[0] == "W")
        return total / X.size + self.lam * l2

    def backward(self, X):
        for t in reversed(range(X.shape[1])):
            grad = self.criterion.backward() / X.size
            for layer in reversed(self.layers):
                grad = layer.backward(grad)
        for layer in self.layers:
            for k in layer.params:
                if k.startswith("W"):
                    layer.grads[k] += 2 * self.lam * layer.params[k]

    def collect(self, what):
        return {f"{type(layer).__name__}{i}.{k}": v
                for i, layer in enumerate(self.layers) for k, v in getattr(layer, what).items()}


def make(Target, rng, B=3, T=4, V=5, D=3, H=4, C=3):
    layers = [Embedding(rng, V, D), RNNCell(rng, D, H), Dense(rng, H, H, "tanh"), RNNCell(rng, H, H), Dense(rng, H, C)]
    trainer = Trainer(layers, SoftmaxCE(0.2), lam=0.02)
    X = rng.integers(0, V, size=(B, T))
    Y = rng.integers(0, C, size=(B, T))

    def loss():
        return float(trainer.loss(X, Y))

    def grads():
        trainer.loss(X, Y)
        trainer.backward(X)
        return trainer.collect("grads")

    return Target(trainer.collect("params"), loss, grads)


BUGS = {
    "recurrent-matrix-not-transposed": ("self.dh_next = da @ self.params[\"Wh\"].T", "self.dh_next = da @ self.params[\"Wh\"]"),
    "Wh-grad-uses-new-state": ("self.grads[\"Wh\"] += h_prev.T @ da", "self.grads[\"Wh\"] += h.T @ da"),
    "dense-bias-overwritten": ("self.grads[\"b\"] += dz.sum(axis=0)", "self.grads[\"b\"] = dz.sum(axis=0)"),
    "dense-input-grad-skips-activation": ("return dz @ self.params[\"W\"].T", "return grad @ self.params[\"W\"].T"),
    "tanh-taken-twice": ("dz = grad * (1 - out ** 2)", "dz = grad * (1 - np.tanh(out) ** 2)"),
    "smoothing-left-out-of-target": ("target[np.arange(len(y)), y] += 1 - self.smoothing", "target[np.arange(len(y)), y] += 1"),
    "l2-factor-two-lost": ("layer.grads[k] += 2 * self.lam * layer.params[k]", "layer.grads[k] += self.lam * layer.params[k]"),
    "embedding-rows-assigned": ("np.add.at(self.grads[\"W\"], idx, grad)", "self.grads[\"W\"][idx] = grad"),
}
PAIRS = [
    ("recurrent-matrix-not-transposed", "Wh-grad-uses-new-state"),
    ("dense-input-grad-skips-activation", "tanh-taken-twice"),
    ("dense-bias-overwritten", "smoothing-left-out-of-target"),
    ("embedding-rows-assigned", "recurrent-matrix-not-transposed"),
    ("Wh-grad-uses-new-state", "l2-factor-two-lost"),
    ("tanh-taken-twice", "recurrent-matrix-not-transposed"),
]
