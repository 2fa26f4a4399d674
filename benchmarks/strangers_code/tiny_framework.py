"""A tiny deep learning framework with an Elman RNN layer."""
import numpy as np


class Layer:
    def __init__(self):
        self.params = {}
        self.grads = {}

    def add(self, name, value):
        self.params[name] = value
        self.grads[name] = np.zeros_like(value)

    def zero_grad(self):
        for g in self.grads.values():
            g.fill(0.0)


class Linear(Layer):
    def __init__(self, rng, n_in, n_out):
        super().__init__()
        self.add("weight", rng.normal(size=(n_out, n_in)) / np.sqrt(n_in))
        self.add("bias", 0.2 * rng.normal(size=n_out))

    def forward(self, x):
        self.x = x
        return x @ self.params["weight"].T + self.params["bias"]

    def backward(self, grad):
        flat_x = self.x.reshape(-1, self.x.shape[-1])
        flat_g = grad.reshape(-1, grad.shape[-1])
        self.grads["weight"] += flat_g.T @ flat_x
        self.grads["bias"] += flat_g.sum(axis=0)
        return grad @ self.params["weight"]


class ReLU(Layer):
    def forward(self, x):
        self.x = x
        return np.maximum(x, 0.0)

    def backward(self, grad):
        return grad * (self.x > 0)


class RNN(Layer):
    """Input (T, B, n_in), output (T, B, n_hidden), learned initial state."""

    def __init__(self, rng, n_in, n_hidden):
        super().__init__()
        self.add("w_ih", rng.normal(size=(n_hidden, n_in)) / np.sqrt(n_in))
        self.add("w_hh", rng.normal(size=(n_hidden, n_hidden)) / np.sqrt(n_hidden))
        self.add("bias", 0.2 * rng.normal(size=n_hidden))
        self.add("h0", 0.5 * rng.normal(size=n_hidden))

    def forward(self, x):
        T, B, _ = x.shape
        w_ih, w_hh = self.params["w_ih"], self.params["w_hh"]
        self.x = x
        self.h = np.empty((T + 1, B, w_hh.shape[0]))
        self.h[0] = self.params["h0"]
        for t in range(T):
            self.h[t + 1] = np.tanh(x[t] @ w_ih.T + self.h[t] @ w_hh.T + self.params["bias"])
        return self.h[1:]

    def backward(self, grad):
        w_ih, w_hh = self.params["w_ih"], self.params["w_hh"]
        dx = np.zeros_like(self.x)
        carry = np.zeros_like(self.h[0])
        for t in range(len(self.x) - 1, -1, -1):
            dh = grad[t] + carry
            da = dh * (1.0 - self.h[t + 1] ** 2)
            self.grads["w_ih"] += da.T @ self.x[t]
            self.grads["w_hh"] += da.T @ self.h[t]
            self.grads["bias"] += da.sum(axis=0)
            dx[t] = da @ w_ih
            carry = da @ w_hh
        self.grads["h0"] += carry.sum(axis=0)
        return dx


class CrossEntropy:
    """Softmax and negative log likelihood, averaged over every position."""

    def forward(self, logits, target):
        shifted = logits - logits.max(axis=-1, keepdims=True)
        logp = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        self.prob, self.target = np.exp(logp), target
        return -np.take_along_axis(logp, target[..., None], axis=-1).mean()

    def backward(self):
        onehot = np.zeros_like(self.prob)
        np.put_along_axis(onehot, self.target[..., None], 1.0, axis=-1)
        return (self.prob - onehot) / self.target.size


class Sequential:
    def __init__(self, *layers):
        self.layers = layers

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad):
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return grad

    def zero_grad(self):
        for layer in self.layers:
            layer.zero_grad()

    def named(self, kind):
        return {f"{i}.{k}": v for i, layer in enumerate(self.layers) for k, v in getattr(layer, kind).items()}


def make(Target, rng, T=4, B=3, D=3, F=5, H=4, C=3):
    net = Sequential(Linear(rng, D, F), ReLU(), RNN(rng, F, H), RNN(rng, H, H), Linear(rng, H, C))
    criterion = CrossEntropy()
    x = rng.normal(size=(T, B, D))
    target = rng.integers(0, C, size=(T, B))

    def loss():
        return float(criterion.forward(net.forward(x), target))

    def grads():
        net.zero_grad()
        loss()
        net.backward(criterion.backward())
        return {k: v.copy() for k, v in net.named("grads").items()}

    return Target(net.named("params"), loss, grads)


BUGS = {
    "relu-mask-from-grad": ("return grad * (self.x > 0)", "return grad * (grad > 0)"),
    "linear-bias-mean": ("self.grads[\"bias\"] += flat_g.sum(axis=0)", "self.grads[\"bias\"] += flat_g.mean(axis=0)"),
    "tanh-derivative-off-by-one": ("da = dh * (1.0 - self.h[t + 1] ** 2)", "da = dh * (1.0 - self.h[t] ** 2)"),
    "w_ih-assigned-not-added": ("self.grads[\"w_ih\"] += da.T @ self.x[t]", "self.grads[\"w_ih\"][:] = da.T @ self.x[t]"),
    "carry-skips-activation": ("carry = da @ w_hh", "carry = dh @ w_hh"),
    "w_hh-grad-transposed": ("self.grads[\"w_hh\"] += da.T @ self.h[t]", "self.grads[\"w_hh\"] += self.h[t].T @ da"),
    "loop-stops-before-first-step": ("for t in range(len(self.x) - 1, -1, -1):", "for t in range(len(self.x) - 1, 0, -1):"),
    "mean-over-batch-only": ("return (self.prob - onehot) / self.target.size", "return (self.prob - onehot) / self.target.shape[1]"),
}
PAIRS = [("relu-mask-from-grad", "carry-skips-activation"), ("linear-bias-mean", "w_hh-grad-transposed")]
