"""Sentence classifier: Elman RNN -> R attention hops (additive, Lin et al. 2017) -> linear -> logistic loss, labels are +-1.

    loss, grads = (Pipeline(params).read(x, lengths).against(labels).forward().backward()).result

Letters in the einsums:  b batch   t time   d input   h,k hidden   a attention   r hops
"""
import numpy as np

ein = np.einsum


class Block:
    """Something with parameters in a shared dict, and a gradient for each that it owns."""

    owns = ()

    def __init__(self, store):
        self._store = store
        self._grad = {}

    def __getattr__(self, name):
        # block.W is the parameter W
        if name in type(self).owns:
            return self._store[name]
        raise AttributeError(name)

    @property
    def grad(self):
        return dict(self._grad)

    def zero(self):
        self._grad = {name: np.zeros_like(self._store[name]) for name in self.owns}
        return self


class Elman(Block):
    owns = ("W", "U", "b", "start")

    def forward(self, x, mask):
        self._x, self._m = x, mask[..., None]
        batch, steps = mask.shape
        self._h = np.empty((steps + 1, batch, self.b.size))
        self._new = np.empty((steps, batch, self.b.size))
        self._h[0] = self.start
        for t in range(steps):
            m = self._m[:, t]
            self._new[t] = np.tanh(ein("bd,dh->bh", x[:, t], self.W) + ein("bh,hk->bk", self._h[t], self.U) + self.b)
            self._h[t + 1] = m * self._new[t] + (1 - m) * self._h[t]    # padding keeps the state
        return self

    @property
    def states(self):
        return self._h[1:].transpose(1, 0, 2)

    def backward(self, dstates):
        self.zero()
        carry = np.zeros_like(self._h[0])
        for t in reversed(range(len(self._new))):
            m = self._m[:, t]
            dh = dstates[:, t] + carry
            dpre = dh * m * (1 - self._new[t] ** 2)
            self._grad["W"] += ein("bd,bh->dh", self._x[:, t], dpre)
            self._grad["U"] += ein("bh,bk->hk", self._h[t], dpre)
            self._grad["b"] += ein("bh->h", dpre)
            carry = ein("bk,hk->bh", dpre, self.U) + (1 - m) * dh
        self._grad["start"] = carry.sum(axis=0)
        return self


class AttentionPool(Block):
    owns = ("K", "q", "Q")
    strength = 0.3    # of the penalty |A A' - 1|^2 that keeps the hops apart

    def forward(self, states, mask):
        self._H = states
        self._S = np.tanh(ein("bth,ha->bta", states, self.K) + self.q)
        score = ein("bta,ra->brt", self._S, self.Q)
        score = np.where(mask[:, None, :] > 0, score, -np.inf)
        weight = np.exp(score - score.max(axis=2, keepdims=True))
        self._A = weight / weight.sum(axis=2, keepdims=True)
        return self

    @property
    def pooled(self):
        return ein("brt,bth->brh", self._A, self._H)

    @property
    def overlap(self):
        return ein("brt,bst->brs", self._A, self._A) - np.eye(self.Q.shape[0])

    @property
    def penalty(self):
        return self.strength * np.sum(self.overlap ** 2) / len(self._A)

    def backward(self, dpooled):
        self.zero()
        A, H, S = self._A, self._H, self._S
        dA = ein("brh,bth->brt", dpooled, H)
        dA += 4 * self.strength / len(A) * ein("brs,bst->brt", self.overlap, A)
        dscore = A * (dA - ein("brt,brt->br", dA, A)[..., None])
        self._grad["Q"] += ein("brt,bta->ra", dscore, S)
        dS = ein("brt,ra->bta", dscore, self.Q)
        dZ = dS * (1 - S ** 2)
        self._grad["K"] += ein("bth,bta->ha", H, dZ)
        self._grad["q"] += ein("bta->a", dZ)
        self._dH = ein("brh,brt->bth", dpooled, A)
        self._dH += ein("bta,ha->bth", dZ, self.K)
        return self

    @property
    def dstates(self):
        return self._dH


