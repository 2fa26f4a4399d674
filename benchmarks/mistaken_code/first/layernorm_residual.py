"""
Deep recurrent regressor with layer normalisation and residual connections.

A linear projection brings the input to width H, then come N_LAYERS blocks

    a_t = x_t Wx + h_{t-1} Wh
    h_t = tanh(gain * normalise(a_t) + bias)
    out_t = x_t + h_t

The outputs of the top block are averaged over time and a linear unit gives
the prediction, e.g. the remaining useful life of a machine.
"""
import numpy as np
import gradcheck

N_LAYERS = 3
EPS = 1e-2


def layernorm_forward(a, gain, bias):
    mu = a.mean(axis=1, keepdims=True)
    std = np.sqrt(a.var(axis=1, keepdims=True) + EPS)
    ahat = (a - mu) / std
    return gain * ahat + bias, (ahat, std)


def layernorm_backward(dout, gain, cache):
    ahat, std = cache
    dgain = np.sum(dout * ahat, axis=0)
    dbias = np.sum(dout, axis=0)
    dahat = dout * gain
    da = dahat / std
    return da, dgain, dbias


def block_forward(x, layer):
    """x: (B, T, H)"""
    B, T, H = x.shape
    h = np.zeros((B, H))
    hs = [h]
    norms = []
    for t in range(T):
        a = x[:, t] @ layer['Wx'] + h @ layer['Wh']
        s, norm = layernorm_forward(a, layer['gain'], layer['bias'])
        h = np.tanh(s)
        hs.append(h)
        norms.append(norm)
    out = x + np.stack(hs[1:], axis=1)
    return out, {'x': x, 'hs': hs, 'norms': norms}


def block_backward(dout, layer, cache):
    B, T, H = dout.shape
    x, hs, norms = cache['x'], cache['hs'], cache['norms']
    grads = {k: np.zeros_like(v) for k, v in layer.items()}
    dx = np.zeros_like(x)
    for t in range(T - 1, -1, -1):
        dh_next = np.zeros((B, H))
        dh = dout[:, t] + dh_next
        ds = dh * (1 - hs[t + 1] ** 2)
        da, dgain, dbias = layernorm_backward(ds, layer['gain'], norms[t])
        grads['gain'] += dgain
        grads['bias'] += dbias
        grads['Wx'] += x[:, t].T @ da
        grads['Wh'] += hs[t].T @ da
        dx[:, t] = da @ layer['Wx'].T
        dh_next = da @ layer['Wh'].T
    return dx, grads


class DeepRegressor:
    def __init__(self, n_in, width, rng):
        self.P = rng.normal(0, 1, (n_in, width))
        self.layers = []
        for _ in range(N_LAYERS):
            self.layers.append({
                'Wx': rng.normal(0, 1, (width, width)),
                'Wh': rng.normal(0, 1, (width, width)),
                'gain': 1 + rng.normal(0, 0.2, width),
                'bias': rng.normal(0, 0.2, width),
            })
        self.w = rng.normal(0, 1, width)
        self.w0 = rng.normal(0, 1, 1)

    def named_params(self):
        d = {'P': self.P, 'w': self.w, 'w0': self.w0}
        for n, layer in enumerate(self.layers):
            for k, v in layer.items():
                d['L%d/%s' % (n, k)] = v
        return d

    def forward(self, X):
        out = X @ self.P
        caches = []
        for layer in self.layers:
            out, cache = block_forward(out, layer)
            caches.append(cache)
        pooled = out.mean(axis=1)
        return pooled @ self.w + self.w0[0], pooled, caches

    def loss(self, X, y):
        pred, _, _ = self.forward(X)
        return float(np.mean((pred - y) ** 2))

    def grad(self, X, y):
        B, T, _ = X.shape
        pred, pooled, caches = self.forward(X)
        g = {}
        dpred = 2 * (pred - y) / B
        g['w'] = pooled.T @ dpred
        g['w0'] = np.array([dpred.sum()])
        dpooled = np.outer(dpred, self.w)
        dout = np.repeat(dpooled[:, None, :], T, axis=1)
        for n in reversed(range(N_LAYERS)):
            dout, lg = block_backward(dout, self.layers[n], caches[n])
            for k in lg:
                g['L%d/%s' % (n, k)] = lg[k]
        g['P'] = np.einsum('btd,bth->dh', X, dout)
        return g


def instance(rng, T, B, D, H):
    net = DeepRegressor(D, H, rng)
    X = rng.normal(size=(B, T, D))
    y = rng.normal(size=B)
    return net.named_params(), lambda: net.loss(X, y), lambda: net.grad(X, y)


def make(rng):
    return instance(rng, T=4, B=2, D=3, H=4)


@gradcheck.target
def layernorm_residual(rng, *, T=4, B=2, D=3, H=4):
    params, loss, grads = instance(rng, T, B, D, H)
    return gradcheck.Target(params, loss, grads)


FAULTS = [('layer norm backward ignores that mean and std depend on the input (mean terms missing)',
  [31, 32],
  [('    da = dahat / std\n',
    '    da = dahat - dahat.mean(axis=1, keepdims=True)\n'
    '    da = da - ahat * np.mean(dahat * ahat, axis=1, keepdims=True)\n'
    '    da = da / std\n')]),
 ('dh_next is set to zero in the loop, so back-propagation is truncated to one step',
  [57, 58, 59, 67],
  [('    for t in range(T - 1, -1, -1):\n'
    '        dh_next = np.zeros((B, H))\n'
    '        dh = dout[:, t] + dh_next',
    '    dh_next = np.zeros((B, H))\n'
    '    for t in range(T - 1, -1, -1):\n'
    '        dh = dout[:, t] + dh_next')]),
 ('gradient through the residual (skip) connection is missing in dx',
  [66, 68],
  [("dx[:, t] = da @ layer['Wx'].T", "dx[:, t] = da @ layer['Wx'].T + dout[:, t]")]),
 ('gradient of the mean over time lacks the factor 1/T',
  [112, 113],
  [('dout = np.repeat(dpooled[:, None, :], T, axis=1)',
    'dout = np.repeat(dpooled[:, None, :], T, axis=1) / T')])]
