"""GRU (reset applied after the recurrent matrix) with a mask of missing steps, mean pooling and a classifier."""
import numpy as np


def sigm(a):
    return 1 / (1 + np.exp(-a))


class GRULayer:
    def __init__(self, params):
        self.p = params

    def forward(self, x, mask):
        B, T, _ = x.shape
        p = self.p
        H = p['Wh'].shape[0]
        self.x, self.mask = x, mask
        self.cache = []
        h = np.zeros((B, H))
        out = np.zeros((B, T, H))
        for t in range(T):
            gx = x[:, t] @ p['Wx'] + p['bx']
            gh = h @ p['Wh'] + p['bh']
            r = sigm(gx[:, :H] + gh[:, :H])
            z = sigm(gx[:, H:2 * H] + gh[:, H:2 * H])
            hn = gh[:, 2 * H:]
            n = np.tanh(gx[:, 2 * H:] + r * hn)
            h_new = (1 - z) * n + z * h
            m = mask[:, t:t + 1]
            self.cache.append((h, r, z, n, hn, m))
            h = m * h_new + (1 - m) * h
            out[:, t] = h
        return out

    def backward(self, dout):
        p = self.p
        B, T, H = dout.shape
        g = {k: np.zeros_like(p[k]) for k in ('Wx', 'Wh', 'bx', 'bh')}
        dh = np.zeros((B, H))
        for t in range(T - 1, -1, -1):
            h_prev, r, z, n, hn, m = self.cache[t]
            dh = dh + dout[:, t]
            dhn = dh * m
            dz = dhn * (h_prev - n) * z * (1 - z)
            dn = dhn * (1 - z) * (1 - n * n)
            dr = dn * hn * r * (1 - r)
            dgx = np.hstack([dr, dz, dn])
            dgh = np.hstack([dr, dz, dn])
            g['Wx'] += self.x[:, t].T @ dgx
            g['Wh'] += h_prev.T @ dgh
            g['bx'] += dgx.sum(axis=0)
            g['bh'] += dgh.sum(axis=0)
            dh = dhn * z + dgh @ p['Wh'].T
        return g


class MeanPool:
    def forward(self, hs, mask):
        self.mask = mask
        self.n = mask.sum(axis=1)[:, None]
        return (hs * mask[:, :, None]).sum(axis=1) / self.n

    def backward(self, dpool):
        return self.mask[:, :, None] * (dpool / self.mask.shape[1])[:, None, :]


class SoftmaxLoss:
    def forward(self, logits, y):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.probs = e / e.sum(axis=1, keepdims=True)
        self.y = y
        return -np.mean(np.log(self.probs[np.arange(len(y)), y]))

    def backward(self):
        d = self.probs.copy()
        d[np.arange(len(self.y)), self.y] -= 1
        return d / len(self.y)


def make(rng, T=4, B=3, D=2, H=3, C=3):
    u = lambda *s: rng.uniform(-1, 1, s)
    params = dict(Wx=u(D, 3 * H), Wh=u(H, 3 * H), bx=u(3 * H), bh=u(3 * H), Wo=u(H, C), bo=u(C))
    x = rng.normal(size=(B, T, D))
    y = rng.integers(0, C, size=B)
    mask = np.ones((B, T))                       # zeros are missing readings inside the sequence
    for b in range(B):
        for t in range(1, T - 1):
            mask[b, t] = 0.0 if (t + b) % 3 == 1 else 1.0
    gru, pool, crit = GRULayer(params), MeanPool(), SoftmaxLoss()

    def loss():
        v = pool.forward(gru.forward(x, mask), mask)
        return float(crit.forward(v @ params['Wo'] + params['bo'], y))

    def grads():
        hs = gru.forward(x, mask)
        v = pool.forward(hs, mask)
        crit.forward(v @ params['Wo'] + params['bo'], y)
        dl = crit.backward()
        out = {'Wo': v.T @ dl, 'bo': dl.sum(axis=0)}
        out.update(gru.backward(pool.backward(dl @ params['Wo'].T)))
        return out

    return params, loss, grads


import gradcheck


@gradcheck.target
def audited(rng, *, T=4, B=3, D=2, H=3):
    return gradcheck.Target(*make(rng, T=T, B=B, D=D, H=H))


FAULTS = [('recurrent candidate part is not multiplied by the reset gate (reset applied after the matrix)',
  [48],
  [('dgh = np.hstack([dr, dz, dn])', 'dgh = np.hstack([dr, dz, dn * r])')]),
 ('masked steps copy the old state, their path dh*(1-m) to h_prev is missing',
  [53],
  [('dh = dhn * z', 'dh = dh * (1 - m) + dhn * z')]),
 ('mean pooling divides by T in the backward, by the number of valid steps in the forward',
  [64],
  [('(dpool / self.mask.shape[1])[:, None', '(dpool / self.n)[:, None')])]
