"""A tiny neural network toolkit: layers with forward / backward.

Network used here:  GRU (last state) -> Dropout -> Dense -> Softmax
trained with the mean squared error between probabilities and one-hot labels.
The dropout mask is drawn once, when the network is put together.
"""
import numpy as np
import gradcheck

N_LABELS = 3


class Layer:
    def __init__(self):
        self.params = {}
        self.grads = {}

    def forward(self, x):
        raise NotImplementedError

    def backward(self, dout):
        raise NotImplementedError


class GRU(Layer):
    """(B, T, D) -> (B, H).  z = 1 keeps the old state."""

    def __init__(self, n_in, n_hidden, rng):
        super().__init__()
        self.H = n_hidden
        for k in ("z", "r", "n"):
            self.params["W" + k] = rng.standard_normal((n_in, n_hidden))
            self.params["U" + k] = rng.standard_normal((n_hidden, n_hidden))
            self.params["b" + k] = 0.3 * rng.standard_normal(n_hidden)

    def forward(self, x):
        p = self.params
        self.cache = []
        h = np.zeros((x.shape[0], self.H))
        for t in range(x.shape[1]):
            xt = x[:, t]
            z = 1 / (1 + np.exp(-(xt @ p["Wz"] + h @ p["Uz"] + p["bz"])))
            r = 1 / (1 + np.exp(-(xt @ p["Wr"] + h @ p["Ur"] + p["br"])))
            n = np.tanh(xt @ p["Wn"] + (r * h) @ p["Un"] + p["bn"])
            self.cache.append({"x": xt, "h": h, "z": z, "r": r, "n": n})
            h = z * h + (1 - z) * n
        return h

    def backward(self, dout):
        p = self.params
        g = {k: np.zeros_like(v) for k, v in p.items()}
        dh = dout
        for c in reversed(self.cache):
            x, h, z, r, n = c["x"], c["h"], c["z"], c["r"], c["n"]
            da_z = dh * (h - n) * z * (1 - z)
            da_n = dh * (1 - z) * (1 - n ** 2)
            drh = da_n @ p["Un"].T
            da_r = drh * h * r * (1 - r)

            g["Wz"] += x.T @ da_z
            g["Wr"] += x.T @ da_r
            g["Wn"] += x.T @ da_n
            g["Uz"] += h.T @ da_z
            g["Ur"] += h.T @ da_r
            g["Un"] += (r * h).T @ da_n
            g["bz"] += da_z.sum(0)
            g["br"] += da_r.sum(0)
            g["bn"] += da_n.sum(0)

            dh_prev = dh * (1 - z)
            dh_prev = dh_prev + da_z @ p["Uz"].T
            dh_prev = dh_prev + da_r @ p["Ur"].T
            dh_prev = dh_prev + drh * r
            dh = dh_prev
        self.grads = g


class Dropout(Layer):
    def __init__(self, shape, keep, rng):
        super().__init__()
        self.mask = (rng.random(shape) < keep) / keep

    def forward(self, x):
        return x * self.mask

    def backward(self, dout):
        return dout


class Dense(Layer):
    def __init__(self, n_in, n_out, rng):
        super().__init__()
        self.params["W"] = rng.standard_normal((n_in, n_out))
        self.params["b"] = 0.3 * rng.standard_normal(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        self.grads["W"] = self.x.T @ dout
        self.grads["b"] = np.mean(dout, axis=0)
        return dout @ self.params["W"].T


class Softmax(Layer):
    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.out = e / e.sum(axis=1, keepdims=True)
        return self.out

    def backward(self, dout):
        return dout


class MSE:
    @staticmethod
    def loss(pred, target):
        return 0.5 * np.sum((pred - target) ** 2) / len(pred)

    @staticmethod
    def gradient(pred, target):
        return (pred - target) / len(pred)


class Network:
    def __init__(self, layers):
        self.layers = layers

    def params(self):
        return {f"{i}_{k}": v for i, l in enumerate(self.layers) for k, v in l.params.items()}

    def predict(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def loss(self, x, target):
        return float(MSE.loss(self.predict(x), target))

    def gradients(self, x, target):
        dout = MSE.gradient(self.predict(x), target)
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        return {f"{i}_{k}": l.grads[k] for i, l in enumerate(self.layers) for k in l.params}


def create(rng, T, B, D, H):
    net = Network([GRU(D, H, rng), Dropout((B, H), 0.7, rng), Dense(H, N_LABELS, rng), Softmax()])
    x = rng.standard_normal((B, T, D))
    target = np.eye(N_LABELS)[rng.integers(0, N_LABELS, B)]
    return net.params(), lambda: net.loss(x, target), lambda: net.gradients(x, target)


def make(rng):
    return create(rng, T=4, B=2, D=3, H=4)


@gradcheck.target
def layers_gru_dropout(rng, *, T=4, B=2, D=3, H=4):
    params, loss, grads = create(rng, T, B, D, H)
    return gradcheck.Target(params, loss, grads)


FAULTS = [('h_prev gets dh*(1-z), but the forward weights the old state by z',
  [70],
  [('dh_prev = dh * (1 - z)\n', 'dh_prev = dh * z\n')]),
 ('dropout mask is not applied in the backward pass',
  [86, 87],
  [('        return x * self.mask\n\n    def backward(self, dout):\n        return dout\n',
    '        return x * self.mask\n\n    def backward(self, dout):\n        return dout * self.mask\n')]),
 ('dense bias gradient is the mean over the batch though the loss gradient is already averaged',
  [102],
  [('self.grads["b"] = np.mean(dout, axis=0)', 'self.grads["b"] = np.sum(dout, axis=0)')]),
 ('softmax with squared error treated as softmax with cross entropy: p - t goes through the softmax '
  'unchanged',
  [112, 113, 123],
  [('        return self.out\n\n    def backward(self, dout):\n        return dout\n',
    '        return self.out\n'
    '\n'
    '    def backward(self, dout):\n'
    '        s = np.sum(dout * self.out, axis=1, keepdims=True)\n'
    '        return self.out * (dout - s)\n')])]