class Logistic(Block):
    owns = ("w", "c")

    def forward(self, pooled, labels):
        self._M, self._y = pooled, labels
        self._margin = labels * (ein("brh,rh->b", pooled, self.w) + self.c[0])
        return self

    @property
    def loss(self):
        return np.mean(np.log1p(np.exp(-self._margin)))

    def backward(self):
        self.zero()
        ds = -self._y / (1 + np.exp(self._margin)) / len(self._y)
        self._grad["w"] += ein("b,brh->rh", ds, self._M)
        self._grad["c"] += ds.sum()
        self._dpooled = ein("b,rh->brh", ds, self.w)
        return self

    @property
    def dpooled(self):
        return self._dpooled


class Pipeline:
    def __init__(self, store):
        self.rnn, self.pool, self.top = Elman(store), AttentionPool(store), Logistic(store)

    def read(self, x, lengths):
        self._x = x
        self._mask = (np.arange(x.shape[1]) >= x.shape[1] - lengths[:, None]).astype(float)    # padded on the left
        return self

    def against(self, labels):
        self._labels = labels
        return self

    def forward(self):
        self.rnn.forward(self._x, self._mask)
        self.pool.forward(self.rnn.states, self._mask)
        self.top.forward(self.pool.pooled, self._labels)
        return self

    def backward(self):
        self.rnn.backward(self.pool.backward(self.top.backward().dpooled).dstates)
        return self

    @property
    def loss(self):
        return float(self.top.loss + self.pool.penalty)

    @property
    def result(self):
        return self.loss, {**self.rnn.grad, **self.pool.grad, **self.top.grad}


def make(Target, rng, B=4, T=5, D=2, H=3, A=3, R=2):
    draw = lambda *shape: rng.normal(scale=0.8, size=shape)
    store = dict(W=draw(D, H), U=draw(H, H), b=draw(H), start=draw(H), K=draw(H, A), q=draw(A), Q=2 * draw(R, A), w=draw(R, H), c=draw(1))
    x, labels = draw(B, T, D), np.where(np.arange(B) % 2 == 0, 1.0, -1.0)
    lengths = np.maximum(2, T - np.arange(B) % 3)
    pipe = Pipeline(store).read(x, lengths).against(labels)
    return Target(store, lambda: pipe.forward().loss, lambda: pipe.forward().backward().result[1])


BUGS = {
    "margin-with-the-wrong-sign": ("ds = -self._y / (1 + np.exp(self._margin)) / len(self._y)", "ds = -self._y / (1 + np.exp(-self._margin)) / len(self._y)"),
    "softmax-by-its-diagonal-only": ('dscore = A * (dA - ein("brt,brt->br", dA, A)[..., None])', "dscore = dA * A * (1 - A)"),
    "penalty-as-if-one-factor": ("dA += 4 * self.strength / len(A)", "dA += 2 * self.strength / len(A)"),
    "recurrent-subscripts-transposed": ('carry = ein("bk,hk->bh", dpre, self.U)', 'carry = ein("bk,kh->bh", dpre, self.U)'),
    "padding-breaks-the-carry": (' + (1 - m) * dh', ""),
    "sigmoid-derivative-for-the-tanh": ("dZ = dS * (1 - S ** 2)", "dZ = dS * S * (1 - S)"),
    "scores-overwrite-the-pooled-path": ('self._dH += ein("bta,ha->bth", dZ, self.K)', 'self._dH = ein("bta,ha->bth", dZ, self.K)'),
    "start-state-averaged": ("carry.sum(axis=0)", "carry.mean(axis=0)"),
}

PAIRS = [("softmax-by-its-diagonal-only", "recurrent-subscripts-transposed"), ("margin-with-the-wrong-sign", "start-state-averaged")]
