"""Character language model: tied embeddings, a reset-after GRU (cuDNN convention),
left-padded batches, label smoothing.  Written as autograd.Function-like classes."""
import numpy as np


class Ctx:
    def save_for_backward(self, *arrays):
        self.saved = arrays


def sigmoid(x):
    return 0.5 * (1.0 + np.tanh(0.5 * x))


class EmbeddingFn:
    @staticmethod
    def forward(ctx, tokens, weight):
        ctx.save_for_backward(tokens, weight.shape)
        return weight[tokens]

    @staticmethod
    def backward(ctx, d_out):
        tokens, shape = ctx.saved
        d_weight = np.zeros(shape)
        np.add.at(d_weight, tokens, d_out)
        return d_weight


class GRUFn:
    """h' = (1 - z) * n + z * h,  n = tanh(W_n x + b + r * (U_n h + c)).
    Where mask is 0 the state is copied through."""

    @staticmethod
    def forward(ctx, x, mask, h0, w_ih, w_hh, b_ih, b_hh):
        steps, batch, _ = x.shape
        hid = h0.shape[1]
        h = np.repeat(h0, batch, axis=0)
        gi = x @ w_ih.T + b_ih
        outs, tape = [], []
        for t in range(steps):
            gh = h @ w_hh.T + b_hh
            r = sigmoid(gi[t, :, :hid] + gh[:, :hid])
            z = sigmoid(gi[t, :, hid:2 * hid] + gh[:, hid:2 * hid])
            gh_n = gh[:, 2 * hid:]
            n = np.tanh(gi[t, :, 2 * hid:] + r * gh_n)
            tape.append((h, r, z, n, gh_n))
            m = mask[t][:, None]
            h = m * ((1.0 - z) * n + z * h) + (1.0 - m) * h
            outs.append(h)
        ctx.save_for_backward(x, mask, w_ih, w_hh, tape)
        return np.stack(outs)

    @staticmethod
    def backward(ctx, d_outs):
        x, mask, w_ih, w_hh, tape = ctx.saved
        steps = x.shape[0]
        d_x = np.zeros_like(x)
        d_w_ih, d_w_hh = np.zeros_like(w_ih), np.zeros_like(w_hh)
        d_b_ih, d_b_hh = np.zeros(w_ih.shape[0]), np.zeros(w_hh.shape[0])
        d_h = np.zeros_like(d_outs[0])
        for t in reversed(range(steps)):
            h_prev, r, z, n, gh_n = tape[t]
            m = mask[t][:, None]
            d_total = d_outs[t] + d_h
            d_new = m * d_total
            d_h = (1.0 - m) * d_total + d_new * z
            d_z = d_new * (h_prev - n)
            d_n_pre = d_new * (1.0 - z) * (1.0 - n ** 2)
            d_r = d_n_pre * gh_n
            d_r_pre = d_r * r * (1.0 - r)
            d_z_pre = d_z * z * (1.0 - z)
            d_gi = np.concatenate([d_r_pre, d_z_pre, d_n_pre], axis=1)
            d_gh = np.concatenate([d_r_pre, d_z_pre, d_n_pre * r], axis=1)
            d_w_ih += d_gi.T @ x[t]
            d_w_hh += d_gh.T @ h_prev
            d_b_ih += d_gi.sum(axis=0)
            d_b_hh += d_gh.sum(axis=0)
            d_x[t] = d_gi @ w_ih
            d_h += d_gh @ w_hh
        d_h0 = d_h.sum(axis=0, keepdims=True)
        return d_x, d_h0, d_w_ih, d_w_hh, d_b_ih, d_b_hh


class TiedDecoderFn:
    """logits = (h P) E^T + b, with E the embedding table."""

    @staticmethod
    def forward(ctx, h, proj, weight, bias):
        u = h @ proj
        ctx.save_for_backward(h, u, proj, weight)
        return u @ weight.T + bias

    @staticmethod
    def backward(ctx, d_logits):
        h, u, proj, weight = ctx.saved
        d_u = d_logits @ weight
        d_weight = np.einsum("tbv,tbe->ve", d_logits, u)
        d_proj = np.einsum("tbh,tbe->he", h, d_u)
        return d_u @ proj.T, d_proj, d_weight, d_logits.sum(axis=(0, 1))


