# seq2seq toy (Elman encoder, GRU decoder), one function does it all.
#   encoder: right-padded source, a padded step keeps the state
#   decoder is started from tanh(last @ Wbr + bbr), and sees `last` again at every step
#   teacher forcing: the input at step t is the true token t-1, BOS first
# L2 on the two recurrent matrices of the encoder / bridge.
import numpy as np

PAD, BOS = -1, 0
L2 = 0.02


def loss_and_grads(params, batch):
    src, src_len, tgt, tgt_len = batch
    n, Ts = src.shape
    Tt = tgt.shape[1]
    g = dict((k, np.zeros(v.shape)) for k, v in params.items())

    def sig(a):
        return 1. / (1. + np.exp(-a))

    def softmax(a):
        a = np.exp(a - a.max(1, keepdims=True))
        return a / a.sum(1, keepdims=True)

    def lin(names, *xs):
        # sum of x @ W
        return sum(np.dot(x, params[k]) for k, x in zip(names, xs))

    def lin_back(names, d, *xs):
        # accumulates the weight gradients, hands back the gradient of every input
        back = []
        for k, x in zip(names, xs):
            g[k] += np.dot(x.T, d)
            back.append(np.dot(d, params[k].T))
        return back

    # ---------------------------------------------------------------- encoder
    enc = []
    h = np.zeros((n, params["Whe"].shape[0]))
    for t in range(Ts):
        m = (t < src_len).astype(float)[:, None]
        tok = np.where(src[:, t] == PAD, 0, src[:, t])
        x = params["Esrc"][tok]
        cand = np.tanh(lin(["Wxe", "Whe"], x, h) + params["be"])
        enc.append((tok, m, x, h, cand))
        h = m * cand + (1 - m) * h
    last = h

    # ----------------------------------------------------------------- bridge
    s = np.tanh(np.dot(last, params["Wbr"]) + params["bbr"])
    s0 = s

    # ---------------------------------------------------------------- decoder
    dec = []
    loss = 0.
    ntok = float(tgt_len.sum())
    rows = np.arange(n)
    prev = np.full(n, BOS)
    for t in range(Tt):
        live = (t < tgt_len).astype(float)
        y = np.where(tgt[:, t] == PAD, 0, tgt[:, t])
        e = params["Etgt"][prev]
        z = sig(lin(["Wz", "Uz", "Cz"], e, s, last) + params["bz"])
        r = sig(lin(["Wr", "Ur", "Cr"], e, s, last) + params["br"])
        q = np.dot(s, params["Un"]) + params["bq"]
        k = np.tanh(lin(["Wn", "Cn"], e, last) + params["bn"] + r * q)
        s_old, s = s, (1 - z) * k + z * s
        prob = softmax(np.dot(s, params["Wo"]) + params["bo"])
        loss -= np.sum(live * np.log(prob[rows, y])) / ntok
        dec.append((prev, live, y, e, z, r, q, k, s_old, s, prob))
        prev = y
    loss += 0.5 * L2 * (np.sum(params["Whe"] ** 2) + np.sum(params["Wbr"] ** 2))

    # ------------------------------------------------------- backward, decoder
    ds = np.zeros_like(s)
    dlast = np.zeros_like(last)
    while dec:
        prev, live, y, e, z, r, q, k, s_old, s, prob = dec.pop()
        dlogit = prob.copy()
        dlogit[rows, y] -= 1
        dlogit *= live[:, None] / ntok
        g["Wo"] += np.dot(s.T, dlogit)
        g["bo"] += dlogit.sum(0)
        ds = ds + np.dot(dlogit, params["Wo"].T)

        dk = ds * (1 - z) * (1 - k * k)
        dz = ds * (s_old - k) * z * (1 - z)
        ds_old = ds * z
        # candidate: reset gate multiplies after the matrix product
        dr = dk * q * r * (1 - r)
        dq = dk * r
        g["Un"] += np.dot(s_old.T, dq)
        g["bq"] += dq.sum(0)
        g["bn"] += dk.sum(0)
        ds_old += np.dot(dq, params["Un"].T)
        de, dl = lin_back(["Wn", "Cn"], dk, e, last)
        dlast += dl  # context, candidate part
        # update and reset gate
        dez, dsz, dlz = lin_back(["Wz", "Uz", "Cz"], dz, e, s_old, last)
        der, dsr, dlr = lin_back(["Wr", "Ur", "Cr"], dr, e, s_old, last)
        g["bz"] += dz.sum(0)
        g["br"] += dr.sum(0)
        dlast += dlz + dlr
        np.add.at(g["Etgt"], prev, de + dez + der)
        ds = ds_old + dsz + dsr

    # -------------------------------------------------------- backward, bridge
    dbr = ds * (1 - s0 * s0)
    g["Wbr"] += np.dot(last.T, dbr)
    g["bbr"] += dbr.sum(0)
    dh = dlast + np.dot(dbr, params["Wbr"].T)

    # ------------------------------------------------------- backward, encoder
    while enc:
        tok, m, x, h, cand = enc.pop()
        da = m * dh * (1 - cand * cand)
        dx, dh_rec = lin_back(["Wxe", "Whe"], da, x, h)
        g["be"] += da.sum(0)
        np.add.at(g["Esrc"], tok, dx)
        dh = (1 - m) * dh + dh_rec

    for k in ("Whe", "Wbr"):
        g[k] += L2 * params[k]
    return float(loss), g


