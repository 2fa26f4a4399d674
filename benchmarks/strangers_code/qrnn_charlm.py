"""Quasi-recurrent language model (QRNN): causal convolutions over time and fo-pooling.

Small layer library; all activations are (batch, time, channels).  The input embedding
and the softmax share one matrix.  Positions past the end of a text are masked out.
"""
import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


class Param:
    def __init__(self, value):
        self.value = value
        self.grad = np.zeros_like(value)


class Embedding:
    def __init__(self, table):
        self.table = table
        self.scale = np.sqrt(table.value.shape[1])

    def forward(self, tokens):
        self.tokens = tokens
        return self.scale * self.table.value[tokens]

    def backward(self, dy):
        np.add.at(self.table.grad, self.tokens, self.scale * dy)


class CausalConv:
    """y[t] = b + sum_k W[k] x[t - (K - 1) + k], zeros before the start."""

    def __init__(self, rng, n_in, n_out, width):
        self.W = Param(rng.normal(size=(width, n_in, n_out)) / np.sqrt(width * n_in))
        self.b = Param(0.2 * rng.normal(size=n_out))
        self.width = width

    def forward(self, x):
        B, T, C = x.shape
        self.xpad = np.concatenate([np.zeros((B, self.width - 1, C)), x], axis=1)
        y = np.zeros((B, T, self.b.value.size)) + self.b.value
        for k in range(self.width):
            y += np.einsum("bti,io->bto", self.xpad[:, k:k + T], self.W.value[k])
        return y

    def backward(self, dy):
        T = dy.shape[1]
        dxpad = np.zeros_like(self.xpad)
        for k in range(self.width):
            self.W.grad[k] += np.einsum("bti,bto->io", self.xpad[:, k:k + T], dy)
            dxpad[:, k:k + T] += np.einsum("bto,io->bti", dy, self.W.value[k])
        self.b.grad += dy.sum(axis=(0, 1))
        return dxpad[:, self.width - 1:]


class FoPool:
    """c[t] = f[t] c[t-1] + (1 - f[t]) z[t],  h[t] = o[t] c[t]."""

    def __init__(self, rng, channels):
        self.c0 = Param(0.7 * rng.normal(size=channels))

    def forward(self, a):
        B, T, _ = a.shape
        az, af, ao = np.split(a, 3, axis=2)
        self.z, self.f, self.o = np.tanh(az), sigmoid(af), sigmoid(ao)
        self.c = np.zeros((B, T + 1, self.c0.value.size))
        self.c[:, 0] = self.c0.value
        for t in range(T):
            self.c[:, t + 1] = self.f[:, t] * self.c[:, t] + (1 - self.f[:, t]) * self.z[:, t]
        return self.o * self.c[:, 1:]

    def backward(self, dh):
        T = dh.shape[1]
        do = dh * self.c[:, 1:]
        dc = dh * self.o
        dz, df = np.zeros_like(dc), np.zeros_like(dc)
        carry = np.zeros_like(dc[:, 0])
        for t in range(T - 1, -1, -1):
            d = dc[:, t] + carry
            dz[:, t] = d * (1 - self.f[:, t])
            df[:, t] = d * (self.c[:, t] - self.z[:, t])
            carry = d * self.f[:, t]
        self.c0.grad += carry.sum(axis=0)
        daz = dz * (1 - self.z ** 2)
        daf = df * self.f * (1 - self.f)
        dao = do * self.o * (1 - self.o)
        return np.concatenate([daz, daf, dao], axis=2)


class QRNNBlock:
    def __init__(self, rng, channels, width):
        self.conv = CausalConv(rng, channels, 3 * channels, width)
        self.pool = FoPool(rng, channels)

    def forward(self, x):
        return x + self.pool.forward(self.conv.forward(x))

    def backward(self, dy):
        da = self.pool.backward(dy)
        return dy + self.conv.backward(da)


