"""Coupled-gate LSTM with recurrent projection, zoneout and padding, as one autograd Function (a NumPy stand-in for the CUDA one).

Batch first: x is (N, L, I).  Gates in one matrix, columns [forget | output | candidate]; input gate = 1 - forget.
A zoned-out unit of c keeps its old value; a sequence past its length keeps both states and emits zeros.
"""
import numpy as np


class Context:
    def save_for_backward(self, *tensors):
        self.saved_tensors = tensors


def sigm(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


class LSTMPFunction:
    @staticmethod
    def forward(ctx, x, r0, c0, w_ih, w_hh, w_ch, bias, w_proj, lengths, zone):
        N, L, _ = x.shape
        H = c0.shape[1]
        gates, cells, tanhs = np.zeros((N, L, 3 * H)), np.zeros((N, L + 1, H)), np.zeros((N, L, H))
        rec, out, hid = np.zeros((N, L + 1, r0.shape[1])), np.zeros((N, L, r0.shape[1])), np.zeros((N, L, H))
        cells[:, 0], rec[:, 0] = c0, r0
        for t in range(L):
            live = (t < lengths)[:, None]
            pre = x[:, t] @ w_ih + rec[:, t] @ w_hh + bias
            f = sigm(pre[:, :H] + w_ch[0] * cells[:, t])
            g = np.tanh(pre[:, 2 * H:])
            c_new = f * cells[:, t] + (1 - f) * g
            c_new = np.where(zone[:, t], cells[:, t], c_new)
            o = sigm(pre[:, H:2 * H] + w_ch[1] * c_new)
            tc = np.tanh(c_new)
            hid[:, t] = o * tc
            r_new = hid[:, t] @ w_proj
            gates[:, t, :H], gates[:, t, H:2 * H], gates[:, t, 2 * H:] = f, o, g
            tanhs[:, t] = tc
            cells[:, t + 1] = np.where(live, c_new, cells[:, t])
            rec[:, t + 1] = np.where(live, r_new, rec[:, t])
            out[:, t] = live * r_new
        ctx.save_for_backward(x, w_ih, w_hh, w_ch, w_proj, lengths, zone, gates, cells, tanhs, rec, hid)
        return out, rec[:, L].copy(), cells[:, L].copy()

    @staticmethod
    def backward(ctx, grad_out, grad_rn, grad_cn):
        x, w_ih, w_hh, w_ch, w_proj, lengths, zone, gates, cells, tanhs, rec, hid = ctx.saved_tensors
        N, L, _ = x.shape
        H = cells.shape[2]
        grad_x, grad_w_ch = np.zeros_like(x), np.zeros_like(w_ch)
        grad_pre = np.zeros((N, L, 3 * H))
        grad_proj = np.zeros_like(w_proj)
        grad_r, grad_c = grad_rn, grad_cn
        for t in range(L - 1, -1, -1):
            live = (t < lengths)[:, None]
            f, o, g = gates[:, t, :H], gates[:, t, H:2 * H], gates[:, t, 2 * H:]
            grad_rt = live * (grad_out[:, t] + grad_r)
            grad_proj += hid[:, t].T @ grad_rt
            grad_hid = grad_rt @ w_proj.T
            grad_o = grad_hid * tanhs[:, t] * o * (1 - o)
            grad_cell = live * grad_c + grad_hid * o * (1 - tanhs[:, t] ** 2)
            grad_cell = grad_cell + grad_o * w_ch[1]
            grad_w_ch[1] += (grad_o * cells[:, t + 1]).sum(0)
            moved = grad_cell * ~zone[:, t]
            grad_f = moved * (cells[:, t] - g) * f * (1 - f)
            grad_g = moved * (1 - f) * (1 - g ** 2)
            grad_w_ch[0] += (grad_f * cells[:, t]).sum(0)
            grad_pre[:, t] = np.hstack((grad_f, grad_o, grad_g))
            grad_x[:, t] = grad_pre[:, t] @ w_ih.T
            grad_c = ~live * grad_c + grad_cell * zone[:, t] + moved * f + grad_f * w_ch[0]
            grad_r = ~live * grad_r + grad_pre[:, t] @ w_hh.T
        flat = grad_pre.reshape(-1, 3 * H)
        grad_w_ih = x.reshape(N * L, -1).T @ flat
        grad_w_hh = rec[:, :-1].reshape(N * L, -1).T @ flat
        grad_bias = flat.sum(axis=0)
        return grad_x, grad_r, grad_c, grad_w_ih, grad_w_hh, grad_w_ch, grad_bias, grad_proj, None, None


NAMES = "x r0 c0 w_ih w_hh w_ch bias w_proj".split()


def make(Target, rng, N=3, L=4, I=2, H=4, R=3):
    size = {"x": (N, L, I), "r0": (N, R), "c0": (N, H), "w_ih": (I, 3 * H), "w_hh": (R, 3 * H), "w_ch": (2, H), "bias": (3 * H,), "w_proj": (H, R)}
    args = {k: rng.normal(size=size[k]) * 0.8 for k in NAMES}
    lengths, zone = np.maximum(L - np.arange(N), 1), rng.random((N, L, H)) < 0.25
    weight = [rng.normal(size=s) for s in ((N, L, R), (N, R), (N, H))]

    def loss():
        return sum(float(np.vdot(w, y)) for w, y in zip(weight, LSTMPFunction.forward(Context(), *args.values(), lengths, zone)))

    def grads():
        ctx = Context()
        LSTMPFunction.forward(ctx, *args.values(), lengths, zone)
        return dict(zip(NAMES, LSTMPFunction.backward(ctx, *weight)))
    return Target(params=args, loss=loss, grads=grads)


BUGS = {
    "padded-steps-drop-final-state": ("grad_r = ~live * grad_r + grad_pre[:, t] @ w_hh.T", "grad_r = grad_pre[:, t] @ w_hh.T"),
    "output-peephole-of-old-cell": ("grad_w_ch[1] += (grad_o * cells[:, t + 1]).sum(0)", "grad_w_ch[1] += (grad_o * cells[:, t]).sum(0)"),
    "output-peephole-not-into-cell": ("grad_cell = grad_cell + grad_o * w_ch[1]", "grad_cell = grad_cell + grad_o * w_ch[0]"),
    "zoned-units-still-decay": ("grad_c = ~live * grad_c + grad_cell * zone[:, t] + moved * f", "grad_c = ~live * grad_c + grad_cell * f"),
    "coupled-input-gate-forgotten": ("grad_f = moved * (cells[:, t] - g) * f", "grad_f = moved * cells[:, t] * f"),
    "zone-mask-not-inverted": ("moved = grad_cell * ~zone[:, t]", "moved = grad_cell * zone[:, t]"),
    "gates-stacked-in-other-order": ("np.hstack((grad_f, grad_o, grad_g))", "np.hstack((grad_o, grad_f, grad_g))"),
    "recurrent-input-shifted": ("grad_w_hh = rec[:, :-1].reshape", "grad_w_hh = rec[:, 1:].reshape"),
}

PAIRS = [
    ("padded-steps-drop-final-state", "output-peephole-not-into-cell"),
    ("zoned-units-still-decay", "recurrent-input-shifted"),
]