def make(Target, rng, n=3, Ts=4, Tt=4, emb=2, hid=3, n_src=4, n_tgt=5):
    def w(*shape):
        return rng.normal(0, 0.8, size=shape)

    params = {"Esrc": w(n_src, emb), "Etgt": w(n_tgt, emb), "Wxe": w(emb, hid), "Whe": w(hid, hid), "be": w(hid),
              "Wbr": w(hid, hid), "bbr": w(hid), "Wo": w(hid, n_tgt), "bo": w(n_tgt), "bq": w(hid)}
    for k in "zrn":
        params.update({"W" + k: w(emb, hid), "U" + k: w(hid, hid), "C" + k: w(hid, hid), "b" + k: w(hid)})

    def tokens(vocab, length):
        lens = rng.integers(1, length + 1, size=n)
        lens[0], lens[-1] = length, (length + 1) // 2
        toks = rng.integers(0, vocab, size=(n, length))
        toks[np.arange(length)[None, :] >= lens[:, None]] = PAD
        return toks, lens

    batch = tokens(n_src, Ts) + tokens(n_tgt, Tt)

    def loss():
        return loss_and_grads(params, batch)[0]

    def grads():
        return loss_and_grads(params, batch)[1]

    return Target(params, loss, grads)


BUGS = {
    "normalised-by-batch-not-tokens": ("dlogit *= live[:, None] / ntok", "dlogit *= live[:, None] / n"),
    "update-gate-sign": ("dz = ds * (s_old - k) * z * (1 - z)", "dz = ds * (k - s_old) * z * (1 - z)"),
    "reset-left-out-of-dq": ("dq = dk * r", "dq = dk"),
    "un-not-transposed": ("ds_old += np.dot(dq, params[\"Un\"].T)", "ds_old += np.dot(dq, params[\"Un\"])"),
    "context-assigned-in-candidate": ("dlast += dl  #", "dlast = dl  #"),
    "repeated-tokens-lost": ("np.add.at(g[\"Etgt\"], prev, de + dez + der)", "g[\"Etgt\"][prev] += de + dez + der"),
    "bridge-slope-at-encoder-state": ("dbr = ds * (1 - s0 * s0)", "dbr = ds * (1 - last * last)"),
    "padded-step-drops-carry": ("dh = (1 - m) * dh + dh_rec", "dh = dh_rec"),
}
PAIRS = [
    ("update-gate-sign", "repeated-tokens-lost"),
    ("reset-left-out-of-dq", "un-not-transposed"),
    ("un-not-transposed", "bridge-slope-at-encoder-state"),
    ("context-assigned-in-candidate", "padded-step-drops-carry"),
    ("normalised-by-batch-not-tokens", "reset-left-out-of-dq"),
    ("bridge-slope-at-encoder-state", "padded-step-drops-carry"),
]
