"""GRU as a torch.autograd.Function look-alike, NumPy only.

Batch first: x is (B, T, D), output is (B, T, H), h_n is (B, H). Gate order and biases
follow torch.nn.GRU (r, z, n; the reset gate multiplies the hidden part *after* b_hh).
Sequences are right padded; a state is frozen once its sequence has ended.
"""
import numpy as np


class Context:
    def save_for_backward(self, *tensors):
        self.saved_tensors = tensors


class Function:
    @classmethod
    def apply(cls, *args):
        ctx = Context()
        return cls.forward(ctx, *args), ctx


def sigmoid(x):
    return 0.5 * (1.0 + np.tanh(0.5 * x))


class GRUFunction(Function):
    @staticmethod
    def forward(ctx, x, mask, h0, w_ih, w_hh, b_ih, b_hh):
        B, T, _ = x.shape
        H = w_hh.shape[1]
        gi = x @ w_ih.T + b_ih
        hs = np.zeros((B, T + 1, H))
        hs[:, 0] = h0
        r, z, n, hn = (np.zeros((B, T, H)) for _ in range(4))
        for t in range(T):
            m = mask[:, t, None]
            h_r, h_z, hn[:, t] = np.split(hs[:, t] @ w_hh.T + b_hh, 3, axis=1)
            i_r, i_z, i_n = np.split(gi[:, t], 3, axis=1)
            r[:, t] = sigmoid(i_r + h_r)
            z[:, t] = sigmoid(i_z + h_z)
            n[:, t] = np.tanh(i_n + r[:, t] * hn[:, t])
            h_new = (1 - z[:, t]) * n[:, t] + z[:, t] * hs[:, t]
            hs[:, t + 1] = m * h_new + (1 - m) * hs[:, t]
        ctx.save_for_backward(x, mask, w_ih, w_hh, hs, r, z, n, hn)
        return hs[:, 1:], hs[:, -1]

    @staticmethod
    def backward(ctx, grad_output, grad_hn):
        x, mask, w_ih, w_hh, hs, r, z, n, hn = ctx.saved_tensors
        B, T, H = grad_output.shape
        d_gi = np.zeros((B, T, 3 * H))
        d_gh = np.zeros((B, T, 3 * H))
        dh = grad_hn
        for t in range(T - 1, -1, -1):
            m = mask[:, t, None]
            h_prev = hs[:, t]
            dh = dh + grad_output[:, t]
            dnew = dh * m
            dz = dnew * (h_prev - n[:, t])
            dn = dnew * (1 - z[:, t])
            da_n = dn * (1 - n[:, t] ** 2)
            dr = da_n * hn[:, t]
            da_r = dr * r[:, t] * (1 - r[:, t])
            da_z = dz * z[:, t] * (1 - z[:, t])
            d_gi[:, t] = np.concatenate([da_r, da_z, da_n], axis=1)
            d_gh[:, t] = np.concatenate([da_r, da_z, da_n * r[:, t]], axis=1)
            dh = dnew * z[:, t] + d_gh[:, t] @ w_hh + dh * (1 - m)
        grad_x = d_gi @ w_ih
        grad_w_ih = np.einsum("btg,btd->gd", d_gi, x)
        grad_w_hh = np.einsum("btg,bth->gh", d_gh, hs[:, :-1])
        grad_b_ih = d_gi.sum(axis=(0, 1))
        grad_b_hh = d_gh.sum(axis=(0, 1))
        return grad_x, None, dh, grad_w_ih, grad_w_hh, grad_b_ih, grad_b_hh


class LinearFunction(Function):
    @staticmethod
    def forward(ctx, input, weight, bias):
        ctx.save_for_backward(input, weight)
        return input @ weight.T + bias

    @staticmethod
    def backward(ctx, grad_output):
        input, weight = ctx.saved_tensors
        flat = grad_output.reshape(-1, weight.shape[0])
        grad_weight = flat.T @ input.reshape(-1, weight.shape[1])
        return grad_output @ weight, grad_weight, flat.sum(axis=0)


