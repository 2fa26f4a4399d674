"""Seq2seq translation model: tanh-RNN encoder, LSTM decoder with additive (Bahdanau) attention."""
import numpy as np


def sigmoid(x):
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class Seq2Seq:
    NAMES = ["src_emb", "tgt_emb", "W_xh", "W_hh", "b_h", "W_init", "b_init",
             "W_q", "W_k", "b_a", "v_a", "W_dec", "b_dec", "W_out", "b_out"]

    def __init__(self, rng, src_vocab, tgt_vocab, emb, hidden, att):
        def weight(*shape):
            return rng.normal(size=shape) / np.sqrt(shape[-1])

        self.E, self.H = emb, hidden
        self.src_emb = rng.normal(size=(src_vocab, emb))
        self.tgt_emb = rng.normal(size=(tgt_vocab, emb))
        self.W_xh, self.W_hh, self.b_h = weight(hidden, emb), weight(hidden, hidden), 0.2 * weight(hidden)
        self.W_init, self.b_init = weight(hidden, hidden), 0.2 * weight(hidden)
        self.W_q, self.W_k, self.b_a = weight(att, hidden), weight(att, hidden), 0.2 * weight(att)
        self.v_a = 1.5 * rng.normal(size=att)
        # decoder input is [embedding, context, previous state]; gates are i, f, o, g
        self.W_dec = 1.3 * weight(4 * hidden, emb + 2 * hidden)
        self.b_dec = 0.3 * rng.normal(size=4 * hidden)
        self.W_out = 1.5 * weight(tgt_vocab, 2 * hidden)
        self.b_out = 0.2 * rng.normal(size=tgt_vocab)
        self.zero_grad()

    def zero_grad(self):
        for name in self.NAMES:
            setattr(self, "d" + name, np.zeros_like(getattr(self, name)))

    # ------------------------------------------------------------------ forward
    def encode(self, src):
        B, S = src.shape
        self.src = src
        self.enc = np.zeros((B, S, self.H))
        h = np.zeros((B, self.H))
        for j in range(S):
            h = np.tanh(self.src_emb[src[:, j]] @ self.W_xh.T + h @ self.W_hh.T + self.b_h)
            self.enc[:, j] = h
        self.keys = self.enc @ self.W_k.T + self.b_a
        self.s0 = np.tanh(h @ self.W_init.T + self.b_init)

    def attend(self, s_prev):
        u = np.tanh((s_prev @ self.W_q.T)[:, None, :] + self.keys)
        scores = u @ self.v_a
        scores = np.where(self.src_mask, scores, -1e9)
        alpha = softmax(scores)
        context = np.einsum("bs,bsh->bh", alpha, self.enc)
        return context, (alpha, u)

    def forward(self, src, src_mask, tgt_in, tgt_out):
        H = self.H
        self.src_mask, self.tgt_in, self.tgt_out = src_mask, tgt_in, tgt_out
        self.encode(src)
        s, c = self.s0, np.zeros_like(self.s0)
        self.caches = []
        total = 0.0
        rows = np.arange(len(src))
        for t in range(tgt_in.shape[1]):
            s_prev, c_prev = s, c
            context, att_cache = self.attend(s_prev)
            x = np.concatenate([self.tgt_emb[tgt_in[:, t]], context, s_prev], axis=1)
            a = x @ self.W_dec.T + self.b_dec
            i, f, o = sigmoid(a[:, :H]), sigmoid(a[:, H:2 * H]), sigmoid(a[:, 2 * H:3 * H])
            g = np.tanh(a[:, 3 * H:])
            c = f * c_prev + i * g
            s = o * np.tanh(c)
            readout = np.concatenate([s, context], axis=1)
            prob = softmax(readout @ self.W_out.T + self.b_out)
            total -= np.log(prob[rows, tgt_out[:, t]]).sum()
            self.caches.append((s_prev, c_prev, x, i, f, o, g, c, readout, prob, att_cache))
        return float(total / tgt_out.size)

    # ----------------------------------------------------------------- backward
    def attend_backward(self, dcontext, s_prev, cache):
        """Adds to the encoder and key gradients, returns the gradient of the query state."""
        alpha, u = cache
        self.denc += alpha[:, :, None] * dcontext[:, None, :]
        dalpha = np.einsum("bh,bsh->bs", dcontext, self.enc)
        dscores = alpha * (dalpha - (alpha * dalpha).sum(axis=1, keepdims=True))
        self.dv_a += np.einsum("bs,bsa->a", dscores, u)
        du = dscores[:, :, None] * self.v_a
        dpre = du * (1.0 - u ** 2)
        self.dkeys += dpre
        dquery = dpre.sum(axis=1)
        self.dW_q += dquery.T @ s_prev
        return dquery @ self.W_q

    def decode_backward(self):
        E, H = self.E, self.H
        rows = np.arange(len(self.tgt_in))
        ds_next = np.zeros_like(self.s0)
        dc_next = np.zeros_like(self.s0)
        for t in reversed(range(len(self.caches))):
            s_prev, c_prev, x, i, f, o, g, c, readout, prob, att_cache = self.caches[t]
            dlogits = prob.copy()
            dlogits[rows, self.tgt_out[:, t]] -= 1.0
            dlogits /= self.tgt_out.size
            self.dW_out += dlogits.T @ readout
            self.db_out += dlogits.sum(axis=0)
            dreadout = dlogits @ self.W_out

            ds = dreadout[:, :H] + ds_next
            tanh_c = np.tanh(c)
            dc = dc_next + ds * o * (1.0 - tanh_c ** 2)
            da_o = ds * tanh_c * o * (1.0 - o)
            da_i = dc * g * i * (1.0 - i)
            da_f = dc * c_prev * f * (1.0 - f)
            da_g = dc * i * (1.0 - g ** 2)
            da = np.concatenate([da_i, da_f, da_o, da_g], axis=1)
            self.dW_dec += da.T @ x
            self.db_dec += da.sum(axis=0)
            dx = da @ self.W_dec
            np.add.at(self.dtgt_emb, self.tgt_in[:, t], dx[:, :E])

            dcontext = dx[:, E:E + H] + dreadout[:, H:]
            ds_next = dx[:, E + H:]
            ds_next = ds_next + self.attend_backward(dcontext, s_prev, att_cache)
            dc_next = dc * f
        return ds_next

    def encode_backward(self, ds0):
        self.dW_k += np.einsum("bsa,bsh->ah", self.dkeys, self.enc)
        self.db_a += self.dkeys.sum(axis=(0, 1))
        self.denc += self.dkeys @ self.W_k
        dinit = ds0 * (1.0 - self.s0 ** 2)
        self.dW_init += dinit.T @ self.enc[:, -1]
        self.db_init += dinit.sum(axis=0)
        self.denc[:, -1] += dinit @ self.W_init
        dh = np.zeros_like(self.s0)
        for j in reversed(range(self.src.shape[1])):
            dh = dh + self.denc[:, j]
            dpre = dh * (1.0 - self.enc[:, j] ** 2)
            self.dW_xh += dpre.T @ self.src_emb[self.src[:, j]]
            if j > 0:
                self.dW_hh += dpre.T @ self.enc[:, j - 1]
            self.db_h += dpre.sum(axis=0)
            np.add.at(self.dsrc_emb, self.src[:, j], dpre @ self.W_xh)
            dh = dpre @ self.W_hh

    def backward(self):
        self.zero_grad()
        self.denc = np.zeros_like(self.enc)
        self.dkeys = np.zeros_like(self.keys)
        ds0 = self.decode_backward()
        self.encode_backward(ds0)


