"""
Attentional seq2seq (additive attention, RNN encoder, UGRNN decoder) with scheduled sampling.

Where `teacher[b, t]` is 1 the decoder reads the true previous word, elsewhere it reads the
expected embedding  softmax(previous logits) @ E_tgt  (differentiable).  The schedule is drawn
once and kept.  Source and target are padded; padded source steps copy the encoder state.
"""
import numpy as np

SRC, TGT, EMB, HID = 4, 4, 2, 3


def init(rng):
    def mat(*shape):
        return rng.normal(scale=0.8, size=shape)
    return {
        'E_src': mat(SRC, EMB), 'enc_x': mat(EMB, HID), 'enc_h': mat(HID, HID), 'enc_b': mat(HID),
        'att_q': mat(HID, HID), 'att_k': mat(HID, HID), 'att_v': mat(HID),
        'E_tgt': mat(TGT, EMB), 'dec_W': mat(EMB + HID + HID, 2 * HID), 'dec_b': mat(2 * HID),
        'out_W': mat(2 * HID, TGT), 'out_b': mat(TGT),
    }


def softmax(a):
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def encode(p, src, src_mask):
    B, S = src.shape
    h = np.zeros((B, HID))
    cache = {'h_in': [], 'cand': [], 'emb': []}
    memory = np.zeros((B, S, HID))
    for s in range(S):
        e = p['E_src'][src[:, s]]
        cand = np.tanh(e @ p['enc_x'] + h @ p['enc_h'] + p['enc_b'])
        cache['h_in'].append(h)
        cache['cand'].append(cand)
        cache['emb'].append(e)
        m = src_mask[:, s, None]
        h = m * cand + (1 - m) * h
        memory[:, s] = h
    return memory, h, cache


def decode(p, memory, h, src_mask, tgt, teacher):
    B, T = tgt.shape[0], tgt.shape[1] - 1
    keys = memory @ p['att_k']
    cache = {k: [] for k in ('h_in', 'act', 'alpha', 'u', 'g', 'c', 'read', 'prob')}
    prob = np.full((B, TGT), 1.0 / TGT)
    for t in range(T):
        # attention, asked with the old state
        act = np.tanh(keys + (h @ p['att_q'])[:, None, :])
        alpha = softmax(np.where(src_mask > 0, act @ p['att_v'], -1e9))
        ctx = np.einsum('bs,bsh->bh', alpha, memory)
        # word to read
        m = teacher[:, t, None]
        word = m * p['E_tgt'][tgt[:, t]] + (1 - m) * (prob @ p['E_tgt'])
        # UGRNN
        u = np.concatenate([word, ctx, h], axis=1)
        pre = u @ p['dec_W'] + p['dec_b']
        g = 1 / (1 + np.exp(-pre[:, :HID]))
        c = np.tanh(pre[:, HID:])
        for k, v in (('h_in', h), ('act', act), ('alpha', alpha), ('u', u), ('g', g), ('c', c)):
            cache[k].append(v)
        h = g * h + (1 - g) * c
        read = np.concatenate([h, ctx], axis=1)
        prob = softmax(read @ p['out_W'] + p['out_b'])
        cache['read'].append(read)
        cache['prob'].append(prob)
    return cache


def cross_entropy(cache, tgt, tgt_mask):
    rows = np.arange(len(tgt))
    total = 0.0
    for t, prob in enumerate(cache['prob']):
        total -= (tgt_mask[:, t] * np.log(prob[rows, tgt[:, t + 1]])).sum()
    return total / tgt_mask.sum()


