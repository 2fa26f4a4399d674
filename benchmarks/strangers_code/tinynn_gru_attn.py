"""tinynn - layers with .forward / .backward, nothing else.

Conventions
  * activations are (batch, time, channel), except inside recurrent layers
  * backward(g) returns the gradient w.r.t. the input and *adds* into P.g
  * a layer remembers what it needs in self.ctx (one forward per backward!)
"""
import numpy as np

sig = lambda a: 0.5 * (1 + np.tanh(0.5 * a))


class P:
    """a parameter: value and gradient"""
    def __init__(self, v):
        self.v, self.g = v, np.zeros_like(v)


class Module:
    def named(self, prefix=""):
        for k, a in vars(self).items():
            if isinstance(a, P):
                yield prefix + k, a
            elif isinstance(a, Module):
                yield from a.named(prefix + k + ".")
            elif isinstance(a, list):
                for i, m in enumerate(a):
                    yield from m.named(f"{prefix}{i}.")

    def zero(self):
        for _, p in self.named(): p.g = np.zeros_like(p.v)


class Linear(Module):
    def __init__(self, rng, n_in, n_out, bias=True):
        self.W = P(rng.normal(size=(n_in, n_out)) * 1.2 / np.sqrt(n_in))
        self.b = P(rng.normal(size=n_out) * 0.2) if bias else None

    def forward(self, x):
        self.ctx = x
        return x @ self.W.v + (self.b.v if self.b else 0)

    def backward(self, g):
        flat = g.reshape(-1, g.shape[-1])
        self.W.g += self.ctx.reshape(len(flat), -1).T @ flat
        if self.b: self.b.g += flat.sum(0)
        return g @ self.W.v.T


class Embedding(Module):
    def __init__(self, rng, vocab, dim):
        self.E = P(rng.normal(size=(vocab, dim)))

    def forward(self, ids):
        self.ctx = ids
        return self.E.v[ids]

    def backward(self, g):
        np.add.at(self.E.g, self.ctx, g)
        return None  # ids are not differentiable


class ResetFirstGRU(Module):
    """GRU where *both* the update gate and the candidate look at the reset state.

        r = sig(x Wr + h Ur + br)      s = r * h
        z = sig(x Wz + s Uz + bz)      n = tanh(x Wn + s Un + bn)
        h' = h + z * (n - h)
    """
    def __init__(self, rng, n_in, n):
        self.n = n
        self.W = P(rng.normal(size=(n_in, 3 * n)) * 0.9 / np.sqrt(n_in))
        self.Ur = P(rng.normal(size=(n, n)) * 0.8)
        self.Uzn = P(rng.normal(size=(n, 2 * n)) * 0.8)
        self.b = P(rng.normal(size=3 * n) * 0.3)

    def forward(self, x):
        (B, T, _), n = x.shape, self.n
        h, out = np.zeros((B, n)), np.empty((B, T, n))
        pre = x @ self.W.v + self.b.v  # all the inputs at once
        steps = []
        for t in range(T):
            r = sig(pre[:, t, :n] + h @ self.Ur.v)
            s = r * h
            zn = pre[:, t, n:] + s @ self.Uzn.v
            z, c = sig(zn[:, :n]), np.tanh(zn[:, n:])
            steps.append((h, r, s, z, c))
            h = h + z * (c - h)
            out[:, t] = h
        self.ctx = x, steps
        return out

    def backward(self, g):
        x, steps = self.ctx
        n, T = self.n, x.shape[1]
        dpre = np.empty(x.shape[:2] + (3 * n,))
        dh = np.zeros_like(steps[0][0])
        for t in range(T)[::-1]:
            h, r, s, z, c = steps[t]
            dh = dh + g[:, t]
            dz = dh * (c - h) * z * (1 - z)
            dc = dh * z * (1 - c * c)
            dzn = np.concatenate([dz, dc], 1)
            self.Uzn.g += s.T @ dzn
            ds = dzn @ self.Uzn.v.T
            dr = ds * h * r * (1 - r)
            self.Ur.g += h.T @ dr
            dpre[:, t] = np.concatenate([dr, dzn], 1)
            dh = dh * (1 - z) + ds * r + dr @ self.Ur.v.T
        self.W.g += np.einsum("bti,btj->ij", x, dpre)
        self.b.g += dpre.sum((0, 1))
        return dpre @ self.W.v.T


class LayerNorm(Module):
    def __init__(self, rng, n, eps=1e-3):
        self.eps = eps
        self.gain = P(1 + 0.3 * rng.normal(size=n))
        self.shift = P(0.3 * rng.normal(size=n))

    def forward(self, x):
        mu = x.mean(-1, keepdims=True)
        inv = 1 / np.sqrt(((x - mu) ** 2).mean(-1, keepdims=True) + self.eps)
        hat = (x - mu) * inv
        self.ctx = hat, inv
        return hat * self.gain.v + self.shift.v

    def backward(self, g):
        hat, inv = self.ctx
        self.gain.g += (g * hat).sum((0, 1))
        self.shift.g += g.sum((0, 1))
        g = g * self.gain.v
        return inv * (g - g.mean(-1, keepdims=True) - hat * (g * hat).mean(-1, keepdims=True))