def make(Target, rng, batch=3, src_len=4, tgt_len=3, src_vocab=5, tgt_vocab=4, emb=2, hidden=3, att=3):
    model = Seq2Seq(rng, src_vocab, tgt_vocab, emb, hidden, att)
    src = rng.integers(0, src_vocab, size=(batch, src_len))
    tgt = rng.integers(0, tgt_vocab, size=(batch, tgt_len + 1))
    # left padding: the last source position is always a real word
    first = rng.integers(0, max(1, src_len - 1), size=batch)
    src_mask = np.arange(src_len)[None, :] >= first[:, None]

    def loss():
        return model.forward(src, src_mask, tgt[:, :-1], tgt[:, 1:])

    def grads():
        loss()
        model.backward()
        return {name: getattr(model, "d" + name).copy() for name in model.NAMES}

    return Target({name: getattr(model, name) for name in model.NAMES}, loss, grads)


BUGS = {
    "encoder-grad-overwritten-each-step": ("self.denc += alpha[:, :, None] * dcontext[:, None, :]", "self.denc = alpha[:, :, None] * dcontext[:, None, :]"),
    "attention-softmax-without-sum": ("dscores = alpha * (dalpha - (alpha * dalpha).sum(axis=1, keepdims=True))", "dscores = alpha * dalpha"),
    "attention-tanh-slope-missing": ("dpre = du * (1.0 - u ** 2)", "dpre = du"),
    "query-path-forgotten": ("ds_next = ds_next + self.attend_backward(dcontext, s_prev, att_cache)", "self.attend_backward(dcontext, s_prev, att_cache)"),
    "context-from-readout-forgotten": ("dcontext = dx[:, E:E + H] + dreadout[:, H:]", "dcontext = dx[:, E:E + H]"),
    "state-takes-context-slice": ("ds_next = dx[:, E + H:]", "ds_next = dx[:, E:E + H]"),
    "cell-carry-through-input-gate": ("dc_next = dc * f", "dc_next = dc * i"),
    "init-state-to-first-encoder-step": ("self.denc[:, -1] += dinit @ self.W_init", "self.denc[:, 0] += dinit @ self.W_init"),
}
PAIRS = [
    ("attention-softmax-without-sum", "attention-tanh-slope-missing"),
    ("encoder-grad-overwritten-each-step", "context-from-readout-forgotten"),
    ("query-path-forgotten", "state-takes-context-slice"),
    ("state-takes-context-slice", "cell-carry-through-input-gate"),
    ("encoder-grad-overwritten-each-step", "init-state-to-first-encoder-step"),
    ("attention-tanh-slope-missing", "cell-carry-through-input-gate"),
]
