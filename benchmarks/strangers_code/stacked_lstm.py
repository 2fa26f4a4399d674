"""Residual stacked LSTM regressor with (inverted) inter-layer dropout.

Batch-first everywhere: activations are [batch, time, features].
"""
import numpy as np


class Linear:
    def __init__(self, n_in, n_out, rng):
        self.params = {"W": rng.standard_normal((n_in, n_out)) / np.sqrt(n_in),
                       "b": 0.1 * rng.standard_normal(n_out)}
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        x2 = self.x.reshape(-1, self.x.shape[-1])
        d2 = dout.reshape(-1, dout.shape[-1])
        self.grads["W"] = x2.T @ d2
        self.grads["b"] = d2.sum(axis=0)
        return dout @ self.params["W"].T


class Dropout:
    """Mask is sampled once per batch (variational: shared over time)."""

    def __init__(self, keep, shape, rng):
        mask = rng.random(shape) < keep
        mask.flat[0], mask.flat[-1] = False, True
        self.mask = mask[:, None, :] / keep

    def forward(self, x):
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


class LSTMLayer:
    """Gates packed as [i, f, o, g] along the last axis."""

    def __init__(self, hidden, residual, rng):
        self.H = hidden
        self.residual = residual
        self.params = {"Wx": rng.standard_normal((hidden, 4 * hidden)) / np.sqrt(hidden),
                       "Wh": rng.standard_normal((hidden, 4 * hidden)) / np.sqrt(hidden),
                       "b": 0.1 * rng.standard_normal(4 * hidden)}
        self.params["b"][hidden:2 * hidden] += 1.0
        self.grads = {}

    def forward(self, x):
        B, T, _ = x.shape
        H = self.H
        self.x = x
        self.h = np.zeros((B, T + 1, H))
        self.c = np.zeros((B, T + 1, H))
        self.gates = np.zeros((B, T, 4 * H))
        for t in range(T):
            a = x[:, t] @ self.params["Wx"] + self.h[:, t] @ self.params["Wh"] + self.params["b"]
            ifo = 1.0 / (1.0 + np.exp(-a[:, :3 * H]))
            g = np.tanh(a[:, 3 * H:])
            self.gates[:, t] = np.concatenate([ifo, g], axis=1)
            self.c[:, t + 1] = ifo[:, H:2 * H] * self.c[:, t] + ifo[:, :H] * g
            self.h[:, t + 1] = ifo[:, 2 * H:] * np.tanh(self.c[:, t + 1])
        out = self.h[:, 1:]
        return out + x if self.residual else out

    def backward(self, dout):
        B, T, H = dout.shape
        dWx = np.zeros_like(self.params["Wx"])
        dWh = np.zeros_like(self.params["Wh"])
        db = np.zeros_like(self.params["b"])
        dx = np.zeros_like(self.x)
        dh_next = np.zeros((B, H))
        dc_next = np.zeros((B, H))
        for t in range(T - 1, -1, -1):
            i, f, o, g = np.split(self.gates[:, t], 4, axis=1)
            c_prev = self.c[:, t]
            tanh_c = np.tanh(self.c[:, t + 1])

            dh = dout[:, t] + dh_next
            do = dh * tanh_c
            dc = dc_next + dh * o * (1.0 - tanh_c ** 2)
            di, df, dg = dc * g, dc * c_prev, dc * i

            da = np.concatenate([di * i * (1.0 - i),
                                 df * f * (1.0 - f),
                                 do * o * (1.0 - o),
                                 dg * (1.0 - g ** 2)], axis=1)
            dWx += self.x[:, t].T @ da
            dWh += self.h[:, t].T @ da
            db += da.sum(axis=0)
            dx[:, t] = da @ self.params["Wx"].T
            dh_next = da @ self.params["Wh"].T
            dc_next = dc * f
        self.grads = {"Wx": dWx, "Wh": dWh, "b": db}
        return dx + dout if self.residual else dx


class StackedLSTM:
    def __init__(self, n_in, hidden, n_out, n_layers, batch, keep, rng):
        self.embed = Linear(n_in, hidden, rng)
        self.lstms = [LSTMLayer(hidden, k > 0, rng) for k in range(n_layers)]
        self.drops = [Dropout(keep, (batch, hidden), rng) for _ in range(n_layers)]
        self.head = Linear(hidden, n_out, rng)

    def named_modules(self):
        yield "embed", self.embed
        for k, layer in enumerate(self.lstms):
            yield f"lstm{k}", layer
        yield "head", self.head

    def collect(self, what):
        return {f"{n}.{k}": v for n, m in self.named_modules() for k, v in getattr(m, what).items()}

    def forward(self, x):
        h = self.embed.forward(x)
        for lstm, drop in zip(self.lstms, self.drops):
            h = drop.forward(lstm.forward(h))
        return self.head.forward(h)

    def loss(self, x, y):
        return float(np.mean((self.forward(x) - y) ** 2))

    def backward(self, x, y):
        diff = self.forward(x) - y
        d = self.head.backward(2.0 * diff / diff.size)
        for lstm, drop in zip(self.lstms[::-1], self.drops[::-1]):
            d = lstm.backward(drop.backward(d))
        self.embed.backward(d)
        return self.collect("grads")


def make(Target, rng, B=3, T=4, D=3, H=4, O=2, L=2):
    net = StackedLSTM(D, H, O, L, B, 0.7, rng)
    x = rng.standard_normal((B, T, D))
    y = rng.standard_normal((B, T, O))
    return Target(net.collect("params"), lambda: net.loss(x, y), lambda: net.backward(x, y))


BUGS = {
    "dropout-mask-missing": ("return dout * self.mask", "return dout"),
    "residual-forgotten": ("return dx + dout if self.residual else dx", "return dx"),
    "cell-carry-wrong-gate": ("dc_next = dc * f", "dc_next = dc * i"),
    "cell-off-by-one": ("c_prev = self.c[:, t]", "c_prev = self.c[:, t + 1]"),
    "output-sigmoid-derivative": ("do * o * (1.0 - o),", "do * (1.0 - o),"),
    "layers-not-reversed": ("for lstm, drop in zip(self.lstms[::-1], self.drops[::-1]):", "for lstm, drop in zip(self.lstms, self.drops):"),
    "mean-over-batch-only": ("d = self.head.backward(2.0 * diff / diff.size)", "d = self.head.backward(2.0 * diff / len(diff))"),
    "recurrent-uses-Wx": ("dh_next = da @ self.params[\"Wh\"].T", "dh_next = da @ self.params[\"Wx\"].T"),
}
PAIRS = [
    ("dropout-mask-missing", "cell-off-by-one"),
    ("residual-forgotten", "output-sigmoid-derivative"),
    ("cell-carry-wrong-gate", "mean-over-batch-only"),
]
