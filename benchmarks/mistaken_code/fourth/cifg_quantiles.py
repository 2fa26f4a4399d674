#!/usr/bin/env python
# coding: utf-8

# # Store sales: CIFG-LSTM with recurrent projection, P10 / P50 / P90 forecast
# notebook converted with nbconvert; pandas part removed, dummy data at the bottom

# In[1]:

import numpy as np

N_STORES, EMB, N_FEAT = 3, 2, 2
HIDDEN, PROJ = 3, 2
HORIZON = 3                      # the last 3 days are scored
TAUS = np.array([0.1, 0.5, 0.9])
KEEP = 0.75                      # variational dropout on the projected state
WD = 0.01

sigmoid = lambda v: 1 / (1 + np.exp(-v))
softplus = lambda v: np.log1p(np.exp(v))


# In[2]:  one step = [features, store embedding, projected state] -> (forget, out, candidate)

def run_lstm(w, feats, store, drop):
    n, days, _ = feats.shape
    emb = w['emb'][store]
    r = np.zeros((n, PROJ))
    c = np.zeros((n, HIDDEN))
    cache = dict(inp=[], f=[], o=[], g=[], c_old=[], tc=[], m=[])
    outs = []
    for d in range(days):
        inp = np.hstack([feats[:, d], emb, r])
        gates = inp @ w['W'] + w['b']
        f = sigmoid(gates[:, :HIDDEN])
        o = sigmoid(gates[:, HIDDEN:2 * HIDDEN])
        g = np.tanh(gates[:, 2 * HIDDEN:])
        cache['c_old'].append(c)
        c = f * c + (1 - f) * g
        tc = np.tanh(c)
        m = o * tc
        r = (m @ w['P']) * drop / KEEP
        outs.append(r)
        for key, val in zip(('inp', 'f', 'o', 'g', 'tc', 'm'), (inp, f, o, g, tc, m)):
            cache[key].append(val)
    return np.stack(outs[-HORIZON:], axis=1), cache


# In[3]:  quantiles that cannot cross: first one free, then positive increments

def quantile_head(w, r):
    raw = r @ w['Wq'] + w['bq']
    inc = np.concatenate([raw[..., :1], softplus(raw[..., 1:])], axis=-1)
    return raw, np.cumsum(inc, axis=-1)


def pinball(q, y, ok):
    err = np.where(ok, y, 0)[..., None] - q
    each = np.maximum(TAUS * err, (TAUS - 1) * err)
    return (each * ok[..., None]).sum() / ok.sum(), err


def total_loss(w, feats, store, drop, y):
    ok = ~np.isnan(y)
    r, _ = run_lstm(w, feats, store, drop)
    _, q = quantile_head(w, r)
    val, _ = pinball(q, y, ok)
    return float(val + 0.5 * WD * (w['W'] ** 2).sum())


# In[4]:

def total_grad(w, feats, store, drop, y):
    ok = ~np.isnan(y)
    r, cache = run_lstm(w, feats, store, drop)
    raw, q = quantile_head(w, r)
    _, err = pinball(q, y, ok)
    G = {k: np.zeros_like(v) for k, v in w.items()}

    # head
    dq = np.where(err > 0, -TAUS, 1 - TAUS) * ok[..., None] / ok.size
    dinc = np.cumsum(dq[..., ::-1], axis=-1)[..., ::-1]
    draw = dinc.copy()
    draw[..., 1:] *= sigmoid(raw[..., 1:])
    G['Wq'] = np.tensordot(r, draw, axes=([0, 1], [0, 1]))
    G['bq'] = draw.sum(axis=(0, 1))
    dr_out = draw @ w['Wq'].T

    # lstm
    days = len(cache['f'])
    dr = np.zeros((len(feats), PROJ))
    dc = np.zeros((len(feats), HIDDEN))
    for d in range(days)[::-1]:
        inp, f, o, g, c_old, tc, m = [cache[k][d] for k in ('inp', 'f', 'o', 'g', 'c_old', 'tc', 'm')]
        if d >= days - HORIZON:
            dr = dr + dr_out[:, d - (days - HORIZON)]
        dp = dr * drop
        G['P'] += m.T @ dp
        dm = dp @ w['P'].T
        dc = dc + dm * o * (1 - tc ** 2)
        dgates = np.hstack([dc * c_old * f * (1 - f),
                            dm * tc * o * (1 - o),
                            dc * (1 - f) * (1 - g ** 2)])
        G['W'] += inp.T @ dgates
        G['b'] += dgates.sum(axis=0)
        dinp = dgates @ w['W'].T
        np.add.at(G['emb'], store, dinp[:, N_FEAT:N_FEAT + EMB])
        dr = dinp[:, N_FEAT + EMB:]
        dc = dc * f
    G['W'] += WD * w['W']
    return G


# In[5]:

def make(rng):
    n, days = 4, 6
    w = {
        'emb': rng.standard_normal((N_STORES, EMB)),
        'W': rng.standard_normal((N_FEAT + EMB + PROJ, 3 * HIDDEN)) * 0.7,
        'b': rng.standard_normal(3 * HIDDEN) * 0.3,
        'P': rng.standard_normal((HIDDEN, PROJ)),
        'Wq': rng.standard_normal((PROJ, 3)),
        'bq': rng.standard_normal(3) * 0.3,
    }
    feats = rng.standard_normal((n, days, N_FEAT))
    store = np.array([0, 2, 0, 1])
    drop = np.array([[1, 1], [1, 0], [1, 1], [0, 1]], dtype=float)
    y = rng.standard_normal((n, HORIZON)) * 2
    y[1, 0] = y[3, 2] = np.nan
    args = (feats, store, drop, y)
    return w, lambda: total_loss(w, *args), lambda: total_grad(w, *args)


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [("coupled gate: the input share (-g) of the forget gate's gradient missing",
  [100],
  [('dc * c_old * f * (1 - f)', 'dc * (c_old - g) * f * (1 - f)')]),
 ('dropout scale 1/KEEP missing', [96], [('dp = dr * drop', 'dp = dr * drop / KEEP')]),
 ('mean over all targets instead of over the known ones',
  [80],
  [('1 - TAUS) * ok[..., None] / ok.size', '1 - TAUS) * ok[..., None] / ok.sum()')])]
