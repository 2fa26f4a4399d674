"""Bidirectional LSTM tagger over padded sentences, with class weights.

Padding keeps the state (h, c) of the last real token, so the last row of the forward pass
is a summary of the sentence; it is added to the scores of every token.
"""
import numpy as np


def expit(a):
    return 1.0 / (1.0 + np.exp(-a))


class MaskedLSTM:
    def __init__(self, prm, prefix, reverse):
        self.prm, self.prefix, self.reverse = prm, prefix, reverse

    def order(self, T):
        return range(T - 1, -1, -1) if self.reverse else range(T)

    def forward(self, x, mask):
        W, U, b = (self.prm[self.prefix + n] for n in ("W", "U", "b"))
        T, B, _ = x.shape
        H = U.shape[0]
        self.x, self.mask = x, mask
        self.gates = np.zeros((T, B, 4, H))          # i, f, o, candidate
        self.h_in, self.c_in = np.zeros((T, B, H)), np.zeros((T, B, H))
        self.tc = np.zeros((T, B, H))
        out = np.zeros((T, B, H))
        h, c = np.zeros((B, H)), np.zeros((B, H))
        for t in self.order(T):
            self.h_in[t], self.c_in[t] = h, c
            a = (x[t] @ W + h @ U + b).reshape(B, 4, H)
            self.gates[t, :, :3] = expit(a[:, :3])
            self.gates[t, :, 3] = np.tanh(a[:, 3])
            i, f, o, g = self.gates[t].transpose(1, 0, 2)
            c_new = f * c + i * g
            self.tc[t] = np.tanh(c_new)
            m = mask[t][:, None]
            c = m * c_new + (1 - m) * c
            h = m * o * self.tc[t] + (1 - m) * h
            out[t] = h
        return out

    def backward(self, dout, grads):
        W, U = self.prm[self.prefix + "W"], self.prm[self.prefix + "U"]
        T, B, H = dout.shape
        da = np.zeros((T, B, 4, H))
        dh_carry, dc_carry = np.zeros((B, H)), np.zeros((B, H))
        for t in reversed(self.order(T)):
            m = self.mask[t][:, None]
            i, f, o, g = self.gates[t].transpose(1, 0, 2)
            dh = dout[t] + dh_carry
            dh_new = m * dh
            dc_new = m * dc_carry + dh_new * o * (1 - self.tc[t] ** 2)
            da[t, :, 0] = dc_new * g * i * (1 - i)
            da[t, :, 1] = dc_new * self.c_in[t] * f * (1 - f)
            da[t, :, 2] = dh_new * self.tc[t] * o * (1 - o)
            da[t, :, 3] = dc_new * i * (1 - g ** 2)
            dc_carry = (1 - m) * dc_carry + dc_new * f
            dh_carry = (1 - m) * dh + da[t].reshape(B, 4 * H) @ U.T
        flat = da.reshape(T * B, 4 * H)
        grads[self.prefix + "W"] = self.x.reshape(T * B, -1).T @ flat
        grads[self.prefix + "U"] = self.h_in.reshape(T * B, H).T @ flat
        grads[self.prefix + "b"] = flat.sum(axis=0)
        return (flat @ W.T).reshape(self.x.shape)


