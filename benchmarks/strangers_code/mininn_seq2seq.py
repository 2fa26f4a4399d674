"""mininn: the smallest module library that can train a Luong-style seq2seq model.

Every Module keeps a LIFO stack of the things it needs for its backward pass, so the
same module can be called many times (once per time step) and ``backward`` has to be
called in exactly the opposite order.
"""
from __future__ import annotations

import math
from typing import Iterator, Tuple

import numpy as np

Array = np.ndarray
SMOOTHING = 0.1

class Parameter:
    def __init__(self, data: Array) -> None:
        self.data = data
        self.grad = np.zeros_like(data)
    def zero_grad(self) -> None:
        self.grad = np.zeros_like(self.data)

class Module:
    def __init__(self) -> None:
        self._stack: list = []
    def children(self) -> Iterator[Tuple[str, "Module"]]:
        return ((n, m) for n, m in vars(self).items() if isinstance(m, Module))
    def named_parameters(self, prefix: str = "") -> Iterator[Tuple[str, Parameter]]:
        for n, p in vars(self).items():
            if isinstance(p, Parameter):
                yield prefix + n, p
        for n, m in self.children():
            yield from m.named_parameters(prefix + n + ".")
    def clear(self) -> None:
        self._stack.clear()
        for _, m in self.children():
            m.clear()
    def __call__(self, *args):
        return self.forward(*args)

class Linear(Module):
    def __init__(self, n_in: int, n_out: int, rng) -> None:
        super().__init__()
        self.weight = Parameter(rng.normal(0, 1.4 / math.sqrt(n_in), (n_out, n_in)))
        self.bias = Parameter(rng.normal(0, 0.3, n_out))
    def forward(self, x: Array) -> Array:
        self._stack.append(x)
        return x @ self.weight.data.T + self.bias.data
    def backward(self, dy: Array) -> Array:
        x = self._stack.pop()
        self.weight.grad += dy.T @ x
        self.bias.grad += dy.sum(axis=0)
        return dy @ self.weight.data

class Embedding(Module):
    def __init__(self, n: int, dim: int, rng) -> None:
        super().__init__()
        self.table = Parameter(rng.normal(0, 1.0, (n, dim)))
    def forward(self, ids: Array) -> Array:
        self._stack.append(ids)
        return self.table.data[ids]
    def backward(self, dy: Array) -> None:
        np.add.at(self.table.grad, self._stack.pop(), dy)

class GRUCell(Module):
    """cuDNN flavour: the reset gate multiplies (U h + b), not h."""
    def __init__(self, n_in: int, hidden: int, rng) -> None:
        super().__init__()
        self.ih = Linear(n_in, 3 * hidden, rng)
        self.hh = Linear(hidden, 3 * hidden, rng)
    def forward(self, x: Array, h: Array) -> Array:
        xr, xz, xn = np.split(self.ih(x), 3, axis=1)
        hr, hz, hn = np.split(self.hh(h), 3, axis=1)
        r = 1 / (1 + np.exp(-xr - hr))
        z = 1 / (1 + np.exp(-xz - hz))
        n = np.tanh(xn + r * hn)
        self._stack.append((h, r, z, n, hn))
        return z * h + (1 - z) * n
    def backward(self, dh_new: Array) -> Tuple[Array, Array]:
        h, r, z, n, hn = self._stack.pop()
        dn = dh_new * (1 - z) * (1 - n ** 2)
        dz = dh_new * (h - n) * z * (1 - z)
        dr = dn * hn * r * (1 - r)
        dx = self.ih.backward(np.concatenate([dr, dz, dn], axis=1))
        dh = self.hh.backward(np.concatenate([dr, dz, dn * r], axis=1))
        return dx, dh + dh_new * z

class DotAttention(Module):
    """query (B, H), memory (B, S, H), keep (B, S) -> context (B, H)"""
    def forward(self, query: Array, memory: Array, keep: Array) -> Array:
        scale = 1.0 / math.sqrt(query.shape[1])
        scores = np.where(keep, scale * np.matmul(memory, query[:, :, None])[:, :, 0], -1e9)
        w = np.exp(scores - scores.max(axis=1, keepdims=True))
        w /= w.sum(axis=1, keepdims=True)
        self._stack.append((query, memory, w, scale))
        return np.matmul(w[:, None, :], memory)[:, 0, :]
    def backward(self, dctx: Array) -> Tuple[Array, Array]:
        query, memory, w, scale = self._stack.pop()
        dw = np.matmul(memory, dctx[:, :, None])[:, :, 0]
        ds = scale * w * (dw - (w * dw).sum(axis=1, keepdims=True))
        dmemory = w[:, :, None] * dctx[:, None, :] + ds[:, :, None] * query[:, None, :]
        dquery = np.matmul(ds[:, None, :], memory)[:, 0, :]
        return dquery, dmemory

