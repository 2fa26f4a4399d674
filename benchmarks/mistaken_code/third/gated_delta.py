"""Gated DeltaNet token mixer, recurrent form, with metric-learning heads.

    S_t = g_t S_{t-1} + beta_t (v_t - g_t S_{t-1} k_t) k_t^T          o_t = S_t q_t

q, k are L2-normalised per head, g and beta are per-head scalars in (0, 1).  The embedding of
a sequence is its last frame; triplets (anchor, positive, negative) give a margin loss.  An
auxiliary loss asks every frame for the next input.
Shapes: n = batch, t = time, h = head, k = key dim, v = value dim.
"""
import numpy as np

NH, DK, DV, DIN, DEMB = 2, 2, 3, 2, 3
MARGIN, AUX = 6.0, 0.3


def sigm(x):
    return 1.0 / (1.0 + np.exp(-x))


def l2norm(x):
    inv = 1.0 / np.sqrt((x * x).sum(-1, keepdims=True) + 1e-6)
    return x * inv, inv


def l2norm_bwd(dy, y, inv):
    return inv * (dy - y * (dy * y).sum(-1, keepdims=True))


def split_heads(flat, dim):
    """(n, t, h*dim) -> (h, n, t, dim)"""
    n, t, _ = flat.shape
    return flat.reshape(n, t, NH, dim).transpose(2, 0, 1, 3)


def merge_heads(x):
    _, n, t, dim = x.shape
    return x.transpose(1, 2, 0, 3).reshape(n, t, NH * dim)


def delta_rule_fwd(q, k, v, g, beta):
    h, n, t, _ = q.shape
    S = np.zeros((t + 1, h, n, DV, DK))
    o = np.zeros_like(v)
    for i in range(t):
        Sg = g[:, :, i, None, None] * S[i]
        err = v[:, :, i] - np.einsum('hnvk,hnk->hnv', Sg, k[:, :, i])
        S[i + 1] = Sg + beta[:, :, i, None, None] * np.einsum('hnv,hnk->hnvk', err, k[:, :, i])
        o[:, :, i] = np.einsum('hnvk,hnk->hnv', S[i + 1], q[:, :, i])
    return o, S


def delta_rule_bwd(do, q, k, v, g, beta, S):
    dq, dk, dv, dg, dbeta = map(np.zeros_like, (q, k, v, g, beta))
    dS = np.zeros_like(S[0])
    for i in reversed(range(q.shape[2])):
        ki, gi, bi = k[:, :, i], g[:, :, i, None, None], beta[:, :, i, None]
        Sg = gi * S[i]
        err = v[:, :, i] - np.einsum('hnvk,hnk->hnv', Sg, ki)
        dq[:, :, i] = np.einsum('hnvk,hnv->hnk', S[i + 1], do[:, :, i])
        dS = dS + np.einsum('hnv,hnk->hnvk', do[:, :, i], q[:, :, i])
        dSk = np.einsum('hnvk,hnk->hnv', dS, ki)
        dbeta[:, :, i] = (err * dSk).sum(-1)
        derr = dSk
        dk[:, :, i] = bi * np.einsum('hnvk,hnv->hnk', dS, err)
        dv[:, :, i] = derr
        dk[:, :, i] -= np.einsum('hnvk,hnv->hnk', Sg, derr)
        dSg = dS - np.einsum('hnv,hnk->hnvk', derr, ki)
        dg[:, :, i] = (dSg * Sg).sum((-1, -2))
        dS = gi * dSg
    return dq, dk, dv, dg, dbeta


def forward(p, x):
    q, qinv = l2norm(split_heads(x @ p['Wq'], DK))
    k, kinv = l2norm(split_heads(x @ p['Wk'], DK))
    v = split_heads(x @ p['Wv'], DV)
    g = sigm(split_heads(x @ p['Wg'] + p['bg'], 1)[..., 0])
    beta = sigm(split_heads(x @ p['Wb'] + p['bb'], 1)[..., 0])
    o, S = delta_rule_fwd(q, k, v, g, beta)
    mixed = merge_heads(o)
    emb = mixed @ p['Wo']
    nxt = mixed[:, :-1] @ p['Wn']
    return emb[:, -1], nxt, (q, qinv, k, kinv, v, g, beta, S, mixed)


def triplet(e, trip):
    """mean hinge over rows (a, p, n) of trip; returns value and gradient for e"""
    a, p, n = trip.T
    gap = MARGIN + ((e[a] - e[p]) ** 2).sum(-1) - ((e[a] - e[n]) ** 2).sum(-1)
    active = (gap > 0)[:, None] / len(trip)
    de = np.zeros_like(e)
    np.add.at(de, a, 2 * active * (e[n] - e[p]))
    np.add.at(de, p, 2 * active * (e[p] - e[a]))
    np.add.at(de, n, 2 * active * (e[a] - e[n]))
    return np.maximum(gap, 0).mean(), de


def objective(p, x, trip):
    e, nxt, _ = forward(p, x)
    return triplet(e, trip)[0] + AUX * ((nxt - x[:, 1:]) ** 2).mean()


def gradient(p, x, trip):
    e, nxt, (q, qinv, k, kinv, v, g, beta, S, mixed) = forward(p, x)
    out = {}
    de = triplet(e, trip)[1]
    dn = 2 * AUX * (nxt - x[:, 1:]) / nxt.size
    out['Wo'] = mixed[:, -1].T @ de
    out['Wn'] = np.einsum('nti,ntj->ij', mixed[:, :-1], dn)
    dmixed = np.zeros_like(mixed)
    dmixed[:, -1] = de @ p['Wo'].T
    dmixed[:, 1:] += dn @ p['Wn'].T
    dq, dk, dv, dg, dbeta = delta_rule_bwd(split_heads(dmixed, DV), q, k, v, g, beta, S)
    pre = {'Wq': merge_heads(l2norm_bwd(dq, q, qinv)),
           'Wk': merge_heads(l2norm_bwd(dk, k, kinv)),
           'Wv': merge_heads(dv),
           'Wg': merge_heads((dg * g * (1 - g))[..., None]),
           'Wb': merge_heads((dbeta * beta * (1 - beta))[..., None])}
    for name, d in pre.items():
        out[name] = np.einsum('nti,ntj->ij', x, d)
    out['bg'] = pre['Wg'].sum((0, 1))
    out['bb'] = pre['Wb'].sum((0, 1))
    return out


def make(rng):
    p = {'Wq': (DIN, NH * DK), 'Wk': (DIN, NH * DK), 'Wv': (DIN, NH * DV), 'Wg': (DIN, NH),
         'Wb': (DIN, NH), 'bg': NH, 'bb': NH, 'Wo': (NH * DV, DEMB), 'Wn': (NH * DV, DIN)}
    p = {name: rng.standard_normal(shape) for name, shape in p.items()}
    x = rng.standard_normal((4, 5, DIN))
    trip = np.array([[0, 1, 2], [1, 0, 3], [2, 3, 0], [3, 2, 1]])
    return p, lambda: float(objective(p, x, trip)), lambda: gradient(p, x, trip)


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('decay gate: the decayed state instead of the old one',
  [68],
  [('(dSg * Sg).sum((-1, -2))', '(dSg * S[i]).sum((-1, -2))')]),
 ('beta missing in the gradient of the prediction error', [63], [('derr = dSk', 'derr = bi * dSk')]),
 ('auxiliary gradient one frame late', [112], [('dmixed[:, 1:] += dn @', 'dmixed[:, :-1] += dn @')])]