class Tagger:
    def __init__(self, prm, words, tags, mask, class_weight):
        self.prm, self.words, self.tags, self.mask = prm, words, tags, mask
        self.wt = class_weight[tags] * mask          # T, B
        self.fw = MaskedLSTM(prm, "fw_", reverse=False)
        self.bw = MaskedLSTM(prm, "bw_", reverse=True)

    def forward(self):
        prm = self.prm
        x = prm["emb"][self.words]
        self.hf, self.hb = self.fw.forward(x, self.mask), self.bw.forward(x, self.mask)
        self.both = np.concatenate([self.hf, self.hb], axis=2)
        score = self.both @ prm["out"] + self.hf[-1] @ prm["sent"] + prm["bias"]
        score = score - score.max(axis=2, keepdims=True)
        self.logp = score - np.log(np.exp(score).sum(axis=2, keepdims=True))
        picked = np.take_along_axis(self.logp, self.tags[:, :, None], axis=2)[:, :, 0]
        return -(self.wt * picked).sum() / self.wt.sum()

    def backward(self):
        self.forward()
        prm, grads = self.prm, {}
        H = self.hf.shape[2]
        onehot = np.eye(self.logp.shape[2])[self.tags]
        dscore = (np.exp(self.logp) - onehot) * self.wt[:, :, None] / self.wt.sum()
        grads["out"] = np.einsum("tbh,tbk->hk", self.both, dscore)
        grads["bias"] = dscore.sum(axis=(0, 1))
        dsent = dscore.sum(axis=0)
        grads["sent"] = self.hf[-1].T @ dsent
        dboth = dscore @ prm["out"].T
        dhf, dhb = dboth[:, :, :H].copy(), dboth[:, :, H:]
        dhf[-1] += dsent @ prm["sent"].T
        dx = self.fw.backward(dhf, grads)
        dx += self.bw.backward(dhb, grads)
        grads["emb"] = np.zeros_like(prm["emb"])
        np.add.at(grads["emb"], self.words, dx)
        return grads


def make(Target, rng, T=5, B=4, V=6, D=3, H=4, K=3):
    prm = {"emb": rng.normal(size=(V, D))}
    for pre in ("fw_", "bw_"):
        prm[pre + "W"] = 0.7 * rng.normal(size=(D, 4 * H))
        prm[pre + "U"] = 0.7 * rng.normal(size=(H, 4 * H))
        prm[pre + "b"] = 0.3 * rng.normal(size=4 * H)
    prm["out"], prm["sent"], prm["bias"] = rng.normal(size=(2 * H, K)), rng.normal(size=(H, K)), rng.normal(size=K)
    words, tags = rng.integers(0, V, size=(T, B)), rng.integers(0, K, size=(T, B))
    lengths = rng.integers(1, T + 1, size=B)
    lengths[-1] = (T + 1) // 2
    lengths[0] = T
    mask = (np.arange(T)[:, None] < lengths[None, :]).astype(float)
    tagger = Tagger(prm, words, tags, mask, rng.uniform(0.3, 2.0, size=K))
    return Target(prm, lambda: float(tagger.forward()), tagger.backward)


BUGS = {
    "backward-in-forward-order": ("for t in reversed(self.order(T)):", "for t in self.order(T):"),
    "mask-missing-on-dh": ("dh_new = m * dh", "dh_new = dh"),
    "forget-gate-derivative-of-input-gate": ("da[t, :, 1] = dc_new * self.c_in[t] * f * (1 - f)", "da[t, :, 1] = dc_new * self.c_in[t] * i * (1 - i)"),
    "state-hold-lost-in-padding": ("dh_carry = (1 - m) * dh + da[t].reshape(B, 4 * H) @ U.T", "dh_carry = da[t].reshape(B, 4 * H) @ U.T"),
    "U-gradient-from-outputs": ("grads[self.prefix + \"U\"] = self.h_in.reshape(T * B, H).T @ flat", "grads[self.prefix + \"U\"] = dout.reshape(T * B, H).T @ flat"),
    "class-weight-not-applied": ("* self.wt[:, :, None] / self.wt.sum()", "* self.mask[:, :, None] / self.wt.sum()"),
    "summary-gradient-at-first-step": ("dhf[-1] += dsent @ prm[\"sent\"].T", "dhf[0] += dsent @ prm[\"sent\"].T"),
    "backward-direction-replaces-dx": ("dx += self.bw.backward(dhb, grads)", "dx = self.bw.backward(dhb, grads)"),
}
PAIRS = [("mask-missing-on-dh", "class-weight-not-applied"), ("state-hold-lost-in-padding", "backward-direction-replaces-dx")]
