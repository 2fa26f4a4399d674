"""Small language model: the embedding matrix is also the output matrix (weight tying).
Dropout on the cell output with masks drawn once; L2 on the matrices."""
import numpy as np

KEEP = 0.7
DECAY = 0.05


class TiedLM:
    def __init__(self, params, masks, tokens):
        self.params = params
        self.masks = masks          # (T, B, H) of zeros and ones
        self.tokens = tokens        # (B, T + 1)

    def penalty(self):
        return 0.5 * DECAY * sum(np.sum(self.params[k] ** 2) for k in ('E', 'W', 'U'))

    def forward(self):
        E, W, U, b, c = (self.params[k] for k in ('E', 'W', 'U', 'b', 'c'))
        B, T1 = self.tokens.shape
        self.h = {-1: np.zeros((B, U.shape[0]))}
        self.x, self.d, self.p = {}, {}, {}
        cost = 0.0
        for t in range(T1 - 1):
            self.x[t] = E[self.tokens[:, t]]
            self.h[t] = np.tanh(self.x[t] @ W + self.h[t - 1] @ U + b)
            self.d[t] = self.h[t] * self.masks[t] / KEEP
            logits = self.d[t] @ E.T + c
            logits = logits - logits.max(axis=1, keepdims=True)
            p = np.exp(logits)
            p /= p.sum(axis=1, keepdims=True)
            self.p[t] = p
            cost -= np.sum(np.log(p[np.arange(B), self.tokens[:, t + 1]]))
        return cost / B + self.penalty()

    def backward(self):
        E, W, U = self.params['E'], self.params['W'], self.params['U']
        B, T1 = self.tokens.shape
        dE, dW, dU = np.zeros_like(E), np.zeros_like(W), np.zeros_like(U)
        db, dc = np.zeros_like(self.params['b']), np.zeros_like(self.params['c'])
        dh_next = np.zeros_like(self.h[-1])
        for t in reversed(range(T1 - 1)):
            dlogits = self.p[t].copy()
            dlogits[np.arange(B), self.tokens[:, t + 1]] -= 1
            dlogits /= B
            dc += dlogits.sum(axis=0)
            dd = dlogits @ E
            dh = dd * self.masks[t] + dh_next
            dpre = dh * (1 - self.h[t] ** 2)
            dW += self.x[t].T @ dpre
            dU += self.h[t - 1].T @ dpre
            db += dpre.sum(axis=0)
            dx = dpre @ W.T
            np.add.at(dE, self.tokens[:, t], dx)
            dh_next = dpre @ U.T
        dE += 2 * DECAY * E
        dW += 2 * DECAY * W
        dU += 2 * DECAY * U
        return {'E': dE, 'W': dW, 'U': dU, 'b': db, 'c': dc}


def make(rng, T=4, B=3, D=2, H=3):
    V = D + 3
    params = {
        'E': rng.normal(scale=0.9, size=(V, H)),
        'W': rng.normal(scale=0.9, size=(H, H)),
        'U': rng.normal(scale=0.9, size=(H, H)),
        'b': rng.normal(scale=0.3, size=H),
        'c': rng.normal(scale=0.3, size=V),
    }
    masks = (rng.random((T, B, H)) < KEEP).astype(float)
    masks[0, 0, 0] = 0.0
    masks[-1, -1, -1] = 1.0
    tokens = rng.integers(0, V, size=(B, T + 1))
    lm = TiedLM(params, masks, tokens)

    def grads():
        lm.forward()
        return lm.backward()

    return params, lambda: float(lm.forward()), grads


import gradcheck


@gradcheck.target
def audited(rng, *, T=4, B=3, D=2, H=3):
    return gradcheck.Target(*make(rng, T=T, B=B, D=D, H=H))


FAULTS = [("the tied matrix's use as output matrix gives no gradient, only its use as embedding",
  [39, 46, 47, 54],
  [('            dc += dlogits.sum(axis=0)\n',
    '            dc += dlogits.sum(axis=0)\n            dE += dlogits.T @ self.d[t]\n')]),
 ('inverted dropout: the 1/KEEP scale is missing in the backward',
  [48],
  [('dh = dd * self.masks[t] + dh_next', 'dh = dd * self.masks[t] / KEEP + dh_next')]),
 ('L2 penalty is 0.5*DECAY*|W|^2 but its gradient is taken as 2*DECAY*W',
  [56, 57, 58],
  [('dE += 2 * DECAY * E', 'dE += DECAY * E'),
   ('dW += 2 * DECAY * W', 'dW += DECAY * W'),
   ('dU += 2 * DECAY * U', 'dU += DECAY * U')])]
