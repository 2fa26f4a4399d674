"""Phased LSTM on irregularly sampled series, as layers of a small keras-like framework."""
import numpy as np


class Layer:
    """weights live in self.w[name]; backward() leaves their gradients in self.dw[name]"""

    def __init__(self):
        self.w = {}
        self.dw = {}

    def add_weight(self, name, value):
        self.w[name] = np.asarray(value, dtype=float)

    def __call__(self, x):
        return self.call(x)


class PhasedLSTM(Layer):
    """Inputs: tuple (values (B,T,D), times (B,T)).  Output: all hidden states (B,T,H)."""

    LEAK = 0.1

    def __init__(self, units, dim, rng):
        super().__init__()
        self.units = units
        self.add_weight('kernel', rng.normal(size=(dim, 4 * units)) * 0.8)
        self.add_weight('recurrent', rng.normal(size=(units, 4 * units)) * 0.8)
        self.add_weight('bias', rng.normal(size=4 * units) * 0.3)
        self.add_weight('log_tau', rng.uniform(0.2, 1.2, units))
        self.add_weight('shift', rng.uniform(0.0, 1.0, units))
        self.add_weight('ratio', rng.uniform(0.6, 0.9, units))

    def openness(self, times):
        """time gate k for times (B,); also the pieces that its gradient needs"""
        r, tau = self.w['ratio'], np.exp(self.w['log_tau'])
        since = times[:, None] - self.w['shift']
        phi = np.mod(since, tau) / tau
        rising, falling = phi < 0.5 * r, phi < r
        k = np.where(rising, 2 * phi / r, np.where(falling, 2 - 2 * phi / r, self.LEAK * phi))
        return k, (since, tau, phi, rising, falling)

    def call(self, x):
        values, times = x
        H, (B, T, _) = self.units, values.shape
        h, c = np.zeros((B, H)), np.zeros((B, H))
        self.values, self.memo = values, []
        out = np.zeros((B, T, H))
        for t in range(T):
            a = values[:, t] @ self.w['kernel'] + h @ self.w['recurrent'] + self.w['bias']
            i, f, o = np.split(1 / (1 + np.exp(-a[:, :3 * H])), 3, axis=1)
            g = np.tanh(a[:, 3 * H:])
            c_hat = f * c + i * g
            tc = np.tanh(c_hat)
            k, info = self.openness(times[:, t])
            self.memo.append(dict(h=h, c=c, i=i, f=f, o=o, g=g, c_hat=c_hat, tc=tc, k=k, info=info))
            c = k * c_hat + (1 - k) * c
            h = k * (o * tc) + (1 - k) * h
            out[:, t] = h
        return out

    def backward(self, dout):
        self.dw = {n: np.zeros_like(v) for n, v in self.w.items()}
        dh = dc = np.zeros_like(dout[:, 0])
        for t in reversed(range(dout.shape[1])):
            m = self.memo[t]
            i, f, o, g, k, tc = m['i'], m['f'], m['o'], m['g'], m['k'], m['tc']
            dh = dh + dout[:, t]
            dk = dh * (o * tc - m['h']) + dc * (m['c_hat'] - m['c'])
            do = dh * k * tc
            dc_hat = dc * k + dh * k * o * (1 - tc ** 2)
            da = np.concatenate([dc_hat * m['c'] * f * (1 - f),
                                 dc_hat * g * i * (1 - i),
                                 do * o * (1 - o),
                                 dc_hat * i * (1 - g ** 2)], axis=1)
            self.dw['kernel'] += self.values[:, t].T @ da
            self.dw['recurrent'] += m['h'].T @ da
            self.dw['bias'] += da.sum(axis=0)
            self.backward_time_gate(dk, *m['info'])
            dh = dh * (1 - k) + da @ self.w['recurrent'].T
            dc = dc_hat * f

    def backward_time_gate(self, dk, since, tau, phi, rising, falling):
        r = self.w['ratio']
        slope = np.where(rising, 2 / r, np.where(falling, -2 / r, 0.0))
        dphi = dk * slope
        bend = np.where(rising, -1.0, np.where(falling, 1.0, 0.0)) * 2 * phi / r ** 2
        self.dw['ratio'] += (dk * bend).sum(axis=0)
        self.dw['shift'] += (-dphi / tau).sum(axis=0)
        self.dw['log_tau'] += (-dphi * since / tau).sum(axis=0)