class MaskedCrossEntropy(Function):
    @staticmethod
    def forward(ctx, logits, tags, mask):
        shifted = logits - logits.max(axis=-1, keepdims=True)
        logp = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        ctx.save_for_backward(logp, tags, mask)
        return -(np.take_along_axis(logp, tags[..., None], axis=-1)[..., 0] * mask).sum() / mask.sum()

    @staticmethod
    def backward(ctx):
        logp, tags, mask = ctx.saved_tensors
        grad = np.exp(logp) - np.eye(logp.shape[-1])[tags]
        return grad * mask[..., None] / mask.sum()


def make(Target, rng, B=3, T=4, D=3, H=4, C=3):
    p = {"x": rng.normal(size=(B, T, D)), "h0": 0.5 * rng.normal(size=(B, H))}
    p["w_ih"] = 0.8 * rng.normal(size=(3 * H, D))
    p["w_hh"] = 0.8 * rng.normal(size=(3 * H, H))
    p["b_ih"] = 0.3 * rng.normal(size=3 * H)
    p["b_hh"] = 0.5 * rng.normal(size=3 * H)
    p["tag.weight"], p["tag.bias"] = rng.normal(size=(C, H)), 0.3 * rng.normal(size=C)
    p["value.weight"], p["value.bias"] = rng.normal(size=(1, H)), 0.3 * rng.normal(size=1)
    lengths = 1 + rng.integers(0, max(T - 1, 1), size=B)
    lengths[0] = T
    mask = (np.arange(T) < lengths[:, None]).astype(float)
    tags = rng.integers(0, C, size=(B, T))
    score = rng.normal(size=(B, 1))

    def run():
        (out, h_n), gru = GRUFunction.apply(
            p["x"], mask, p["h0"], p["w_ih"], p["w_hh"], p["b_ih"], p["b_hh"])
        logits, tag = LinearFunction.apply(out, p["tag.weight"], p["tag.bias"])
        value, val = LinearFunction.apply(h_n, p["value.weight"], p["value.bias"])
        ce, crit = MaskedCrossEntropy.apply(logits, tags, mask)
        return ce + 0.5 * np.mean((value - score) ** 2), (gru, tag, val, crit, value - score)

    def loss():
        return float(run()[0])

    def grads():
        _, (gru, tag, val, crit, diff) = run()
        g = {}
        d_out, g["tag.weight"], g["tag.bias"] = LinearFunction.backward(tag, MaskedCrossEntropy.backward(crit))
        d_hn, g["value.weight"], g["value.bias"] = LinearFunction.backward(val, diff / B)
        g["x"], _, g["h0"], g["w_ih"], g["w_hh"], g["b_ih"], g["b_hh"] = GRUFunction.backward(gru, d_out, d_hn)
        return g

    return Target(p, loss, grads)


BUGS = {
    "reset-grad-from-raw-state": ("dr = da_n * hn[:, t]", "dr = da_n * h_prev"),
    "update-gate-sign": ("dz = dnew * (h_prev - n[:, t])", "dz = dnew * (n[:, t] - h_prev)"),
    "hidden-candidate-without-reset": ("np.concatenate([da_r, da_z, da_n * r[:, t]], axis=1)", "np.concatenate([da_r, da_z, da_n], axis=1)"),
    "carry-past-padding-forgotten": ("dh = dnew * z[:, t] + d_gh[:, t] @ w_hh + dh * (1 - m)", "dh = dnew * z[:, t] + d_gh[:, t] @ w_hh"),
    "mask-left-out": ("dnew = dh * m", "dnew = dh"),
    "w_hh-with-next-state": ("grad_w_hh = np.einsum(\"btg,bth->gh\", d_gh, hs[:, :-1])", "grad_w_hh = np.einsum(\"btg,bth->gh\", d_gh, hs[:, 1:])"),
    "b_hh-from-input-side": ("grad_b_hh = d_gh.sum(axis=(0, 1))", "grad_b_hh = d_gi.sum(axis=(0, 1))"),
    "mean-counts-padding": ("return grad * mask[..., None] / mask.sum()", "return grad * mask[..., None] / mask.size"),
}
PAIRS = [
    ("reset-grad-from-raw-state", "hidden-candidate-without-reset"),
    ("carry-past-padding-forgotten", "mask-left-out"),
    ("update-gate-sign", "reset-grad-from-raw-state"),
    ("w_hh-with-next-state", "hidden-candidate-without-reset"),
    ("b_hh-from-input-side", "w_hh-with-next-state"),
    ("mean-counts-padding", "update-gate-sign"),
]
