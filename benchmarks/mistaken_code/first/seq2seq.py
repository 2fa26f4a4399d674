"""Toy sequence-to-sequence translator.

Encoder: tanh RNN over the source tokens, its last state is the context.
Decoder: tanh RNN started from the context, which is also fed in at each step.
Source and target share one embedding table.  Target sentences have different
lengths, positions behind the end are masked out of the loss.
"""
import numpy as np
import gradcheck

BOS = 0


class Seq2Seq:

    def __init__(self, vocab, emb, hid, rng):
        def mat(*shape):
            return rng.standard_normal(shape) * 0.6

        self.vocab, self.hid = vocab, hid
        self.p = {
            'E': mat(vocab, emb),
            # encoder
            'enc_W': mat(emb, hid), 'enc_U': mat(hid, hid), 'enc_b': mat(hid),
            # decoder
            'dec_W': mat(emb, hid), 'dec_U': mat(hid, hid), 'dec_C': mat(hid, hid),
            'dec_b': mat(hid),
            # output
            'out_W': mat(hid, vocab), 'out_b': mat(vocab),
        }

    def encode(self, src):
        p = self.p
        h = np.zeros((src.shape[0], self.hid))
        hs = [h]
        for t in range(src.shape[1]):
            h = np.tanh(p['E'][src[:, t]] @ p['enc_W'] + h @ p['enc_U'] + p['enc_b'])
            hs.append(h)
        return hs

    def decode(self, context, dec_in):
        p = self.p
        s = context
        states, probs = [s], []
        for t in range(dec_in.shape[1]):
            s = np.tanh(p['E'][dec_in[:, t]] @ p['dec_W'] + s @ p['dec_U']
                        + context @ p['dec_C'] + p['dec_b'])
            logits = s @ p['out_W'] + p['out_b']
            e = np.exp(logits - logits.max(1, keepdims=True))
            probs.append(e / e.sum(1, keepdims=True))
            states.append(s)
        return states, probs

    def loss(self, src, tgt, mask):
        dec_in = shift_right(tgt)
        _, probs = self.decode(self.encode(src)[-1], dec_in)
        rows = np.arange(len(src))
        total = 0.0
        for t in range(tgt.shape[1]):
            total -= np.sum(mask[:, t] * np.log(probs[t][rows, tgt[:, t]]))
        return float(total / mask.sum())

    def gradients(self, src, tgt, mask):
        p = self.p
        g = {k: np.zeros_like(v) for k, v in p.items()}
        dec_in = shift_right(tgt)
        hs = self.encode(src)
        context = hs[-1]
        states, probs = self.decode(context, dec_in)
        rows = np.arange(len(src))

        # ---- decoder
        ds_next = np.zeros_like(context)
        for t in reversed(range(tgt.shape[1])):
            dlogits = probs[t].copy()
            dlogits[rows, tgt[:, t]] -= 1
            dlogits /= mask.sum()
            g['out_W'] += states[t + 1].T @ dlogits
            g['out_b'] += dlogits.sum(0)
            ds = dlogits @ p['out_W'].T + ds_next
            da = ds * (1 - states[t + 1] ** 2)
            g['dec_W'] += p['E'][dec_in[:, t]].T @ da
            g['dec_U'] += states[t].T @ da
            g['dec_C'] += context.T @ da
            g['dec_b'] += da.sum(0)
            ds_next = da @ p['dec_U'].T

        # ---- encoder
        dh = ds_next
        for t in reversed(range(src.shape[1])):
            g['enc_W'] += p['E'][src[:, t]].T @ dh
            g['enc_U'] += hs[t].T @ dh
            g['enc_b'] += dh.sum(0)
            np.add.at(g['E'], src[:, t], dh @ p['enc_W'].T)
            dh = dh @ p['enc_U'].T
        return g


def shift_right(tgt):
    """Decoder input: <bos> followed by the target without its last token."""
    bos = np.full((tgt.shape[0], 1), BOS)
    return np.concatenate([bos, tgt[:, :-1]], axis=1)


def setup(rng, T, B, D, H):
    vocab = D + 3
    net = Seq2Seq(vocab, D, H, rng)
    src = rng.integers(1, vocab, size=(B, T))
    tgt = rng.integers(1, vocab, size=(B, T))
    lengths = T - np.arange(B)[::-1] % T
    mask = (np.arange(T)[None, :] < lengths[:, None]).astype(float)
    return net.p, lambda: net.loss(src, tgt, mask), lambda: net.gradients(src, tgt, mask)


def make(rng):
    return setup(rng, T=4, B=2, D=3, H=4)


@gradcheck.target
def seq2seq(rng, *, T=4, B=2, D=3, H=4):
    params, loss, grads = setup(rng, T=T, B=B, D=D, H=H)
    return gradcheck.Target(params, loss, grads)


FAULTS = [('target mask is not applied to the gradient of the logits',
  [75, 76, 77],
  [('            dlogits /= mask.sum()',
    '            dlogits *= mask[:, t][:, None]\n            dlogits /= mask.sum()')]),
 ("decoder's contribution to the shared embedding is missing",
  [82, 85, 86, 94],
  [("            g['dec_b'] += da.sum(0)\n",
    "            g['dec_b'] += da.sum(0)\n"
    "            np.add.at(g['E'], dec_in[:, t], da @ p['dec_W'].T)\n")]),
 ('gradient of the context through dec_C at each decoder step is not passed to the encoder',
  [84, 86, 89],
  [('        ds_next = np.zeros_like(context)\n',
    '        ds_next = np.zeros_like(context)\n        dcontext = np.zeros_like(context)\n'),
   ('            ds_next = da', "            dcontext += da @ p['dec_C'].T\n            ds_next = da"),
   ('dh = ds_next', 'dh = ds_next + dcontext')]),
 ("derivative of tanh is forgotten in the encoder's backward pass",
  [90, 91, 92, 93, 94, 95],
  [("            g['enc_W'] += p['E'][src[:, t]].T @ dh\n"
    "            g['enc_U'] += hs[t].T @ dh\n"
    "            g['enc_b'] += dh.sum(0)\n"
    "            np.add.at(g['E'], src[:, t], dh @ p['enc_W'].T)\n"
    "            dh = dh @ p['enc_U'].T\n",
    '            da = dh * (1 - hs[t + 1] ** 2)\n'
    "            g['enc_W'] += p['E'][src[:, t]].T @ da\n"
    "            g['enc_U'] += hs[t].T @ da\n"
    "            g['enc_b'] += da.sum(0)\n"
    "            np.add.at(g['E'], src[:, t], da @ p['enc_W'].T)\n"
    "            dh = da @ p['enc_U'].T\n")])]
