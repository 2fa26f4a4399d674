"""Sequence-to-sequence regression with general (Luong) attention and input feeding.

encoder   e_s = tanh(x_s We + e_{s-1} Ue + be)
decoder   d_t = tanh(y_{t-1} Wd + d_{t-1} Ud + c_{t-1} Cd + bd),    d_{-1} = e_S, c_{-1} = 0
attention w_ts = softmax_s(d_t M e_s),   c_t = sum_s w_ts e_s
readout   a_t = tanh([d_t ; c_t] Wa),   o_t = a_t Wo + bo
Teacher forcing (y_{t-1} is the true output).  Indices: b batch, s source, t target, h/k hidden.
"""
import numpy as np
from types import SimpleNamespace as NS


def encode(p, x):
    B, S, _ = x.shape
    H = p.Ue.shape[0]
    enc = np.zeros((B, S, H))
    prev = np.zeros((B, H))
    for s in range(S):
        prev = np.tanh(np.einsum("bi,ih->bh", x[:, s], p.We) + np.einsum("bk,kh->bh", prev, p.Ue) + p.be)
        enc[:, s] = prev
    return enc


def decode(p, enc, y_in):
    B, T, _ = y_in.shape
    H = p.Ud.shape[0]
    dec, ctx, act = np.zeros((B, T, H)), np.zeros((B, T, H)), np.zeros((B, T, H))
    att = np.zeros((B, T, enc.shape[1]))
    d, c = enc[:, -1], np.zeros((B, H))
    for t in range(T):
        d = np.tanh(np.einsum("bi,ih->bh", y_in[:, t], p.Wd) + np.einsum("bk,kh->bh", d, p.Ud)
                    + np.einsum("bk,kh->bh", c, p.Cd) + p.bd)
        score = np.einsum("bh,hk,bsk->bs", d, p.M, enc)
        w = np.exp(score - score.max(axis=1, keepdims=True))
        w = w / w.sum(axis=1, keepdims=True)
        c = np.einsum("bs,bsh->bh", w, enc)
        dec[:, t], att[:, t], ctx[:, t] = d, w, c
        act[:, t] = np.tanh(np.concatenate([d, c], axis=1) @ p.Wa)
    return dec, att, ctx, act


def objective(p, x, y_in, y_out):
    enc = encode(p, x)
    dec, att, ctx, act = decode(p, enc, y_in)
    err = np.einsum("bth,ho->bto", act, p.Wo) + p.bo - y_out
    return 0.5 * np.einsum("bto,bto->", err, err) / len(x), (enc, dec, att, ctx, act, err)


def gradient(p, x, y_in, y_out):
    _, (enc, dec, att, ctx, act, err) = objective(p, x, y_in, y_out)
    B, S, H = enc.shape
    T = dec.shape[1]
    g = NS(**{k: np.zeros_like(v) for k, v in vars(p).items()})

    derr = err / B
    g.Wo += np.einsum("bth,bto->ho", act, derr)
    g.bo += np.einsum("bto->o", derr)
    dact = np.einsum("bto,ho->bth", derr, p.Wo) * (1 - act ** 2)
    both = np.concatenate([dec, ctx], axis=2)
    g.Wa += np.einsum("btj,bth->jh", both, dact)
    dboth = np.einsum("bth,jh->btj", dact, p.Wa)
    ddec, dctx = dboth[:, :, :H], dboth[:, :, H:]

    denc = np.zeros_like(enc)
    d_carry = np.zeros((B, H))
    c_carry = np.zeros((B, H))
    for t in range(T - 1, -1, -1):
        dd = ddec[:, t] + d_carry
        dc = dctx[:, t] + c_carry
        # context -> weights and encoder states
        w = att[:, t]
        dw = np.einsum("bh,bsh->bs", dc, enc)
        denc += np.einsum("bs,bh->bsh", w, dc)
        # softmax
        dscore = w * (dw - np.einsum("bs,bs->b", w, dw)[:, None])
        # bilinear score
        g.M += np.einsum("bs,bh,bsk->hk", dscore, dec[:, t], enc)
        dd = dd + np.einsum("bs,hk,bsk->bh", dscore, p.M, enc)
        denc += np.einsum("bs,hk,bh->bsk", dscore, p.M, dec[:, t])
        # recurrence of the decoder
        da = dd * (1 - dec[:, t] ** 2)
        d_prev = dec[:, t - 1] if t > 0 else enc[:, -1]
        g.Wd += np.einsum("bi,bh->ih", y_in[:, t], da)
        g.Ud += np.einsum("bk,bh->kh", d_prev, da)
        g.bd += np.einsum("bh->h", da)
        if t > 0:
            g.Cd += np.einsum("bk,bh->kh", ctx[:, t - 1], da)
        d_carry = np.einsum("bh,kh->bk", da, p.Ud)
        c_carry = np.einsum("bh,kh->bk", da, p.Cd)
    denc[:, -1] += d_carry

    e_carry = np.zeros((B, H))
    for s in range(S - 1, -1, -1):
        de = (denc[:, s] + e_carry) * (1 - enc[:, s] ** 2)
        g.We += np.einsum("bi,bh->ih", x[:, s], de)
        g.be += np.einsum("bh->h", de)
        if s > 0:
            g.Ue += np.einsum("bk,bh->kh", enc[:, s - 1], de)
        e_carry = np.einsum("bh,kh->bk", de, p.Ue)
    return vars(g)


def make(rng):
    I, O, H = 2, 2, 3
    shapes = dict(We=(I, H), Ue=(H, H), be=(H,), Wd=(O, H), Ud=(H, H), Cd=(H, H), bd=(H,),
                  M=(H, H), Wa=(2 * H, H), Wo=(H, O), bo=(O,))
    p = NS(**{k: rng.normal(0, 0.9, s) for k, s in shapes.items()})
    x = rng.normal(size=(3, 4, I))
    y = rng.normal(size=(3, 5, O))
    y_in, y_out = y[:, :-1], y[:, 1:]
    return vars(p), lambda: float(objective(p, x, y_in, y_out)[0]), lambda: gradient(p, x, y_in, y_out)


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


PAIRS = [[('divided by T as well', [55], [('derr = err / (B * T)', 'derr = err / B')]),
  ('matrix of the decoder',
   [99],
   [('e_carry = np.einsum("bh,kh->bk", de, p.Ud)', 'e_carry = np.einsum("bh,kh->bk", de, p.Ue)')])],
 [('derivative with the wrong activation',
   [81],
   [('da = dd * (1 - act[:, t] ** 2)', 'da = dd * (1 - dec[:, t] ** 2)')]),
  ('wrong time index', [98], [('enc[:, s], de)', 'enc[:, s - 1], de)')])]]
