"""IndRNN (every unit has one recurrent weight), softplus units, Huber loss.  Buffers are
allocated once and filled with out= ."""
import numpy as np

DELTA = 0.6


def softplus(a, out):
    np.exp(a, out=out)
    np.log1p(out, out=out)
    return out


def softplus_grad(a):
    """derivative of softplus at pre-activation a"""
    return 1.0 / (1.0 + np.exp(-a))


def huber(r):
    small = np.abs(r) <= DELTA
    return np.where(small, 0.5 * r ** 2, DELTA * (np.abs(r) - 0.5 * DELTA))


def huber_grad(r):
    return np.where(np.abs(r) <= DELTA, r, np.sign(r))


class IndRNN:
    def __init__(self, params, T, B):
        self.params = params
        H = params["u"].shape[0]
        K = params["V"].shape[1]
        self.pre = np.empty((T, B, H))
        self.h = np.zeros((T + 1, B, H))
        self.tmp = np.empty((B, H))
        self.res = np.empty((T, B, K))
        self.grad = {k: np.empty_like(v) for k, v in params.items()}

    def forward(self, x, y):
        p = self.params
        np.copyto(self.h[0], p["h0"])
        for t in range(x.shape[0]):
            np.matmul(x[t], p["W"], out=self.pre[t])
            np.multiply(self.h[t], p["u"], out=self.tmp)
            self.pre[t] += self.tmp
            self.pre[t] += p["b"]
            softplus(self.pre[t], out=self.h[t + 1])
            np.matmul(self.h[t + 1], p["V"], out=self.res[t])
            self.res[t] += p["c"]
            self.res[t] -= y[t]
        return huber(self.res).mean()

    def backward(self, x):
        p, g = self.params, self.grad
        for k in g:
            g[k].fill(0.0)
        carry = np.zeros_like(self.tmp)
        dpre = np.empty_like(self.tmp)
        for t in range(x.shape[0] - 1, -1, -1):
            dres = huber_grad(self.res[t]) / self.res[t].size
            g["V"] += np.matmul(self.h[t + 1].T, dres)
            g["c"] += dres.sum(axis=0)
            np.matmul(dres, p["V"].T, out=dpre)
            dpre += carry
            dpre *= softplus_grad(self.h[t + 1])
            g["W"] += np.matmul(x[t].T, dpre)
            g["b"] += dpre.sum(axis=0)
            g["u"] += np.multiply(dpre, self.h[t + 1], out=self.tmp).sum(axis=0)
            np.multiply(dpre, p["u"], out=carry)
        g["h0"] += carry.sum(axis=0)
        return g


def make(rng, T=4, B=3, D=2, H=3, K=2):
    params = {
        "W": rng.normal(size=(D, H)),
        "u": rng.uniform(-0.9, 0.9, size=H),
        "b": rng.normal(size=H),
        "h0": rng.normal(size=H),
        "V": rng.normal(size=(H, K)),
        "c": rng.normal(size=K),
    }
    x = rng.normal(size=(T, B, D))
    y = rng.normal(size=(T, B, K))
    net = IndRNN(params, T, B)

    def loss():
        return float(net.forward(x, y))

    def grads():
        net.forward(x, y)
        return net.backward(x)

    return params, loss, grads


import gradcheck


@gradcheck.target
def audited(rng, *, T=4, B=3, D=2, H=3):
    return gradcheck.Target(*make(rng, T=T, B=B, D=D, H=H))


FAULTS = [('softplus derivative is evaluated at the output h, the helper wants the pre-activation',
  [65],
  [('softplus_grad(self.h[t + 1])', 'softplus_grad(self.pre[t])')]),
 ('outside of the quadratic zone the Huber derivative lacks the factor DELTA (sign only)',
  [25],
  [('    return np.where(np.abs(r) <= DELTA, r, np.sign(r))', '    return np.clip(r, -DELTA, DELTA)')]),
 ('loss is the mean over T, B and K, its gradient is divided by the size of one step',
  [60],
  [('/ self.res[t].size\n', '/ self.res.size\n')]),
 ('off by one: the recurrent weight multiplied h[t], its gradient uses h[t+1]',
  [68],
  [('np.multiply(dpre, self.h[t + 1], out', 'np.multiply(dpre, self.h[t], out')])]
