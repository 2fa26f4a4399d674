"""Stacked GRU for time series forecasting.

Layers are objects, the Trainer owns the loops over time and depth.
Shapes: batch first, x[t] is (batch, features). MSE after a washout, dropout (fixed masks) between layers.
"""
import numpy as np


def sigm(a, deriv=False):
    if deriv:  # a is already the activated value
        return a * (1 - a)
    return 1 / (1 + np.exp(-a))


def tanh(a, deriv=False):
    if deriv:
        return 1 - a * a
    return np.tanh(a)


class GRULayer:
    names = ("Wz", "Uz", "bz", "Wr", "Ur", "br", "Wc", "Uc", "bc")

    def __init__(self, n_in, n_hid, rng):
        self.n_in, self.n_hid = n_in, n_hid
        for k in "zrc":
            setattr(self, "W" + k, rng.uniform(-1, 1, (n_in, n_hid)))
            setattr(self, "U" + k, rng.uniform(-1, 1, (n_hid, n_hid)))
            setattr(self, "b" + k, rng.uniform(-0.2, 0.2, n_hid))
        self.zero_grad()

    def zero_grad(self):
        for n in self.names:
            setattr(self, "d" + n, np.zeros(getattr(self, n).shape))

    def start(self, batch):
        self.x, self.z, self.r, self.c = [], [], [], []
        self.h = [np.zeros((batch, self.n_hid))]  # h[t] is the state BEFORE step t

    def forward(self, x):
        h = self.h[-1]
        z = sigm(x @ self.Wz + h @ self.Uz + self.bz)
        r = sigm(x @ self.Wr + h @ self.Ur + self.br)
        c = tanh(x @ self.Wc + (r * h) @ self.Uc + self.bc)
        self.x.append(x)
        self.z.append(z)
        self.r.append(r)
        self.c.append(c)
        self.h.append((1 - z) * h + z * c)
        return self.h[-1]

    def backward(self, t, dh):
        """dh: gradient w.r.t. the state after step t. Returns gradients w.r.t. input and previous state."""
        x, h, z, r, c = self.x[t], self.h[t], self.z[t], self.r[t], self.c[t]
        dac = dh * z * tanh(c, deriv=True)
        daz = dh * (c - h) * sigm(z, deriv=True)
        drh = dac @ self.Uc.T
        dar = drh * h * sigm(r, deriv=True)

        self.dWc += x.T @ dac
        self.dUc += (r * h).T @ dac
        self.dbc += dac.sum(axis=0)
        self.dWz += x.T @ daz
        self.dUz += h.T @ daz
        self.dbz += daz.sum(axis=0)
        self.dWr += x.T @ dar
        self.dUr += h.T @ dar
        self.dbr += dar.sum(axis=0)

        dx = dac @ self.Wc.T + daz @ self.Wz.T + dar @ self.Wr.T
        dh_prev = dh * (1 - z)
        dh_prev += drh * r
        dh_prev += daz @ self.Uz.T + dar @ self.Ur.T
        return dx, dh_prev


class Linear:
    names = ("W", "b")

    def __init__(self, n_in, n_out, rng):
        self.W = rng.uniform(-1, 1, (n_in, n_out))
        self.b = np.zeros(n_out)
        self.zero_grad()

    def zero_grad(self):
        self.dW, self.db = np.zeros(self.W.shape), np.zeros(self.b.shape)

    def backward(self, h, dy):
        self.dW += h.T @ dy
        self.db += dy.sum(axis=0)
        return dy @ self.W.T


class Trainer:
    def __init__(self, layers, out, X, Y, masks, washout=1):
        self.layers, self.out = layers, out
        self.X, self.Y, self.masks, self.washout = X, Y, masks, washout
        self.scale = 1.0 / (X.shape[1] * max(X.shape[0] - washout, 1))

    def run(self):
        T, B, _ = self.X.shape
        for layer in self.layers:
            layer.start(B)
        self.err, loss = [], 0.0
        for t in range(T):
            a = self.X[t]
            for l, layer in enumerate(self.layers):
                if l > 0:
                    a = a * self.masks[l - 1][t]
                a = layer.forward(a)
            self.err.append(a @ self.out.W + self.out.b - self.Y[t])
            if t >= self.washout:
                loss += np.sum(self.err[t] ** 2)
        return float(loss * self.scale)

    def gradients(self):
        self.run()
        for layer in self.layers + [self.out]:
            layer.zero_grad()
        T, B, _ = self.X.shape
        self.dh_next = [np.zeros((B, layer.n_hid)) for layer in self.layers]
        for t in range(T - 1, -1, -1):
            d = np.zeros((B, self.layers[-1].n_hid))
            if t >= self.washout:  # no error during washout
                d = self.out.backward(self.layers[-1].h[t + 1], 2 * self.scale * self.err[t])
            for l in range(len(self.layers) - 1, -1, -1):
                dx, dh_prev = self.layers[l].backward(t, d + self.dh_next[l])
                self.dh_next[l] = dh_prev
                if l > 0:
                    d = dx * self.masks[l - 1][t]
        found = {f"layer{l}.{n}": getattr(layer, "d" + n) for l, layer in enumerate(self.layers) for n in layer.names}
        found.update({"out.W": self.out.dW, "out.b": self.out.db})
        return found


def make(Target, rng, T=4, B=3, D=2, H=3, L=2, K=2):
    layers = [GRULayer(D if l == 0 else H, H, rng) for l in range(L)]
    out = Linear(H, K, rng)
    masks = [(rng.random((T, B, H)) < 0.7) / 0.7 for _ in range(L - 1)]
    trainer = Trainer(layers, out, rng.standard_normal((T, B, D)), rng.standard_normal((T, B, K)), masks)
    weights = {f"layer{l}.{n}": getattr(layer, n) for l, layer in enumerate(layers) for n in layer.names}
    weights.update({"out.W": out.W, "out.b": out.b})
    return Target(weights, trainer.run, trainer.gradients)


BUGS = {
    "derivative-flag-forgotten": ("dar = drh * h * sigm(r, deriv=True)", "dar = drh * h * sigm(r)"),
    "update-gate-sign": ("daz = dh * (c - h) * sigm(z, deriv=True)", "daz = dh * (h - c) * sigm(z, deriv=True)"),
    "candidate-weights-see-ungated-state": ("self.dUc += (r * h).T @ dac", "self.dUc += h.T @ dac"),
    "leak-by-the-wrong-gate": ("dh_prev = dh * (1 - z)", "dh_prev = dh * z"),
    "gradients-never-zeroed": ("            layer.zero_grad()", "            pass"),
    "readout-paired-with-the-state-before": ("self.out.backward(self.layers[-1].h[t + 1], 2", "self.out.backward(self.layers[-1].h[t], 2"),
    "dropout-mask-forgotten": ("d = dx * self.masks[l - 1][t]", "d = dx"),
    "recurrent-cotangent-in-another-layer": ("self.dh_next[l] = dh_prev", "self.dh_next[-1] = dh_prev"),
}

PAIRS = [("derivative-flag-forgotten", "dropout-mask-forgotten"), ("update-gate-sign", "readout-paired-with-the-state-before"),
         ("leak-by-the-wrong-gate", "candidate-weights-see-ungated-state")]
