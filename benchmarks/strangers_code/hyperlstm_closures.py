# HyperLSTM (Ha, Dai & Le, "HyperNetworks"), my own reduced version:
#   * the hypernetwork is a small gated unit n, fed with [x, h]
#   * it emits embeddings z_x, z_h, z_b which scale (or shift, z_b) all four gates of the main LSTM at once
#   * recurrent dropout without memory loss: only the candidate is masked, masks are drawn outside
#   * layer norm on the cell before it goes to the output
#
# There is no graph and no class per layer. Whatever is computed in the forward pass leaves a closure on `tape`,
# backward() calls them last to first. A Node is a value and the place where its derivative is collected.
import numpy as np


class Node:
    __slots__ = ("v", "d")

    def __init__(self, v):
        self.v = v
        self.d = np.zeros_like(v)


def sigm(a):
    return 0.5 * (1.0 + np.tanh(0.5 * a))


def hyperlstm(w):
    """-> run(xs, labels, masks), backward(); w is read at every run, so it may be updated in place"""
    tape = []
    g = {}

    def record(fn):
        tape.append(fn)

    def join(x, h):
        both = Node(np.concatenate((x.v, h.v), axis=1))
        nx = x.v.shape[1]

        @record
        def _():
            x.d += both.d[:, :nx]
            h.d += both.d[:, nx:]

        return both

    def linear(x, W, b=None):
        y = Node(x.v @ w[W] if b is None else x.v @ w[W] + w[b])

        @record
        def _():
            g[W] += x.v.T @ y.d
            if b is not None:
                g[b] += y.d.sum(axis=0)
            x.d += y.d @ w[W].T

        return y

    def hyper_unit(a, n):
        # n' = (1 - k) n + k q
        pa, pn = linear(a, "Ua", "bu"), linear(n, "Un")
        k_in, q_in = np.split(pa.v + pn.v, 2, axis=1)
        k, q = sigm(k_in), np.tanh(q_in)
        out = Node((1 - k) * n.v + k * q)

        @record
        def _():
            dk = out.d * (q - n.v) * k * (1 - k)
            dq = out.d * k * (1 - q ** 2)
            n.d += out.d * (1 - k)
            dpre = np.hstack((dk, dq))
            pa.d += dpre
            pn.d += dpre

        return out

    def times(a, b):
        y = Node(a.v * b.v)

        @record
        def _():
            a.d += y.d * b.v
            b.d += y.d * a.v

        return y

    def modulated(x, h, n):
        by_x = times(linear(linear(n, "Zx", "zx"), "Sx"), linear(x, "Wx"))
        by_h = times(linear(linear(n, "Zh", "zh"), "Sh"), linear(h, "Wh"))
        shift = linear(linear(n, "Zb"), "Sb", "b")
        pre = Node(by_x.v + by_h.v + shift.v)

        @record
        def _():
            for part in (by_x, by_h, shift):
                part.d += pre.d

        return pre

    def memory(pre, c, mask):
        i, f, o, cand = np.split(pre.v, 4, axis=1)
        i, f, o, cand = sigm(i), sigm(f + 1.0), sigm(o), np.tanh(cand)
        new, gate = Node(f * c.v + i * cand * mask), Node(o)

        @record
        def _():
            di = new.d * cand * mask * i * (1 - i)
            df = new.d * c.v * f * (1 - f)
            do = gate.d * o * (1 - o)
            dcand = new.d * i * mask * (1 - cand ** 2)
            c.d += new.d * f
            pre.d += np.hstack((di, df, do, dcand))

        return new, gate

    def layer_norm(c, eps=1e-3):
        mu = c.v.mean(axis=1, keepdims=True)
        inv = 1 / np.sqrt(c.v.var(axis=1, keepdims=True) + eps)
        hat = (c.v - mu) * inv
        y = Node(hat * w["ln_g"] + w["ln_b"])

        @record
        def _():
            g["ln_g"] += (y.d * hat).sum(axis=0)
            g["ln_b"] += y.d.sum(axis=0)
            dhat = y.d * w["ln_g"]
            c.d += inv * (dhat - dhat.mean(axis=1, keepdims=True) - hat * (dhat * hat).mean(axis=1, keepdims=True))

        return y

    def squash(normed, gate):
        th = np.tanh(normed.v)
        h = Node(gate.v * th)

        @record
        def _():
            gate.d += h.d * th
            normed.d += h.d * gate.v * (1 - th ** 2)

        return h

    def xent(logits, label, weight):
        p = np.exp(logits.v - logits.v.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        rows = np.arange(len(label))

        @record
        def _():
            dl = p.copy()
            dl[rows, label] -= 1
            logits.d += weight * dl

        return -weight * np.log(p[rows, label]).sum()

    def run(xs, labels, masks):
        tape.clear()
        T, B = labels.shape
        h, c = (Node(np.tile(w[s], (B, 1))) for s in ("h0", "c0"))
        n = Node(np.zeros((B, w["Un"].shape[0])))
        first_h, first_c = h, c

        @record
        def _():
            g["h0"] += first_h.d.sum(axis=0)
            g["c0"] += first_c.d.sum(axis=0)

        total = 0.0
        for t in range(T):
            x = Node(xs[t])
            n = hyper_unit(join(x, h), n)
            c, gate = memory(modulated(x, h, n), c, masks[t])
            h = squash(layer_norm(c), gate)
            total += xent(linear(h, "Vo", "vo"), labels[t], 1.0 / (B * T))
        return total

    def backward():
        g.clear()
        g.update((k, np.zeros_like(v)) for k, v in w.items())
        for back in reversed(tape):
            back()
        return dict(g)

    return run, backward


def make(Target, rng, T=3, B=2, D=2, H=3, N=2, E=2, K=3):
    shapes = dict(Ua=(D + H, 2 * N), bu=(2 * N,), Un=(N, 2 * N), Zx=(N, E), zx=(E,), Sx=(E, 4 * H), Wx=(D, 4 * H), Zh=(N, E), zh=(E,),
                  Sh=(E, 4 * H), Wh=(H, 4 * H), Zb=(N, E), Sb=(E, 4 * H), b=(4 * H,), ln_g=(H,), ln_b=(H,), h0=(H,), c0=(H,), Vo=(H, K), vo=(K,))
    w = {name: rng.normal(size=shape) * 0.8 for name, shape in shapes.items()}
    keep = 0.75
    masks = (rng.random((T, B, H)) < keep) / keep
    masks[-1, 0, 0] = 0.0
    xs, labels = rng.normal(size=(T, B, D)), rng.integers(0, K, (T, B))
    run, backward = hyperlstm(w)

    def grads():
        run(xs, labels, masks)
        return backward()

    return Target(w, lambda: run(xs, labels, masks), grads)


BUGS = {
    "hidden-gets-the-leading-columns": ("h.d += both.d[:, nx:]", "h.d += both.d[:, :h.v.shape[1]]"),
    "linear-overwrites-the-input-derivative": ("x.d += y.d @ w[W].T", "x.d[...] = y.d @ w[W].T"),
    "hyper-gate-without-the-old-state": ("dk = out.d * (q - n.v) * k * (1 - k)", "dk = out.d * q * k * (1 - k)"),
    "product-both-by-the-same-operand": ("b.d += y.d * a.v", "b.d += y.d * b.v"),
    "dropout-mask-forgotten-at-the-input-gate": ("di = new.d * cand * mask * i * (1 - i)", "di = new.d * cand * i * (1 - i)"),
    "forget-gate-by-the-new-cell": ("df = new.d * c.v * f * (1 - f)", "df = new.d * new.v * f * (1 - f)"),
    "layer-norm-variance-term-missing": ("c.d += inv * (dhat - dhat.mean(axis=1, keepdims=True) - hat * (dhat * hat).mean(axis=1, keepdims=True))", "c.d += inv * (dhat - dhat.mean(axis=1, keepdims=True))"),
    "output-tanh-derivative-from-its-input": ("normed.d += h.d * gate.v * (1 - th ** 2)", "normed.d += h.d * gate.v * (1 - normed.v ** 2)"),
}

PAIRS = [("forget-gate-by-the-new-cell", "output-tanh-derivative-from-its-input"), ("hyper-gate-without-the-old-state", "layer-norm-variance-term-missing")]
