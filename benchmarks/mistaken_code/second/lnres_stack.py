"""Two recurrent layers with layer normalisation of the pre-activations and a residual connection
around the second layer.  (T, B, H) arrays."""
import numpy as np

EPS = 1e-5


def ln_forward(a, gamma, beta):
    mu = a.mean(axis=-1, keepdims=True)
    var = a.var(axis=-1, keepdims=True)
    inv = 1.0 / np.sqrt(var + EPS)
    ahat = (a - mu) * inv
    return gamma * ahat + beta, (ahat, inv, gamma)


def ln_backward(dy, cache):
    ahat, inv, gamma = cache
    dgamma = np.sum(dy * ahat, axis=0)
    dbeta = np.sum(dy, axis=0)
    dahat = dy * gamma
    m1 = np.mean(dahat, axis=-1, keepdims=True)
    da = inv * (dahat - m1)
    return da, dgamma, dbeta


class LNRecurrent(object):
    def __init__(self, params, tag, residual):
        self.params = params
        self.tag = tag
        self.residual = residual

    def get(self, name):
        return self.params[name + self.tag]

    def forward(self, x):
        T, B, _ = x.shape
        W, U, gamma, beta = map(self.get, ("W", "U", "gamma", "beta"))
        H = U.shape[0]
        self.x = x
        self.h = np.zeros((T + 1, B, H))
        self.caches = [None] * T
        for t in range(T):
            a = np.dot(x[t], W) + np.dot(self.h[t], U)
            n, self.caches[t] = ln_forward(a, gamma, beta)
            self.h[t + 1] = np.tanh(n)
        out = self.h[1:]
        if self.residual:
            out = out + x
        return out

    def backward(self, dout):
        T = dout.shape[0]
        W, U = self.get("W"), self.get("U")
        self.grads = {k: np.zeros_like(self.get(k)) for k in ("W", "U", "gamma", "beta")}
        dx = np.zeros_like(self.x)
        dh_next = np.zeros_like(self.h[0])
        for t in range(T - 1, -1, -1):
            dh = dout[t] + dh_next
            dn = dh * (1 - self.h[t + 1] ** 2)
            da, dgamma, dbeta = ln_backward(dn, self.caches[t])
            self.grads["gamma"] += dgamma
            self.grads["beta"] += dbeta
            self.grads["W"] += np.dot(self.x[t].T, da)
            self.grads["U"] += np.dot(self.h[t].T, da)
            dx[t] = np.dot(da, W.T)
            dh_next = np.dot(da, U)
        return dx


def make(rng, T=4, B=3, D=2, H=3):
    params = {}
    for tag, nin in (("1", D), ("2", H)):
        params["W" + tag] = rng.standard_normal((nin, H))
        params["U" + tag] = rng.standard_normal((H, H))
        params["gamma" + tag] = 1 + 0.3 * rng.standard_normal(H)
        params["beta" + tag] = 0.3 * rng.standard_normal(H)
    params["V"] = rng.standard_normal((H, D))
    X = rng.standard_normal((T, B, D))
    Y = rng.standard_normal((T, B, D))
    layers = [LNRecurrent(params, "1", False), LNRecurrent(params, "2", True)]

    def run():
        out = X
        for layer in layers:
            out = layer.forward(out)
        return out

    def loss():
        return float(np.mean((np.dot(run(), params["V"]) - Y) ** 2))

    def grads():
        out = run()
        dpred = 2 * (np.dot(out, params["V"]) - Y) / Y.size
        g = {"V": np.einsum("tbh,tbd->hd", out, dpred)}
        d = np.dot(dpred, params["V"].T)
        for layer in reversed(layers):
            d = layer.backward(d)
            g.update((k + layer.tag, v) for k, v in layer.grads.items())
        return g

    return params, loss, grads


import gradcheck


@gradcheck.target
def audited(rng, *, T=4, B=3, D=2, H=3):
    return gradcheck.Target(*make(rng, T=T, B=B, D=D, H=H))


FAULTS = [('layer norm: the path through the variance (ahat * mean(dahat*ahat)) is missing',
  [21, 22],
  [('    m1 = np.mean(dahat, axis=-1, keepdims=True)\n',
    '    m1 = np.mean(dahat, axis=-1, keepdims=True)\n'
    '    m2 = np.mean(dahat * ahat, axis=-1, keepdims=True)\n'),
   ('(dahat - m1)', '(dahat - m1 - ahat * m2)')]),
 ('gradient of the residual (skip) connection is missing',
  [65, 67],
  [('        return dx\n', '        if self.residual:\n            dx = dx + dout\n        return dx\n')]),
 ('carry to the previous step leaves out the transposition of U',
  [66],
  [('dh_next = np.dot(da, U)', 'dh_next = np.dot(da, U.T)')])]