class SmoothedXentFn:
    @staticmethod
    def forward(ctx, logits, targets, mask, eps):
        vocab = logits.shape[-1]
        shifted = logits - logits.max(axis=-1, keepdims=True)
        logp = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        onehot = np.eye(vocab)[targets]
        soft = (1.0 - eps) * onehot + eps / vocab
        ctx.save_for_backward(logp, onehot, soft, mask)
        return -(mask * (soft * logp).sum(axis=-1)).sum() / mask.sum()

    @staticmethod
    def backward(ctx, d_loss=1.0):
        logp, onehot, soft, mask = ctx.saved
        d_logits = np.exp(logp) - soft
        d_logits *= d_loss * mask[..., None] / mask.sum()
        return d_logits


def make(Target, rng, T=5, B=3, V=6, E=3, H=4):
    params = {
        "embed.weight": rng.normal(0, 0.8, (V, E)),
        "gru.h0": rng.normal(0, 0.5, (1, H)),
        "gru.w_ih": rng.normal(0, 0.7, (3 * H, E)),
        "gru.w_hh": rng.normal(0, 0.6, (3 * H, H)),
        "gru.b_ih": rng.normal(0, 0.3, 3 * H),
        "gru.b_hh": rng.normal(0, 0.5, 3 * H),
        "out.proj": rng.normal(0, 0.7, (H, E)),
        "out.bias": rng.normal(0, 0.2, V),
    }
    text = rng.integers(0, V, (T + 1, B))
    lengths = rng.integers(2, T + 1, B)
    lengths[0], lengths[-1] = T, T - 2
    mask = (np.arange(T)[:, None] >= T - lengths[None, :]).astype(float)

    def run():
        p = params
        c = [Ctx() for _ in range(4)]
        x = EmbeddingFn.forward(c[0], text[:-1], p["embed.weight"])
        h = GRUFn.forward(c[1], x, mask, p["gru.h0"], p["gru.w_ih"], p["gru.w_hh"], p["gru.b_ih"], p["gru.b_hh"])
        logits = TiedDecoderFn.forward(c[2], h, p["out.proj"], p["embed.weight"], p["out.bias"])
        return SmoothedXentFn.forward(c[3], logits, text[1:], mask, 0.1), c

    def loss():
        return float(run()[0])

    def grads():
        _, c = run()
        g = {}
        d_logits = SmoothedXentFn.backward(c[3])
        d_h, g["out.proj"], d_emb_out, g["out.bias"] = TiedDecoderFn.backward(c[2], d_logits)
        d_x, g["gru.h0"], g["gru.w_ih"], g["gru.w_hh"], g["gru.b_ih"], g["gru.b_hh"] = GRUFn.backward(c[1], d_h)
        d_emb_in = EmbeddingFn.backward(c[0], d_x)
        g["embed.weight"] = d_emb_in + d_emb_out
        return g

    return Target(params, loss, grads)


BUGS = {
    "embedding-duplicates-lost": ("np.add.at(d_weight, tokens, d_out)", "d_weight[tokens] += d_out"),
    "tied-term-forgotten": ("g[\"embed.weight\"] = d_emb_in + d_emb_out", "g[\"embed.weight\"] = d_emb_out"),
    "padding-carry-dropped": ("d_h = (1.0 - m) * d_total + d_new * z", "d_h = d_new * z"),
    "update-gate-sign": ("d_z = d_new * (h_prev - n)", "d_z = d_new * (n - h_prev)"),
    "reset-not-applied-to-gh": ("[d_r_pre, d_z_pre, d_n_pre * r], axis=1)", "[d_r_pre, d_z_pre, d_n_pre], axis=1)"),
    "tanh-derivative": ("(1.0 - z) * (1.0 - n ** 2)", "(1.0 - z) * (1.0 - n)"),
    "mean-over-padding": ("mask[..., None] / mask.sum()", "mask[..., None] / mask.size"),
    "smoothing-ignored": ("d_logits = np.exp(logp) - soft", "d_logits = np.exp(logp) - onehot"),
}
PAIRS = [
    ("embedding-duplicates-lost", "tanh-derivative"),
    ("padding-carry-dropped", "smoothing-ignored"),
    ("reset-not-applied-to-gh", "tied-term-forgotten"),
]
