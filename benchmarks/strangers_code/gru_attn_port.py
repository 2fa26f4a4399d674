# Port of our torch intent classifier (nn.Embedding -> nn.GRU(batch_first=True) -> attention -> fc)
# to plain numpy for the edge box.  Weight layout is the torch one: weight is (out, in), GRU gates
# are stacked as r | z | n, and b_hn sits INSIDE the reset product.
import math
from types import SimpleNamespace

import numpy as np


# ---------------------------------------------------------------- torch look-alikes
def chunk(t, n, dim=-1):
    return np.split(t, n, axis=dim)


def cat(ts, dim=-1):
    return np.concatenate(ts, axis=dim)


def sigmoid(t):
    return 1.0 / (1.0 + np.exp(-t))


def log_softmax(t, dim=-1):
    t = t - t.max(axis=dim, keepdims=True)
    return t - np.log(np.exp(t).sum(axis=dim, keepdims=True))


class Ctx(SimpleNamespace):
    def save_for_backward(self, *tensors):
        self.saved_tensors = tensors


# ---------------------------------------------------------------- autograd.Function clones
class EmbeddingFn:
    @staticmethod
    def forward(ctx, idx, weight):
        ctx.idx, ctx.shape = idx, weight.shape
        return weight[idx]

    @staticmethod
    def backward(ctx, grad_output):
        grad_weight = np.zeros(ctx.shape)
        np.add.at(grad_weight, ctx.idx, grad_output)
        return grad_weight


class LinearFn:
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return x @ weight.T + bias

    @staticmethod
    def backward(ctx, grad_output):
        x, weight = ctx.saved_tensors
        return grad_output @ weight, grad_output.T @ x, grad_output.sum(0)


class GRUCellFn:
    """keep[b] = 0 for rows whose sequence is over (what pack_padded_sequence does for us in torch)"""

    @staticmethod
    def forward(ctx, x, h, keep, w_ih, w_hh, b_ih, b_hh):
        i_r, i_z, i_n = chunk(x @ w_ih.T + b_ih, 3)
        h_r, h_z, h_n = chunk(h @ w_hh.T + b_hh, 3)
        r, z = sigmoid(i_r + h_r), sigmoid(i_z + h_z)
        n = np.tanh(i_n + r * h_n)
        ctx.save_for_backward(x, h, r, z, n, h_n, keep, w_ih, w_hh)
        return keep * ((1 - z) * n + z * h) + (1 - keep) * h

    @staticmethod
    def backward(ctx, grad_output):
        x, h, r, z, n, hn_lin, keep, w_ih, w_hh = ctx.saved_tensors
        g = grad_output * keep
        d_z = g * (h - n) * z * (1 - z)
        d_n = g * (1 - z) * (1 - n * n)
        d_r = d_n * hn_lin * r * (1 - r)
        d_gi = cat([d_r, d_z, d_n])
        d_gh = cat([d_r, d_z, d_n * r])
        d_h = grad_output * (1 - keep) + g * z + d_gh @ w_hh
        return d_gi @ w_ih, d_h, d_gi.T @ x, d_gh.T @ h, d_gi.sum(0), d_gh.sum(0)


class AttnPoolFn:
    """softmax(q W k / sqrt(H)) k, padded positions filled with -1e9"""

    @staticmethod
    def forward(ctx, query, keys, w, mask):
        ctx.scale = 1.0 / math.sqrt(query.shape[1])
        scores = np.matmul(keys, (query @ w)[:, :, None])[:, :, 0] * ctx.scale
        attn = np.exp(log_softmax(np.where(mask, scores, -1e9)))
        ctx.save_for_backward(query, keys, w, attn)
        return np.matmul(attn[:, None, :], keys)[:, 0]

    @staticmethod
    def backward(ctx, grad_output):
        query, keys, w, attn = ctx.saved_tensors
        d_keys = attn[:, :, None] * grad_output[:, None, :]
        d_attn = np.matmul(keys, grad_output[:, :, None])[:, :, 0]
        d_scores = attn * (d_attn - (attn * d_attn).sum(1, keepdims=True)) * ctx.scale
        d_keys += d_scores[:, :, None] * (query @ w)[:, None, :]
        d_qw = np.matmul(d_scores[:, None, :], keys)[:, 0]
        return d_qw @ w.T, d_keys, query.T @ d_qw


class SmoothedCrossEntropyFn:
    """F.cross_entropy(logits, target, label_smoothing=eps), reduction='mean'"""

    @staticmethod
    def forward(ctx, logits, target, eps):
        logp = log_softmax(logits)
        soft = np.full(logp.shape, eps / logp.shape[1])
        soft[np.arange(len(target)), target] += 1 - eps
        ctx.save_for_backward(logp, soft)
        ctx.target = target
        return -(soft * logp).sum() / len(target)

    @staticmethod
    def backward(ctx, grad_output=1.0):
        logp, soft = ctx.saved_tensors
        return grad_output * (np.exp(logp) - soft) / len(logp)


