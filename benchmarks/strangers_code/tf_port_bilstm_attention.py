"""NumPy port of the `bidirectional_dynamic_rnn` sentence classifier (was TF 1.12), time major.

Kept from the TF graph so that old checkpoints load without surgery:
  * variable scopes as names ("layer0/fw/kernel"),
  * LSTM kernel of shape (n_in + n_units, 4 * n_units), columns in the order i, j, f, o,
  * forget_bias is added at run time and not part of the bias variable,
  * steps past `sequence_length`: output is zero, state is copied through.
"""
import numpy as np


class Context:
    def save_for_backward(self, **tensors):
        self.__dict__.update(tensors)


class Function:
    @classmethod
    def apply(cls, *inputs, **attrs):
        ctx = Context()
        return cls.forward(ctx, *inputs, **attrs), ctx


def sigmoid(x):
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def contract(left, right):
    return np.einsum("tbi,tbj->ij", left, right)


def reverse_by_length(x, lengths):
    out = np.array(x)
    for b, n in enumerate(lengths):
        out[:n, b] = x[:n, b][::-1]
    return out


class Dense(Function):
    @staticmethod
    def forward(ctx, x, kernel, bias):
        y = np.tanh(x @ kernel + bias)
        ctx.save_for_backward(x=x, y=y)
        return y

    @staticmethod
    def backward(ctx, dy):
        dz = dy * (1.0 - ctx.y ** 2)
        return contract(ctx.x, dz), dz.sum(axis=(0, 1))


class ReverseSequence(Function):
    @staticmethod
    def forward(ctx, x, lengths):
        ctx.save_for_backward(lengths=lengths)
        return reverse_by_length(x, lengths)

    @staticmethod
    def backward(ctx, dy):
        return reverse_by_length(dy, ctx.lengths)


class Dropout(Function):
    @staticmethod
    def forward(ctx, x, mask, keep_prob=0.75):
        ctx.save_for_backward(mask=mask, keep_prob=keep_prob)
        return np.where(mask, x / keep_prob, 0.0)

    @staticmethod
    def backward(ctx, dy):
        return np.where(ctx.mask, dy / ctx.keep_prob, 0.0)