class Seq2Seq(Module):
    """Encoder GRU, decoder GRU with input feeding, output layer tied to the target embedding."""
    def __init__(self, v_src: int, v_tgt: int, emb: int, hidden: int, rng) -> None:
        super().__init__()
        self.hidden, self.emb_dim = hidden, emb
        self.src_emb = Embedding(v_src, emb, rng)
        self.tgt_emb = Embedding(v_tgt, emb, rng)
        self.encoder = GRUCell(emb, hidden, rng)
        self.bridge = Linear(hidden, hidden, rng)
        self.decoder = GRUCell(2 * emb, hidden, rng)
        self.attention = DotAttention()
        self.combine = Linear(2 * hidden, emb, rng)
    def forward(self, src: Array, keep: Array, tgt_in: Array, gold: Array, gold_mask: Array) -> float:
        h = np.zeros((len(src), self.hidden))
        outputs = []
        for t in range(src.shape[1]):
            h = np.where(keep[:, t:t + 1], self.encoder(self.src_emb(src[:, t]), h), h)
            outputs.append(h)
        memory = np.stack(outputs, axis=1)
        h = np.tanh(self.bridge(h))
        init = h
        feed = np.zeros((len(src), self.emb_dim))
        total, steps = 0.0, []
        rows = np.arange(len(src))
        for t in range(tgt_in.shape[1]):      # teacher forcing
            h = self.decoder(np.concatenate([self.tgt_emb(tgt_in[:, t]), feed], axis=1), h)
            ctx = self.attention(h, memory, keep)
            feed = np.tanh(self.combine(np.concatenate([ctx, h], axis=1)))
            logits = feed @ self.tgt_emb.table.data.T
            logits = logits - logits.max(axis=1, keepdims=True)
            logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            nll = -(1 - SMOOTHING) * logp[rows, gold[:, t]] - SMOOTHING * logp.mean(axis=1)
            total += (nll * gold_mask[:, t]).sum()
            steps.append((feed, logp))
        self._stack.append((keep, gold, gold_mask, memory, init, steps))
        return total / gold_mask.sum()
    def backward(self) -> None:
        keep, gold, gold_mask, memory, init, steps = self._stack.pop()
        n_tokens = gold_mask.sum()
        rows = np.arange(len(gold))
        dmemory = np.zeros_like(memory)
        dh = np.zeros_like(init)
        dfeed = np.zeros_like(steps[0][0])
        table = self.tgt_emb.table
        for t in reversed(range(len(steps))):
            feed, logp = steps[t]
            dlogits = np.exp(logp) - SMOOTHING / logp.shape[1]
            dlogits[rows, gold[:, t]] -= 1 - SMOOTHING
            dlogits *= gold_mask[:, t:t + 1] / n_tokens
            table.grad += dlogits.T @ feed
            dfeed = dfeed + dlogits @ table.data
            dcat = self.combine.backward(dfeed * (1 - feed ** 2))
            dctx, dh_out = dcat[:, :self.hidden], dcat[:, self.hidden:]
            dquery, dmem = self.attention.backward(dctx)
            dmemory += dmem
            dx, dh = self.decoder.backward(dh + dh_out + dquery)
            self.tgt_emb.backward(dx[:, :self.emb_dim])
            dfeed = dx[:, self.emb_dim:]
        dh = self.bridge.backward(dh * (1 - init ** 2))
        for t in reversed(range(memory.shape[1])):
            dh = dh + dmemory[:, t]
            k = keep[:, t:t + 1]
            dx, dprev = self.encoder.backward(dh * k)
            self.src_emb.backward(dx)
            dh = dprev + dh * ~k

def make(Target, rng, B=3, S=5, T=4, hidden=4, emb=3, v_src=5, v_tgt=4):
    model = Seq2Seq(v_src, v_tgt, emb, hidden, rng)
    src = rng.integers(0, v_src, (B, S))
    gold = rng.integers(0, v_tgt, (B, T))
    tgt_in = np.concatenate([np.zeros((B, 1), dtype=int), gold[:, :-1]], axis=1)   # 0 = <s>
    keep = np.arange(S)[None, :] < np.maximum(1, S - np.arange(B))[:, None]
    gold_mask = (np.arange(T)[None, :] < np.maximum(1, T - np.arange(B)[::-1])[:, None]).astype(float)
    batch = (src, keep, tgt_in, gold, gold_mask)
    named = dict(model.named_parameters())
    def loss() -> float:
        model.clear()
        return float(model(*batch))
    def grads() -> dict:
        model.clear()
        for p in named.values():
            p.zero_grad()
        model(*batch)
        model.backward()
        return {n: p.grad for n, p in named.items()}

    return Target({n: p.data for n, p in named.items()}, loss, grads)


BUGS = {
    "bias-grad-not-accumulated": ("self.bias.grad += dy.sum(axis=0)", "self.bias.grad = dy.sum(axis=0)"),
    "update-gate-sign": ("dz = dh_new * (h - n) * z * (1 - z)", "dz = dh_new * (n - h) * z * (1 - z)"),
    "reset-gate-missing-towards-hh": ("dh = self.hh.backward(np.concatenate([dr, dz, dn * r], axis=1))", "dh = self.hh.backward(np.concatenate([dr, dz, dn], axis=1))"),
    "attention-softmax-wrong-axis": ("(w * dw).sum(axis=1, keepdims=True))", "(w * dw).sum(axis=0, keepdims=True))"),
    "memory-as-value-only": ("dmemory = w[:, :, None] * dctx[:, None, :] + ds[:, :, None] * query[:, None, :]", "dmemory = w[:, :, None] * dctx[:, None, :]"),
    "context-and-state-swapped": ("dctx, dh_out = dcat[:, :self.hidden], dcat[:, self.hidden:]", "dh_out, dctx = dcat[:, :self.hidden], dcat[:, self.hidden:]"),
    "smoothing-not-in-gradient": ("dlogits[rows, gold[:, t]] -= 1 - SMOOTHING", "dlogits[rows, gold[:, t]] -= 1"),
    "input-feeding-carry-lost": ("dfeed = dfeed + dlogits @ table.data", "dfeed = dlogits @ table.data"),
}
PAIRS = [
    ("bias-grad-not-accumulated", "update-gate-sign"),
    ("reset-gate-missing-towards-hh", "smoothing-not-in-gradient"),
    ("attention-softmax-wrong-axis", "input-feeding-carry-lost"),
    ("memory-as-value-only", "context-and-state-swapped"),
    ("update-gate-sign", "memory-as-value-only"),
    ("context-and-state-swapped", "smoothing-not-in-gradient"),
]