class TiedSoftmaxLoss:
    def __init__(self, rng, table):
        self.table = table
        self.bias = Param(0.2 * rng.normal(size=table.value.shape[0]))

    def forward(self, h, target, mask):
        self.h, self.target, self.mask = h, target, mask
        logits = np.einsum("btd,vd->btv", h, self.table.value) + self.bias.value
        logits -= logits.max(axis=2, keepdims=True)
        logp = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
        self.prob = np.exp(logp)
        picked = np.take_along_axis(logp, target[:, :, None], axis=2)[:, :, 0]
        return float(-(picked * mask).sum() / mask.sum())

    def backward(self):
        onehot = np.eye(self.table.value.shape[0])[self.target]
        weight = self.mask / self.mask.sum()
        dlogits = (self.prob - onehot) * weight[:, :, None]
        self.bias.grad += dlogits.sum(axis=(0, 1))
        self.table.grad += np.einsum("btv,btd->vd", dlogits, self.h)
        return np.einsum("btv,vd->btd", dlogits, self.table.value)


class Model:
    def __init__(self, rng, vocab, channels, width, depth):
        self.table = Param(0.8 * rng.normal(size=(vocab, channels)))
        self.embed = Embedding(self.table)
        self.blocks = [QRNNBlock(rng, channels, width) for _ in range(depth)]
        self.head = TiedSoftmaxLoss(rng, self.table)

    def params(self):
        named = {"table": self.table, "bias": self.head.bias}
        for n, block in enumerate(self.blocks):
            named.update({f"W{n}": block.conv.W, f"b{n}": block.conv.b, f"c0_{n}": block.pool.c0})
        return named

    def forward(self, tokens, target, mask):
        x = self.embed.forward(tokens)
        for block in self.blocks:
            x = block.forward(x)
        return self.head.forward(x, target, mask)

    def backward(self):
        for p in self.params().values():
            p.grad[...] = 0.0
        dx = self.head.backward()
        for block in reversed(self.blocks):
            dx = block.backward(dx)
        self.embed.backward(dx)


def make(Target, rng, batch=3, time=5, vocab=5, channels=3, width=2, depth=2):
    model = Model(rng, vocab, channels, width, depth)
    text = rng.integers(0, vocab, size=(batch, time + 1))
    length = rng.integers(1, time + 1, size=batch)
    length[0], length[-1] = time, max(1, time - 2)
    mask = (np.arange(time)[None, :] < length[:, None]).astype(float)

    def loss():
        return model.forward(text[:, :-1], text[:, 1:], mask)

    def grads():
        loss()
        model.backward()
        return {name: p.grad.copy() for name, p in model.params().items()}

    return Target({name: p.value for name, p in model.params().items()}, loss, grads)


BUGS = {
    "embedding-scale-forgotten": ("np.add.at(self.table.grad, self.tokens, self.scale * dy)", "np.add.at(self.table.grad, self.tokens, dy)"),
    "conv-taps-overwrite": ("dxpad[:, k:k + T] += np.einsum(\"bto,io->bti\", dy, self.W.value[k])", "dxpad[:, k:k + T] = np.einsum(\"bto,io->bti\", dy, self.W.value[k])"),
    "conv-crops-wrong-end": ("return dxpad[:, self.width - 1:]", "return dxpad[:, :T]"),
    "output-gate-stale-cell": ("do = dh * self.c[:, 1:]", "do = dh * self.c[:, :-1]"),
    "forget-gate-misses-candidate": ("df[:, t] = d * (self.c[:, t] - self.z[:, t])", "df[:, t] = d * self.c[:, t]"),
    "pool-carry-with-wrong-gate": ("carry = d * self.f[:, t]", "carry = d * (1 - self.f[:, t])"),
    "residual-branch-dropped": ("return dy + self.conv.backward(da)", "return self.conv.backward(da)"),
    "padding-mask-left-out": ("weight = self.mask / self.mask.sum()", "weight = np.ones_like(self.mask) / self.mask.sum()"),
}
PAIRS = [
    ("conv-taps-overwrite", "conv-crops-wrong-end"),
    ("forget-gate-misses-candidate", "pool-carry-with-wrong-gate"),
    ("output-gate-stale-cell", "residual-branch-dropped"),
    ("embedding-scale-forgotten", "conv-crops-wrong-end"),
    ("pool-carry-with-wrong-gate", "residual-branch-dropped"),
    ("output-gate-stale-cell", "padding-mask-left-out"),
]