class LayerNormalization(Layer):
    def __init__(self, dim, rng):
        super().__init__()
        self.add_weight('gamma', rng.uniform(0.5, 1.5, dim))
        self.add_weight('beta', rng.normal(size=dim) * 0.2)

    def call(self, x):
        mu = x.mean(axis=-1, keepdims=True)
        self.sd = np.sqrt(((x - mu) ** 2).mean(axis=-1, keepdims=True) + 0.05)
        self.n = (x - mu) / self.sd
        return self.n * self.w['gamma'] + self.w['beta']

    def backward(self, dout):
        self.dw = {'gamma': (dout * self.n).sum(axis=(0, 1)), 'beta': dout.sum(axis=(0, 1))}
        dn = dout * self.w['gamma']
        return (dn - dn.mean(-1, keepdims=True) - self.n * (dn * self.n).mean(-1, keepdims=True)) / self.sd


class Dense(Layer):
    def __init__(self, dim, units, rng):
        super().__init__()
        self.add_weight('kernel', rng.normal(size=(dim, units)))
        self.add_weight('bias', rng.normal(size=units) * 0.2)

    def call(self, x):
        self.x = x
        return x @ self.w['kernel'] + self.w['bias']

    def backward(self, dout):
        self.dw = {'kernel': np.tensordot(self.x, dout, axes=([0, 1], [0, 1])),
                   'bias': dout.sum(axis=(0, 1))}
        return dout @ self.w['kernel'].T


def pseudo_huber(err, delta=0.7):
    root = np.sqrt(1 + (err / delta) ** 2)
    return delta ** 2 * (root - 1), err / root


def make(rng):
    B, T, D, H, O = 3, 6, 2, 3, 2
    model = [PhasedLSTM(H, D, rng), LayerNormalization(H, rng), Dense(H, O, rng)]
    x = rng.normal(size=(B, T, D)), np.cumsum(rng.uniform(0.2, 1.5, (B, T)), axis=1)
    y = rng.normal(size=(B, T, O))
    sample_weight = rng.uniform(0.5, 2.0, (B, 1, 1))

    def forward():
        a = x
        for layer in model:
            a = layer(a)
        return a - y

    def loss():
        return float((sample_weight * pseudo_huber(forward())[0]).mean())

    def grads():
        d = pseudo_huber(forward())[1] / y.size
        for layer in reversed(model):
            d = layer.backward(d)
        return {f'{n}/{k}': v for n, layer in enumerate(model) for k, v in layer.dw.items()}

    return {f'{n}/{k}': v for n, layer in enumerate(model) for k, v in layer.w.items()}, loss, grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('leak of the closed phase without a slope',
  [85],
  [('np.where(falling, -2 / r, 0.0))', 'np.where(falling, -2 / r, self.LEAK))')]),
 ('sample weights missing in the gradient',
  [149],
  [('d = pseudo_huber(forward())[1] / y.size', 'd = pseudo_huber(forward())[1] * sample_weight / y.size')]),
 ('input and forget blocks in the wrong order',
  [72, 73],
  [("da = np.concatenate([dc_hat * m['c'] * f * (1 - f),\n                                 dc_hat * g * i * (1 - i),",
    'da = np.concatenate([dc_hat * g * i * (1 - i),\n'
    "                                 dc_hat * m['c'] * f * (1 - f),")]),
 ('closed share of the cell carry missing', [81], [('dc = dc_hat * f', 'dc = dc * (1 - k) + dc_hat * f')])]