class DynamicRNN(Function):
    @staticmethod
    def forward(ctx, x, kernel, bias, lengths=None, forget_bias=1.0):
        T, B, n_in = x.shape
        h = c = np.zeros((B, kernel.shape[1] // 4))
        outputs, steps = [], []
        for t in range(T):
            live = (t < lengths)[:, None].astype(float)
            xh = np.concatenate([x[t], h], axis=1)
            i, j, f, o = np.split(xh @ kernel + bias, 4, axis=1)
            i, j, f, o = sigmoid(i), np.tanh(j), sigmoid(f + forget_bias), sigmoid(o)
            new_c = c * f + i * j
            tanh_c = np.tanh(new_c)
            steps.append((live, xh, c, i, j, f, o, tanh_c))
            outputs.append(o * tanh_c * live)
            h = live * o * tanh_c + (1.0 - live) * h
            c = live * new_c + (1.0 - live) * c
        ctx.save_for_backward(steps=steps, kernel=kernel, n_in=n_in)
        return np.stack(outputs), h

    @staticmethod
    def backward(ctx, doutputs, dh_final):
        dkernel, dbias = np.zeros_like(ctx.kernel), np.zeros(ctx.kernel.shape[1])
        dx, dh, dc = [], dh_final, np.zeros_like(dh_final)
        for t in reversed(range(len(ctx.steps))):
            live, xh, c_prev, i, j, f, o, tanh_c = ctx.steps[t]
            dnew_h = (dh + doutputs[t]) * live
            dnew_c = dc * live + dnew_h * o * (1.0 - tanh_c ** 2)
            di = dnew_c * j * i * (1.0 - i)
            dj = dnew_c * i * (1.0 - j ** 2)
            df = dnew_c * c_prev * f * (1.0 - f)
            do = dnew_h * tanh_c * o * (1.0 - o)
            dz = np.concatenate([di, dj, df, do], axis=1)
            dkernel += xh.T @ dz
            dbias += dz.sum(axis=0)
            dxh = dz @ ctx.kernel.T
            dx.insert(0, dxh[:, :ctx.n_in])
            dh = dxh[:, ctx.n_in:] + dh * (1.0 - live)
            dc = dnew_c * f + dc * (1.0 - live)
        return np.stack(dx), dkernel, dbias


class BidirectionalLayer(Function):
    @staticmethod
    def forward(ctx, x, fw_kernel, fw_bias, bw_kernel, bw_bias, lengths=None):
        (out_fw, h_fw), ctx.fw = DynamicRNN.apply(x, fw_kernel, fw_bias, lengths=lengths)
        x_rev, ctx.rev_in = ReverseSequence.apply(x, lengths)
        (out_bw, h_bw), ctx.bw = DynamicRNN.apply(x_rev, bw_kernel, bw_bias, lengths=lengths)
        out_bw, ctx.rev_out = ReverseSequence.apply(out_bw, lengths)
        return np.concatenate([out_fw, out_bw], axis=2), np.concatenate([h_fw, h_bw], axis=1)

    @staticmethod
    def backward(ctx, dout, dstate):
        n = dout.shape[2] // 2
        dx_fw, *grads_fw = DynamicRNN.backward(ctx.fw, dout[:, :, :n], dstate[:, :n])
        dout_bw = ReverseSequence.backward(ctx.rev_out, dout[:, :, n:])
        dx_bw, *grads_bw = DynamicRNN.backward(ctx.bw, dout_bw, dstate[:, n:])
        dx_bw = ReverseSequence.backward(ctx.rev_in, dx_bw)
        return dx_fw + dx_bw, grads_fw + grads_bw


class AttentionPool(Function):
    @staticmethod
    def forward(ctx, x, kernel, query, lengths=None):
        u = np.tanh(x @ kernel)
        score = np.where(np.arange(len(x))[:, None] < lengths, u @ query, -1e9)
        alpha = np.exp(score - score.max(axis=0))
        alpha = alpha / alpha.sum(axis=0)
        ctx.save_for_backward(x=x, kernel=kernel, query=query, u=u, alpha=alpha)
        return np.einsum("tb,tbd->bd", alpha, x)

    @staticmethod
    def backward(ctx, dpool):
        alpha = ctx.alpha
        dalpha = np.einsum("bd,tbd->tb", dpool, ctx.x)
        dscore = alpha * (dalpha - (alpha * dalpha).sum(axis=0, keepdims=True))
        dpre = dscore[:, :, None] * ctx.query * (1.0 - ctx.u ** 2)
        dx = alpha[:, :, None] * dpool + dpre @ ctx.kernel.T
        return dx, contract(ctx.x, dpre), np.einsum("tb,tbd->d", dscore, ctx.u)


class WeightedSigmoidCE(Function):
    @staticmethod
    def forward(ctx, logits, labels, pos_weight=2.5):
        ctx.save_for_backward(logits=logits, labels=labels, scale=1.0 + (pos_weight - 1.0) * labels)
        return np.mean((1.0 - labels) * logits + ctx.scale * np.logaddexp(0.0, -logits))

    @staticmethod
    def backward(ctx):
        dlogits = 1.0 - ctx.labels - ctx.scale * sigmoid(-ctx.logits)
        return dlogits / ctx.logits.size


SCOPES = ("fw/kernel", "fw/bias", "bw/kernel", "bw/bias")


def run(v, feed, n_layers, with_grads=False):
    lengths, tape = feed["lengths"], []
    x, dense = Dense.apply(feed["x"], v["proj/kernel"], v["proj/bias"])
    for l in range(n_layers):
        (x, state), layer = BidirectionalLayer.apply(x, *[v[f"layer{l}/{s}"] for s in SCOPES], lengths=lengths)
        x, drop = Dropout.apply(x, feed["masks"][l])
        tape.append((layer, drop))
    pooled, pool = AttentionPool.apply(x, v["att/kernel"], v["att/query"], lengths=lengths)
    features = np.concatenate([pooled, state], axis=1)
    loss, ce = WeightedSigmoidCE.apply(features @ v["out/kernel"] + v["out/bias"], feed["labels"])
    if not with_grads: return float(loss)
    dlogits = WeightedSigmoidCE.backward(ce)
    g = {"out/kernel": features.T @ dlogits, "out/bias": dlogits.sum(axis=0)}
    dpooled, dstate = np.split(dlogits @ v["out/kernel"].T, 2, axis=1)
    dx, g["att/kernel"], g["att/query"] = AttentionPool.backward(pool, dpooled)
    for l, (layer, drop) in reversed(list(enumerate(tape))):
        dx, layer_grads = BidirectionalLayer.backward(layer, Dropout.backward(drop, dx), dstate)
        g.update(zip([f"layer{l}/{s}" for s in SCOPES], layer_grads))
        dstate = np.zeros_like(dstate)      # only the top layer's final state is read
    g["proj/kernel"], g["proj/bias"] = Dense.backward(dense, dx)
    return g


def make(Target, rng, T=4, B=3, D=2, H=2, L=2, K=2):
    def var(*shape, gain=0.8):
        return gain * rng.standard_normal(shape)
    v = {"proj/kernel": var(D, H), "proj/bias": var(H, gain=0.3)}
    for l in range(L):
        for s in ("fw", "bw"):
            v[f"layer{l}/{s}/kernel"] = var((2 * H if l else H) + H, 4 * H)
            v[f"layer{l}/{s}/bias"] = var(4 * H, gain=0.3)
    v.update({"att/kernel": var(2 * H, 2 * H, gain=1.0), "att/query": var(2 * H, gain=1.5)})
    v.update({"out/kernel": var(4 * H, K, gain=1.0), "out/bias": var(K, gain=0.3)})
    lengths = rng.integers(1, T + 1, size=B)
    lengths[0], lengths[-1] = T, max(1, T // 2)
    feed = {"x": rng.standard_normal((T, B, D)), "lengths": lengths,
            "labels": rng.integers(0, 2, size=(B, K)).astype(float),
            "masks": rng.random((L, T, B, 2 * H)) < 0.75}
    return Target(v, lambda: run(v, feed, L), lambda: run(v, feed, L, with_grads=True))


BUGS = {
    "gate-grads-in-keras-order": ("np.concatenate([di, dj, df, do], axis=1)", "np.concatenate([di, df, dj, do], axis=1)"),
    "state-carry-dropped-on-padding": ("dh = dxh[:, ctx.n_in:] + dh * (1.0 - live)", "dh = dxh[:, ctx.n_in:]"),
    "backward-reversal-ignores-lengths": ("return reverse_by_length(dy, ctx.lengths)", "return dy[::-1]"),
    "dropout-mask-inverted": ("np.where(ctx.mask, dy / ctx.keep_prob, 0.0)", "np.where(ctx.mask, 0.0, dy / ctx.keep_prob)"),
    "softmax-jacobian-over-batch": ("(alpha * dalpha).sum(axis=0, keepdims=True)", "(alpha * dalpha).sum(axis=1, keepdims=True)"),
    "input-grad-of-forward-direction-only": ("return dx_fw + dx_bw, grads_fw + grads_bw", "return dx_fw, grads_fw + grads_bw"),
    "mean-over-batch-only": ("return dlogits / ctx.logits.size", "return dlogits / len(ctx.logits)"),
    "contract-arguments-swapped": ("return dx, contract(ctx.x, dpre)", "return dx, contract(dpre, ctx.x)"),
}
PAIRS = [
    ("gate-grads-in-keras-order", "softmax-jacobian-over-batch"),
    ("state-carry-dropped-on-padding", "contract-arguments-swapped"),
    ("backward-reversal-ignores-lengths", "gate-grads-in-keras-order"),
    ("dropout-mask-inverted", "mean-over-batch-only"),
    ("input-grad-of-forward-direction-only", "contract-arguments-swapped"),
    ("state-carry-dropped-on-padding", "input-grad-of-forward-direction-only"),
]
