"""Stack of layer objects: clockwork RNN, IndRNN with a residual, layer norm, dense; mean cross-entropy over all steps."""
import numpy as np


class Layer:
    weights = ()

    def collect(self, prefix, grad=False):
        return {f"{prefix}.{w}": getattr(self, "d" + w if grad else w) for w in self.weights}


class Clockwork(Layer):
    """A unit of period p moves at t = 0, p, 2p, ... and listens only to units as slow as itself or slower."""
    weights = ("U", "W", "b")

    def __init__(self, rng, n, m):
        self.U, self.W, self.b = rng.normal(0, 0.6, (n, m)), rng.normal(0, 0.6, (m, m)), rng.normal(0, 0.3, m)
        self.period = np.sort(1 + np.arange(m) % 3)
        self.allow = (self.period[:, None] >= self.period[None, :]).astype(float)

    def forward(self, X):
        self.X = X
        self.on = (np.arange(len(X))[:, None] % self.period == 0).astype(float)
        self.H = np.zeros((len(X) + 1, X.shape[1], len(self.b)))
        self.Z = np.zeros((len(X), X.shape[1], len(self.b)))
        for t, x in enumerate(X):
            self.Z[t] = np.tanh(x @ self.U + self.H[t] @ (self.W * self.allow) + self.b)
            self.H[t + 1] = self.on[t] * self.Z[t] + (1 - self.on[t]) * self.H[t]
        return self.H[1:]

    def backward(self, D):
        self.dU, self.dW, self.db = np.zeros_like(self.U), np.zeros_like(self.W), np.zeros_like(self.b)
        dX = np.zeros_like(self.X)
        later = np.zeros_like(D[0])
        for t in range(len(D))[::-1]:
            later = later + D[t]
            da = later * self.on[t] * (1 - self.Z[t] ** 2)
            self.dU += self.X[t].T @ da
            self.dW += (self.H[t].T @ da) * self.allow
            self.db += da.sum(0)
            dX[t] = da @ self.U.T
            idle = later * (1 - self.on[t])
            later = idle + da @ (self.W * self.allow).T
        return dX


class IndRNN(Layer):
    """Softplus units, each with one recurrent weight of its own; the input is added to the output."""
    weights = ("V", "u", "b")

    def __init__(self, rng, m):
        self.V, self.u, self.b = rng.normal(0, 0.6, (m, m)), rng.normal(0, 0.5, m), rng.normal(0, 0.3, m)

    def forward(self, X):
        self.X, self.S = X, [np.zeros_like(X[0])]
        for x in X:
            self.S.append(np.log1p(np.exp(x @ self.V + self.u * self.S[-1] + self.b)))
        return np.array(self.S[1:]) + X

    def backward(self, D):
        dA = np.zeros_like(D)
        carry = 0.0
        for t in range(len(D))[::-1]:
            slope = 1 - np.exp(-self.S[t + 1])
            dA[t] = (D[t] + carry) * slope
            carry = dA[t] * self.u
        self.du = sum((dA[t] * self.S[t]).sum(0) for t in range(len(D)))
        self.db = dA.sum((0, 1))
        self.dV = np.tensordot(self.X, dA, ([0, 1], [0, 1]))
        return dA @ self.V.T + D


class LayerNorm(Layer):
    weights = ("gain", "shift")

    def __init__(self, rng, m):
        self.gain, self.shift = rng.normal(1, 0.3, m), rng.normal(0, 0.3, m)

    def forward(self, X):
        self.std = np.sqrt(X.var(-1, keepdims=True) + 1e-3)
        self.n = (X - X.mean(-1, keepdims=True)) / self.std
        return self.n * self.gain + self.shift

    def backward(self, D):
        self.dgain = (D * self.n).sum((0, 1))
        self.dshift = D.sum((0, 1))
        dn = D * self.gain
        centred = dn - dn.mean(-1, keepdims=True)
        return (centred - self.n * (dn * self.n).mean(-1, keepdims=True)) / self.std


class Dense(Layer):
    weights = ("W", "b")

    def __init__(self, rng, m, k):
        self.W, self.b = rng.normal(0, 1, (m, k)), rng.normal(0, 0.3, k)

    def forward(self, X):
        self.X = X
        return X @ self.W + self.b

    def backward(self, D):
        self.dW = np.tensordot(self.X, D, ([0, 1], [0, 1]))
        self.db = D.sum(axis=(0, 1))
        return D @ self.W.T


class Stack:
    def __init__(self, *layers):
        self.layers = layers

    def named(self, grad=False):
        return {k: v for i, layer in enumerate(self.layers) for k, v in layer.collect(f"{i}.{type(layer).__name__}", grad).items()}

    def loss(self, X, labels):
        for layer in self.layers:
            X = layer.forward(X)
        q = X - X.max(-1, keepdims=True)
        self.logp = q - np.log(np.exp(q).sum(-1, keepdims=True))
        return -np.take_along_axis(self.logp, labels[..., None], -1).mean()

    def gradients(self, X, labels):
        self.loss(X, labels)
        D = (np.exp(self.logp) - np.eye(self.logp.shape[-1])[labels]) / labels.size
        for layer in reversed(self.layers):
            D = layer.backward(D)
        return self.named(grad=True)


def make(Target, rng, T=5, B=2, D=3, H=4):
    net = Stack(Clockwork(rng, D, H), IndRNN(rng, H), LayerNorm(rng, H), Dense(rng, H, 3))
    X, labels = rng.normal(size=(T, B, D)), rng.integers(0, 3, (T, B))
    return Target(net.named(), lambda: net.loss(X, labels), lambda: net.gradients(X, labels))


BUGS = {
    "idle-units-forget": ("later = idle + da @ (self.W * self.allow).T", "later = da @ (self.W * self.allow).T"),
    "forbidden-links-in-carry": ("later = idle + da @ (self.W * self.allow).T", "later = idle + da @ self.W.T"),
    "forbidden-links-get-gradient": ("self.dW += (self.H[t].T @ da) * self.allow", "self.dW += self.H[t].T @ da"),
    "clock-not-applied": ("da = later * self.on[t] * (1 - self.Z[t] ** 2)", "da = later * (1 - self.Z[t] ** 2)"),
    "softplus-slope-of-output": ("slope = 1 - np.exp(-self.S[t + 1])", "slope = 1 / (1 + np.exp(-self.S[t + 1]))"),
    "residual-path-missing": ("return dA @ self.V.T + D", "return dA @ self.V.T"),
    "own-weight-gets-new-state": ("self.du = sum((dA[t] * self.S[t]).sum(0) for t in range(len(D)))", "self.du = sum((dA[t] * self.S[t + 1]).sum(0) for t in range(len(D)))"),
    "norm-divides-by-variance": ("return (centred - self.n * (dn * self.n).mean(-1, keepdims=True)) / self.std", "return (centred - self.n * (dn * self.n).mean(-1, keepdims=True)) / self.std ** 2"),
}

PAIRS = [
    ("forbidden-links-get-gradient", "residual-path-missing"),
    ("idle-units-forget", "softplus-slope-of-output"),
]
