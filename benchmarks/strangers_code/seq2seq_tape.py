"""A tiny layer library (parameters, layers that keep their own tape) and a GRU encoder-decoder with teacher forcing on top."""
import numpy as np


class Parameter:
    def __init__(self, value):
        self.value = value
        self.grad = np.zeros_like(value)


class Module:
    def named(self, prefix=""):
        for name, item in vars(self).items():
            if isinstance(item, Parameter):
                yield prefix + name, item
            elif isinstance(item, Module):
                yield from item.named(prefix + name + ".")


class Embedding(Module):
    def __init__(self, rng, vocab, dim):
        self.table = Parameter(rng.normal(size=(vocab, dim)))
        self.tape = []

    def forward(self, ids):
        self.tape.append(ids)
        return self.table.value[ids]

    def backward(self, grad_out):
        np.add.at(self.table.grad, self.tape.pop(), grad_out)


class Affine(Module):
    def __init__(self, rng, n_in, n_out):
        self.weight, self.bias = Parameter(rng.normal(size=(n_in, n_out)) * 0.6), Parameter(rng.normal(size=n_out) * 0.3)
        self.tape = []

    def forward(self, x):
        self.tape.append(x)
        return x @ self.weight.value + self.bias.value

    def backward(self, grad_out):
        x = self.tape.pop()
        self.weight.grad += x.T @ grad_out
        self.bias.grad += grad_out.sum(0)
        return grad_out @ self.weight.value.T


class GRUCell(Module):
    """Reset gate applied after the recurrent product, as cuDNN does; both products are fused."""

    def __init__(self, rng, n_in, n_hid):
        self.ih, self.hh = Affine(rng, n_in, 3 * n_hid), Affine(rng, n_hid, 3 * n_hid)
        self.tape = []

    def forward(self, x, h):
        xr, xz, xn = np.split(self.ih.forward(x), 3, axis=1)
        hr, hz, hn = np.split(self.hh.forward(h), 3, axis=1)
        r, z = 1 / (1 + np.exp(-xr - hr)), 1 / (1 + np.exp(-xz - hz))
        n = np.tanh(xn + r * hn)
        self.tape.append((h, r, z, n, hn))
        return n + z * (h - n)

    def backward(self, grad_h):
        h, r, z, n, hn = self.tape.pop()
        grad_n = grad_h * (1 - z) * (1 - n * n)
        grad_z = grad_h * (h - n) * z * (1 - z)
        grad_r = grad_n * hn * r * (1 - r)
        grad_x = self.ih.backward(np.concatenate([grad_r, grad_z, grad_n], axis=1))
        grad_prev = self.hh.backward(np.concatenate([grad_r, grad_z, grad_n * r], axis=1))
        return grad_x, grad_prev + grad_h * z


class CrossEntropy:
    def __init__(self, pad):
        self.pad, self.tape = pad, []

    def forward(self, scores, gold):
        keep = gold != self.pad
        prob = np.exp(scores - scores.max(1, keepdims=True))
        prob /= prob.sum(1, keepdims=True)
        self.tape.append((prob, gold, keep))
        return -(np.log(prob[np.arange(len(gold)), gold]) * keep).sum()

    def backward(self, scale):
        prob, gold, keep = self.tape.pop()
        grad = prob.copy()
        grad[np.arange(len(gold)), gold] -= 1.0
        return grad * keep[:, None] * scale


class Seq2Seq(Module):
    def __init__(self, rng, vocab, dim, hid):
        self.source, self.target = Embedding(rng, vocab, dim), Embedding(rng, vocab, dim)
        self.encoder, self.bridge = GRUCell(rng, dim, hid), Affine(rng, hid, hid)
        self.decoder, self.readout = GRUCell(rng, dim + hid, hid), Affine(rng, hid, vocab)
        self.criterion = CrossEntropy(pad=0)

    def forward(self, src, tgt):
        for layer in (self.source, self.target, self.encoder, self.encoder.ih, self.encoder.hh, self.bridge, self.decoder,
                      self.decoder.ih, self.decoder.hh, self.readout, self.criterion):
            layer.tape.clear()
        h = np.zeros((src.shape[1], self.bridge.bias.value.size))
        for ids in src:
            h = self.encoder.forward(self.source.forward(ids), h)
        self.ctx = h
        s = np.tanh(self.bridge.forward(h))
        self.s0 = s
        total = 0.0
        for prev, gold in zip(tgt[:-1], tgt[1:]):
            s = self.decoder.forward(np.hstack([self.target.forward(prev), self.ctx]), s)
            total += self.criterion.forward(self.readout.forward(s), gold)
        self.count = max((tgt[1:] != 0).sum(), 1)
        return total / self.count

    def backward(self, src, tgt):
        for _, p in self.named():
            p.grad[...] = 0.0
        dim = self.target.table.value.shape[1]
        grad_ctx, grad_s = np.zeros_like(self.ctx), np.zeros_like(self.s0)
        for _ in range(len(tgt) - 1):
            grad_s = grad_s + self.readout.backward(self.criterion.backward(1.0 / self.count))
            grad_in, grad_s = self.decoder.backward(grad_s)
            self.target.backward(grad_in[:, :dim])
            grad_ctx += grad_in[:, dim:]
        grad_h = self.bridge.backward(grad_s * (1 - self.s0 ** 2)) + grad_ctx
        for _ in range(len(src)):
            grad_x, grad_h = self.encoder.backward(grad_h)
            self.source.backward(grad_x)


def make(Target, rng, T=3, B=2, V=4, H=3):
    net = Seq2Seq(rng, V, 2, H)
    src, tgt = rng.integers(1, V, size=(T, B)), rng.integers(1, V, size=(T + 1, B))
    tgt[0], tgt[-1, 0] = 1, 0

    def grads():
        net.forward(src, tgt); net.backward(src, tgt)
        return {name: p.grad for name, p in net.named()}
    return Target(params={name: p.value for name, p in net.named()}, loss=lambda: net.forward(src, tgt), grads=grads)


BUGS = {
    "repeated-ids-lose-gradient": ("np.add.at(self.table.grad, self.tape.pop(), grad_out)", "self.table.grad[self.tape.pop()] += grad_out"),
    "reset-missing-on-hidden-side": ("np.concatenate([grad_r, grad_z, grad_n * r], axis=1)", "np.concatenate([grad_r, grad_z, grad_n], axis=1)"),
    "gate-order-of-hidden-side": ("grad_x = self.ih.backward(np.concatenate([grad_r, grad_z, grad_n], axis=1))", "grad_x = self.ih.backward(np.concatenate([grad_z, grad_r, grad_n], axis=1))"),
    "leak-uses-one-minus-z": ("return grad_x, grad_prev + grad_h * z", "return grad_x, grad_prev + grad_h * (1 - z)"),
    "pad-not-masked": ("return grad * keep[:, None] * scale", "return grad * scale"),
    "context-of-one-step": ("grad_ctx += grad_in[:, dim:]", "grad_ctx = grad_in[:, dim:]"),
    "context-only-through-bridge": ("grad_h = self.bridge.backward(grad_s * (1 - self.s0 ** 2)) + grad_ctx", "grad_h = self.bridge.backward(grad_s * (1 - self.s0 ** 2))"),
    "reset-gradient-with-state": ("grad_r = grad_n * hn * r * (1 - r)", "grad_r = grad_n * h * r * (1 - r)"),
}

PAIRS = [
    ("leak-uses-one-minus-z", "context-of-one-step"),
    ("reset-gradient-with-state", "pad-not-masked"),
]