# ---------------------------------------------------------------- the model
class IntentClassifier:
    gru_names = ["gru.weight_ih", "gru.weight_hh", "gru.bias_ih", "gru.bias_hh"]

    def __init__(self, state_dict):
        self.sd = state_dict

    def forward(self, tokens, lengths, target, eps=0.2):
        sd, (B, T) = self.sd, tokens.shape
        self.mask = np.arange(T)[None, :] < lengths[:, None]
        self.c_emb, self.c_pool, self.c_fc, self.c_loss = Ctx(), Ctx(), Ctx(), Ctx()
        self.c_steps = [Ctx() for _ in range(T)]
        emb = EmbeddingFn.forward(self.c_emb, tokens, sd["emb.weight"])
        h, out = np.zeros((B, sd["gru.weight_hh"].shape[1])), []
        for t, ctx in enumerate(self.c_steps):
            keep = self.mask[:, t:t + 1].astype(float)
            h = GRUCellFn.forward(ctx, emb[:, t], h, keep, *(sd[k] for k in self.gru_names))
            out.append(h)
        pooled = AttnPoolFn.forward(self.c_pool, h, np.stack(out, 1), sd["attn.weight"], self.mask)
        logits = LinearFn.forward(self.c_fc, cat([pooled, h]), sd["fc.weight"], sd["fc.bias"])
        return SmoothedCrossEntropyFn.forward(self.c_loss, logits, target, eps)

    def backward(self):
        grad = {k: np.zeros_like(v) for k, v in self.sd.items()}
        d_feat, grad["fc.weight"], grad["fc.bias"] = LinearFn.backward(
            self.c_fc, SmoothedCrossEntropyFn.backward(self.c_loss))
        d_pooled, d_last = chunk(d_feat, 2)
        d_query, d_out, grad["attn.weight"] = AttnPoolFn.backward(self.c_pool, d_pooled)
        d_h, d_emb = d_last + d_query, []
        for t in reversed(range(len(self.c_steps))):
            d_x, d_h, *d_gru = GRUCellFn.backward(self.c_steps[t], d_h + d_out[:, t])
            d_emb.insert(0, d_x)
            for name, g in zip(self.gru_names, d_gru):
                grad[name] += g
        grad["emb.weight"] = EmbeddingFn.backward(self.c_emb, np.stack(d_emb, 1))
        return grad


def make(Target, rng, T=5, B=4, H=4, E=3, V=5, K=3):
    shapes = {"emb.weight": (V, E), "gru.weight_ih": (3 * H, E), "gru.weight_hh": (3 * H, H), "gru.bias_ih": (3 * H,),
              "gru.bias_hh": (3 * H,), "attn.weight": (H, H), "fc.weight": (K, 2 * H), "fc.bias": (K,)}
    sd = {k: rng.normal(0, 0.9, s) for k, s in shapes.items()}
    tokens, target = rng.integers(0, V, (B, T)), rng.integers(0, K, B)
    lengths = np.maximum(1, T - np.arange(B) % 3)
    net = IntentClassifier(sd)

    def grads():
        net.forward(tokens, lengths, target)
        return net.backward()

    return Target(sd, lambda: float(net.forward(tokens, lengths, target)), grads)


BUGS = {
    "embedding-repeated-tokens-lost": ("np.add.at(grad_weight, ctx.idx, grad_output)", "grad_weight[ctx.idx] += grad_output"),
    "saved-gates-unpacked-swapped": ("x, h, r, z, n, hn_lin, keep, w_ih, w_hh = ctx.saved_tensors", "x, h, z, r, n, hn_lin, keep, w_ih, w_hh = ctx.saved_tensors"),
    "reset-missing-in-hidden-side": ("d_gh = cat([d_r, d_z, d_n * r])", "d_gh = cat([d_r, d_z, d_n])"),
    "padding-mask-forgotten": ("g = grad_output * keep", "g = grad_output"),
    "softmax-diagonal-only": ("d_scores = attn * (d_attn - (attn * d_attn).sum(1, keepdims=True)) * ctx.scale", "d_scores = attn * (1 - attn) * d_attn * ctx.scale"),
    "keys-gradient-overwritten": ("d_keys += d_scores[:, :, None]", "d_keys = d_scores[:, :, None]"),
    "smoothing-not-in-backward": ("(np.exp(logp) - soft) / len(logp)", "(np.exp(logp) - np.eye(logp.shape[1])[ctx.target]) / len(logp)"),
    "biases-returned-in-other-order": ("d_gh.T @ h, d_gi.sum(0), d_gh.sum(0)", "d_gh.T @ h, d_gh.sum(0), d_gi.sum(0)"),
}
PAIRS = [
    ("embedding-repeated-tokens-lost", "softmax-diagonal-only"),
    ("saved-gates-unpacked-swapped", "smoothing-not-in-backward"),
    ("reset-missing-in-hidden-side", "keys-gradient-overwritten"),
    ("padding-mask-forgotten", "biases-returned-in-other-order"),
    ("softmax-diagonal-only", "biases-returned-in-other-order"),
    ("embedding-repeated-tokens-lost", "reset-missing-in-hidden-side"),
]