def backward(p, batch, memory, enc, dec):
    src, src_mask, tgt, tgt_mask, teacher = batch
    G = {k: np.zeros_like(v) for k, v in p.items()}
    B, T = tgt.shape[0], tgt.shape[1] - 1
    rows = np.arange(B)
    dh, dprob = np.zeros((B, HID)), np.zeros((B, TGT))
    dmem, dkeys = np.zeros_like(memory), np.zeros_like(memory)
    for t in reversed(range(T)):
        prob, g, c, u, h_in = (dec[k][t] for k in ('prob', 'g', 'c', 'u', 'h_in'))
        dlogit = prob * (dprob - (dprob * prob).sum(axis=1, keepdims=True))
        gold = prob.copy()
        gold[rows, tgt[:, t + 1]] -= 1
        dlogit += gold * tgt_mask[:, t, None] / tgt_mask.sum()
        G['out_W'] += dec['read'][t].T @ dlogit
        G['out_b'] += dlogit.sum(axis=0)
        dread = dlogit @ p['out_W'].T
        dh = dh + dread[:, :HID]
        dctx = dread[:, HID:]

        dpre = np.concatenate([dh * (h_in - c) * g * (1 - g), dh * (1 - g) * (1 - c * c)], axis=1)
        G['dec_W'] += u.T @ dpre
        G['dec_b'] += dpre.sum(axis=0)
        du = dpre @ p['dec_W'].T
        dword, dctx = du[:, :EMB], du[:, EMB:EMB + HID]
        dh = dh * g + du[:, EMB + HID:]

        m = teacher[:, t, None]
        np.add.at(G['E_tgt'], tgt[:, t], m * dword)
        before = dec['prob'][t - 1] if t > 0 else np.full((B, TGT), 1.0 / TGT)
        G['E_tgt'] += before.T @ ((1 - m) * dword)
        dprob = dword @ p['E_tgt'].T

        alpha, act = dec['alpha'][t], dec['act'][t]
        dmem += alpha[:, :, None] * dctx[:, None, :]
        dalpha = np.einsum('bh,bsh->bs', dctx, memory)
        dscore = alpha * (dalpha - (alpha * dalpha).sum(axis=1, keepdims=True))
        G['att_v'] += np.einsum('bs,bsh->h', dscore, act)
        dact = dscore[:, :, None] * p['att_v']
        dkeys += dact
        G['att_q'] += h_in.T @ dact.sum(axis=1)
        dh += dact.sum(axis=1) @ p['att_q'].T

    G['att_k'] = np.einsum('bsi,bsj->ij', memory, dkeys)
    dmem += dkeys @ p['att_k'].T
    for s in reversed(range(src.shape[1])):
        dh = dh + dmem[:, s]
        m = src_mask[:, s, None]
        dpre = dh * m * (1 - enc['cand'][s] ** 2)
        G['enc_x'] += enc['emb'][s].T @ dpre
        G['enc_h'] += enc['h_in'][s].T @ dpre
        G['enc_b'] += dpre.sum(axis=0)
        np.add.at(G['E_src'], src[:, s], dpre @ p['enc_x'].T)
        dh = dpre @ p['enc_h'].T
    return G


def make(rng):
    p = init(rng)
    B, S, T = 3, 4, 4
    src, tgt = rng.integers(0, SRC, (B, S)), rng.integers(0, TGT, (B, T + 1))
    src_mask = (np.arange(S) < np.array([[4], [2], [3]])).astype(float)
    tgt_mask = (np.arange(T) < np.array([[3], [4], [2]])).astype(float)
    teacher = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0]], dtype=float)

    def run():
        memory, h, enc = encode(p, src, src_mask)
        return memory, enc, decode(p, memory, h, src_mask, tgt, teacher)

    return (p, lambda: float(cross_entropy(run()[2], tgt, tgt_mask)),
            lambda: backward(p, (src, src_mask, tgt, tgt_mask, teacher), *run()))


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [("padded source steps: copied state's gradient missing",
  [134],
  [("dh = dpre @ p['enc_h'].T", "dh = dh * (1 - m) + dpre @ p['enc_h'].T")]),
 ('context gradient of the read-out overwritten',
  [99, 105],
  [('du[:, EMB:EMB + HID]', 'dctx + du[:, EMB:EMB + HID]')]),
 ('schedule mask missing on the soft path back to the previous probabilities',
  [112],
  [("dprob = dword @ p['E_tgt'].T", "dprob = ((1 - m) * dword) @ p['E_tgt'].T")]),
 ('attention: tanh derivative missing',
  [119],
  [("dact = dscore[:, :, None] * p['att_v']", "dact = dscore[:, :, None] * p['att_v'] * (1 - act ** 2)")])]
