"""GRU + zoneout + RMSNorm, written as if for torch.autograd.Function, but on plain NumPy."""
import numpy as np


class Var:
    def __init__(self, data):
        self.data = data
        self.grad = None

    def receive(self, g):
        self.grad = g if self.grad is None else self.grad + g


class Context:
    def save_for_backward(self, *arrays):
        self.saved = arrays


class Function:
    tape = []

    @classmethod
    def apply(cls, *inputs):
        ctx = Context()
        raw = [i.data if isinstance(i, Var) else i for i in inputs]
        out = Var(cls.forward(ctx, *raw))
        Function.tape.append((cls, ctx, inputs, out))
        return out


def run_backward(root):
    root.grad = np.ones(())
    while Function.tape:
        cls, ctx, inputs, out = Function.tape.pop()
        if out.grad is None:
            continue
        for var, g in zip(inputs, cls.backward(ctx, out.grad)):
            if isinstance(var, Var):
                var.receive(g)


class Linear(Function):
    @staticmethod
    def forward(ctx, x, weight, bias=None):
        ctx.save_for_backward(x, weight)
        y = x @ weight.T
        return y if bias is None else y + bias

    @staticmethod
    def backward(ctx, gy):
        x, weight = ctx.saved
        return gy @ weight, gy.T @ x, gy.mean(0)


class GRUPointwise(Function):
    """gi = input projections, gh = hidden projections; both (B, 3H), order r | z | n"""

    @staticmethod
    def forward(ctx, gi, gh, h):
        i_r, i_z, i_n = np.split(gi, 3, axis=1)
        h_r, h_z, h_n = np.split(gh, 3, axis=1)
        r = 1 / (1 + np.exp(-i_r - h_r))
        z = 1 / (1 + np.exp(-i_z - h_z))
        n = np.tanh(i_n + r * h_n)
        ctx.save_for_backward(r, z, n, h_n, h)
        return n + z * (h - n)

    @staticmethod
    def backward(ctx, g):
        r, z, n, h_n, h = ctx.saved
        a_n = g * (1 - z) * (1 - n * n)
        a_z = g * (h - n) * z * (1 - z)
        a_r = g * (1 - z) * h_n * r * (1 - r)
        g_gi = np.concatenate([a_r, a_z, a_n], axis=1)
        g_gh = np.concatenate([a_r, a_z, a_n * r], axis=1)
        return g_gi, g_gh, g * z


class Zoneout(Function):
    @staticmethod
    def forward(ctx, new, old, keep_old):
        ctx.save_for_backward(keep_old)
        return np.where(keep_old, old, new)

    @staticmethod
    def backward(ctx, g):
        keep_old, = ctx.saved
        return np.where(keep_old, g, 0.0), np.where(keep_old, 0.0, g), None


class RMSNorm(Function):
    eps = 1e-3

    @staticmethod
    def forward(ctx, x, gain):
        rrms = 1 / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + RMSNorm.eps)
        ctx.save_for_backward(x, gain, rrms)
        return x * rrms * gain

    @staticmethod
    def backward(ctx, g):
        x, gain, rrms = ctx.saved
        gg = g * gain
        inner = np.mean(gg * x, axis=1, keepdims=True)
        gx = rrms * gg - rrms ** 3 * x * inner
        return gx, (g * x * rrms).sum(0)


class NLL(Function):
    """sum of the negative log-likelihoods times `scale`"""

    @staticmethod
    def forward(ctx, logits, target, scale):
        e = np.exp(logits - logits.max(1, keepdims=True))
        p = e / e.sum(1, keepdims=True)
        rows = np.arange(len(target))
        ctx.save_for_backward(p, target, rows, scale)
        return -scale * np.log(p[rows, target]).sum()

    @staticmethod
    def backward(ctx, g):
        p, target, rows, scale = ctx.saved
        gl = p.copy()
        gl[rows, target] -= 1
        return g * scale * gl, None, None


class Add(Function):
    @staticmethod
    def forward(ctx, a, b):
        return a + b

    @staticmethod
    def backward(ctx, g):
        return g, g


def make(rng):
    B, T, D, H, C = 3, 5, 2, 3, 4
    shapes = dict(w_ih=(3 * H, D), b_ih=(3 * H,), w_hh=(3 * H, H), gain=(H,), w_out=(C, H), b_out=(C,))
    params = {k: rng.uniform(-1, 1, s) for k, s in shapes.items()}
    x = rng.normal(size=(T, B, D))
    y = rng.integers(0, C, (T, B))
    zone = rng.random((T, B, H)) < 0.3
    h_init = rng.normal(size=(B, H))

    def build():
        Function.tape.clear()
        v = {k: Var(p) for k, p in params.items()}
        h, total = Var(h_init), Var(np.zeros(()))
        for t in range(T):
            gi = Linear.apply(Var(x[t]), v['w_ih'], v['b_ih'])
            gh = Linear.apply(h, v['w_hh'])
            h = Zoneout.apply(GRUPointwise.apply(gi, gh, h), h, zone[t])
            logits = Linear.apply(RMSNorm.apply(h, v['gain']), v['w_out'], v['b_out'])
            total = Add.apply(total, NLL.apply(logits, y[t], 1.0 / (B * T)))
        return total, v

    def grads():
        total, v = build()
        run_backward(total)
        return {k: var.grad for k, var in v.items()}

    return params, lambda: float(build()[0].data), grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('zoneout: branches of the gradient swapped',
  [88],
  [('return np.where(keep_old, g, 0.0), np.where(keep_old, 0.0, g), None',
    'return np.where(keep_old, 0.0, g), np.where(keep_old, g, 0.0), None')]),
 ('bias gradient averaged over the batch instead of summed', [52], [('gy.T @ x, gy.mean(0)', 'gy.T @ x, gy.sum(0)')]),
 ('reset gate fed with the gradient before the tanh',
  [73],
  [('a_r = g * (1 - z) * h_n * r * (1 - r)', 'a_r = a_n * h_n * r * (1 - r)')])]
