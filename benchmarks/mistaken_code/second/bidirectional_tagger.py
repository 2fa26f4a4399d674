"""Bidirectional tagger: embedding -> two tanh RNNs -> softmax per token.  Caches are lists of tuples."""
import numpy as np


def rnn_forward(seq, W, U, b):
    """seq: list of (B, E) arrays in the order in which they are read"""
    h = np.zeros((seq[0].shape[0], U.shape[0]))
    hs, caches = [], []
    for x in seq:
        h_next = np.tanh(x.dot(W) + h.dot(U) + b)
        caches.append((x, h, h_next))
        hs.append(h_next)
        h = h_next
    return hs, caches


def rnn_backward(dhs, caches, W, U, b):
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    dxs = []
    dh_carry = 0.0
    for dh, (x, h, h_next) in zip(dhs[::-1], caches[::-1]):
        da = dh * (1.0 - h_next ** 2) + dh_carry
        dW += x.T.dot(da)
        dU += h_next.T.dot(da)
        db += da.sum(axis=0)
        dxs.append(da.dot(W.T))
        dh_carry = da.dot(U.T)
    return dxs[::-1], dW, dU, db


def tag_scores(p, tokens):
    T = tokens.shape[1]
    xs = [p['emb'][tokens[:, t]] for t in range(T)]
    fw, cf = rnn_forward(xs, p['Wf'], p['Uf'], p['bf'])
    bw, cb = rnn_forward(xs[::-1], p['Wb'], p['Ub'], p['bb'])
    bw = bw[::-1]
    feats = [np.concatenate([f, r], axis=1) for f, r in zip(fw, bw)]
    probs = []
    for z in feats:
        s = z.dot(p['Wo']) + p['bo']
        e = np.exp(s - s.max(axis=1, keepdims=True))
        probs.append(e / e.sum(axis=1, keepdims=True))
    return probs, feats, cf, cb


def tag_loss(p, tokens, tags):
    probs = tag_scores(p, tokens)[0]
    B, T = tokens.shape
    nll = 0.0
    for t in range(T):
        nll -= np.log(probs[t][np.arange(B), tags[:, t]]).sum()
    return nll / (B * T)


def tag_grads(p, tokens, tags):
    probs, feats, cf, cb = tag_scores(p, tokens)
    B, T = tokens.shape
    H = p['Uf'].shape[0]
    g = dict((k, np.zeros_like(v)) for k, v in p.items())
    dfw, dbw = [], []
    for t in range(T):
        ds = probs[t].copy()
        ds[np.arange(B), tags[:, t]] -= 1.0
        ds /= B * T
        g['Wo'] += feats[t].T.dot(ds)
        g['bo'] += ds.sum(axis=0)
        dz = ds.dot(p['Wo'].T)
        dfw.append(dz[:, :H])
        dbw.append(dz[:, H:])
    dxf, g['Wf'], g['Uf'], g['bf'] = rnn_backward(dfw, cf, p['Wf'], p['Uf'], p['bf'])
    dxb, g['Wb'], g['Ub'], g['bb'] = rnn_backward(dbw[::-1], cb, p['Wb'], p['Ub'], p['bb'])
    for t in range(T):
        np.add.at(g['emb'], tokens[:, t], dxf[t] + dxb[t])
    return g


def make(rng, T=4, B=3, D=2, H=3):
    V, K = 5, 3
    r = rng.standard_normal
    p = {'emb': r((V, D)), 'Wf': r((D, H)), 'Uf': r((H, H)) * .7, 'bf': r(H) * .3,
         'Wb': r((D, H)), 'Ub': r((H, H)) * .7, 'bb': r(H) * .3, 'Wo': r((2 * H, K)), 'bo': r(K) * .1}
    tokens = rng.integers(0, V, (B, T))
    tags = rng.integers(0, K, (B, T))
    return p, (lambda: float(tag_loss(p, tokens, tags))), (lambda: tag_grads(p, tokens, tags))


import gradcheck


@gradcheck.target
def audited(rng, *, T=4, B=3, D=2, H=3):
    return gradcheck.Target(*make(rng, T=T, B=B, D=D, H=H))


FAULTS = [('the input gradients of the backward RNN are not put back into token order',
  [71, 73],
  [("    dxb, g['Wb'], g['Ub'], g['bb'] = rnn_backward(dbw[::-1], cb, p['Wb'], p['Ub'], p['bb'])\n",
    "    dxb, g['Wb'], g['Ub'], g['bb'] = rnn_backward(dbw[::-1], cb, p['Wb'], p['Ub'], p['bb'])\n"
    '    dxb = dxb[::-1]\n')]),
 ('the carry from the next step is added after the tanh derivative',
  [22],
  [('da = dh * (1.0 - h_next ** 2) + dh_carry', 'da = (dh + dh_carry) * (1.0 - h_next ** 2)')]),
 ('dU pairs the pre-activation gradient with the new state, not the previous',
  [24],
  [('dU += h_next.T.dot(da)', 'dU += h.T.dot(da)')])]