class PastAttention(Module):
    """one head, every position may look at itself and everything before it. x + attention(x)"""
    def __init__(self, rng, n):
        self.scale = 1 / np.sqrt(n + 1.0)  # +1: we had n=1 runs, see the log of 14 May
        self.q, self.k, self.v = (Linear(rng, n, n, bias=False) for _ in range(3))
        self.o = Linear(rng, n, n)

    def forward(self, x):
        q, k, v = self.q.forward(x), self.k.forward(x), self.v.forward(x)
        a = q @ k.swapaxes(1, 2) * self.scale
        a = np.where(np.tri(x.shape[1], dtype=bool), a, -1e9)
        w = np.exp(a - a.max(-1, keepdims=True))
        w /= w.sum(-1, keepdims=True)
        self.ctx = q, k, v, w
        return x + self.o.forward(w @ v)

    def backward(self, g):
        q, k, v, w = self.ctx
        gy = self.o.backward(g)
        gw = gy @ v.swapaxes(1, 2)
        # the masked places have w == 0, nothing flows there
        ga = w * (gw - (gw * w).sum(-1, keepdims=True))
        gq = ga @ k * self.scale
        gk = ga.swapaxes(1, 2) @ q * self.scale
        gv = w.swapaxes(1, 2) @ gy
        return g + self.q.backward(gq) + self.k.backward(gk) + self.v.backward(gv)


class SmoothedXent(Module):
    def __init__(self, eps=0.2):
        self.eps = eps

    def forward(self, logits, y):
        V = logits.shape[-1]
        m = logits - logits.max(-1, keepdims=True)
        logp = m - np.log(np.exp(m).sum(-1, keepdims=True))
        hard = np.eye(V)[y]
        soft = (1 - self.eps) * hard + self.eps / V
        self.ctx = np.exp(logp), soft, hard  # hard is for the accuracy printout
        return -(soft * logp).sum() / y.size

    def backward(self):
        p, soft, hard = self.ctx
        return (p - soft) / (p.size // p.shape[-1])


class Net(Module):
    def __init__(self, rng, V, D, H):
        self.layers = [Embedding(rng, V, D), ResetFirstGRU(rng, D, H), LayerNorm(rng, H),
                       PastAttention(rng, H), Linear(rng, H, V)]
        self.crit = SmoothedXent()

    def loss(self, x, y):
        for layer in self.layers: x = layer.forward(x)
        return self.crit.forward(x, y)

    def backprop(self):
        g = self.crit.backward()
        for layer in reversed(self.layers): g = layer.backward(g)


def make(Target, rng, T=6, B=3, H=4, D=3, V=5):
    net = Net(rng, V, D, H)
    text = rng.integers(0, V, size=(B, T + 1))
    x, y = text[:, :-1], text[:, 1:]
    params = {k: p.v for k, p in net.named()}

    def grads():
        net.zero()
        net.loss(x, y)
        net.backprop()
        return {k: p.g for k, p in net.named()}

    return Target(params, lambda: float(net.loss(x, y)), grads)


BUGS = {
    "attention-softmax-sum-axis": ("ga = w * (gw - (gw * w).sum(-1, keepdims=True))", "ga = w * (gw - (gw * w).sum(-2, keepdims=True))"),
    "layernorm-variance-term-missing": ("return inv * (g - g.mean(-1, keepdims=True) - hat * (g * hat).mean(-1, keepdims=True))", "return inv * (g - g.mean(-1, keepdims=True))"),
    "gru-reset-over-everything": ("dh = dh * (1 - z) + ds * r + dr @ self.Ur.v.T", "dh = dh * (1 - z) + (ds + dr @ self.Ur.v.T) * r"),
    "embedding-repeated-ids-lost": ("np.add.at(self.E.g, self.ctx, g)", "self.E.g[self.ctx] += g"),
    "xent-hard-labels": ("return (p - soft) / (p.size // p.shape[-1])", "return (p - hard) / (p.size // p.shape[-1])"),
    "attention-key-scale-missing": ("gk = ga.swapaxes(1, 2) @ q * self.scale", "gk = ga.swapaxes(1, 2) @ q"),
    "gru-reset-matrix-transposed": ("ds * r + dr @ self.Ur.v.T", "ds * r + dr @ self.Ur.v"),
    "attention-skip-path-missing": ("return g + self.q.backward(gq) + self.k.backward(gk)", "return self.q.backward(gq) + self.k.backward(gk)"),
}
PAIRS = [
    ("attention-softmax-sum-axis", "gru-reset-over-everything"),
    ("layernorm-variance-term-missing", "embedding-repeated-ids-lost"),
    ("xent-hard-labels", "attention-key-scale-missing"),
    ("gru-reset-matrix-transposed", "attention-skip-path-missing"),
    ("embedding-repeated-ids-lost", "attention-softmax-sum-axis"),
    ("layernorm-variance-term-missing", "gru-reset-matrix-transposed"),
]
