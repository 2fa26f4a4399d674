"""
Bidirectional RNN for sequence labelling (POS tagging style).

Sentences are padded at the end; `mask` is (T, B) with 1 for real tokens.  On a
padded position a cell just keeps its state.  The loss is the cross entropy
averaged over the real tokens.
"""
import numpy as np
import gradcheck

TAGS = 3


def init_weights(rng, D, H):
    w = {}
    for d in ('fw', 'bw'):
        w[d + '_Wx'] = rng.normal(0, 1 / np.sqrt(D), (D, H))
        w[d + '_Wh'] = rng.normal(0, 1 / np.sqrt(H), (H, H))
        w[d + '_b'] = rng.normal(0, 0.2, H)
    w['W_tag'] = rng.normal(0, 1, (2 * H, TAGS))
    w['b_tag'] = rng.normal(0, 0.2, TAGS)
    return w


def rnn_forward(x, mask, Wx, Wh, b):
    """x: (T, B, D) -> states (T, B, H) and what the backward pass needs."""
    T, B, _ = x.shape
    h = np.zeros((B, Wh.shape[0]))
    states, cache = [], []
    for t in range(T):
        m = mask[t][:, None]
        n = np.tanh(x[t] @ Wx + h @ Wh + b)
        cache.append((x[t], m, h, n))
        h = m * n + (1 - m) * h
        states.append(h)
    return np.array(states), cache


def rnn_backward(dstates, cache, Wx, Wh):
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[0])
    dh_next = np.zeros_like(dstates[0])
    for t in range(len(cache) - 1, -1, -1):
        xt, m, h_prev, n = cache[t]
        dh = dstates[t] + dh_next
        da = dh * (1 - n ** 2)
        dWx += xt.T @ da
        dWh += h_prev.T @ da
        db += np.sum(da)
        dh_next = da @ Wh.T
    return dWx, dWh, db


def forward(w, x, mask):
    hf, cache_f = rnn_forward(x, mask, w['fw_Wx'], w['fw_Wh'], w['fw_b'])
    hb, cache_b = rnn_forward(x[::-1], mask[::-1], w['bw_Wx'], w['bw_Wh'], w['bw_b'])
    hb = hb[::-1]
    h = np.concatenate((hf, hb), axis=2)
    logits = h @ w['W_tag'] + w['b_tag']
    logits = logits - logits.max(axis=2, keepdims=True)
    logp = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    return h, logp, cache_f, cache_b


def loss_fn(w, x, tags, mask):
    _, logp, _, _ = forward(w, x, mask)
    onehot = np.eye(TAGS)[tags]
    nll = -np.sum(onehot * logp, axis=2)
    return float(np.sum(mask * nll) / np.sum(mask))


def grad_fn(w, x, tags, mask):
    T, B, _ = x.shape
    H = w['fw_b'].shape[0]
    h, logp, cache_f, cache_b = forward(w, x, mask)
    grads = {}

    dlogits = np.exp(logp) - np.eye(TAGS)[tags]
    dlogits *= mask[:, :, None]
    dlogits /= B
    grads['W_tag'] = np.tensordot(h, dlogits, axes=([0, 1], [0, 1]))
    grads['b_tag'] = np.sum(dlogits, axis=(0, 1))

    dh = dlogits @ w['W_tag'].T
    dhf = dh[:, :, :H]
    dhb = dh[:, :, H:]

    grads['fw_Wx'], grads['fw_Wh'], grads['fw_b'] = rnn_backward(
        dhf, cache_f, w['fw_Wx'], w['fw_Wh'])
    grads['bw_Wx'], grads['bw_Wh'], grads['bw_b'] = rnn_backward(
        dhb, cache_b, w['bw_Wx'], w['bw_Wh'])
    return grads


def toy_data(rng, T, B, D):
    x = rng.normal(size=(T, B, D))
    tags = rng.integers(0, TAGS, size=(T, B))
    lengths = T - np.arange(B) % T          # first sentence is full length
    mask = (np.arange(T)[:, None] < lengths[None, :]).astype(np.float64)
    return x, tags, mask


def problem(rng, T, B, D, H):
    w = init_weights(rng, D, H)
    x, tags, mask = toy_data(rng, T, B, D)
    return w, lambda: loss_fn(w, x, tags, mask), lambda: grad_fn(w, x, tags, mask)


def make(rng):
    return problem(rng, T=4, B=2, D=3, H=4)


@gradcheck.target
def birnn_tagger(rng, *, T=4, B=2, D=3, H=4):
    params, loss, grads = problem(rng, T, B, D, H)
    return gradcheck.Target(params, loss, grads)


FAULTS = [('mask ignored in the step: padded positions should not touch the parameters and pass dh on unchanged',
  [44, 45, 49],
  [('        da = dh * (1 - n ** 2)\n', '        dn = m * dh\n        da = dn * (1 - n ** 2)\n'),
   ('dh_next = da @ Wh.T', 'dh_next = da @ Wh.T + (1 - m) * dh')]),
 ('bias gradient summed over all entries, units included; should be over the batch axis only',
  [48],
  [('db += np.sum(da)', 'db += np.sum(da, axis=0)')]),
 ('loss averaged over the real tokens, gradient over the batch size',
  [79],
  [('dlogits /= B', 'dlogits /= np.sum(mask)')]),
 ('the gradient for the backward direction is not reversed in time',
  [85, 89, 90],
  [('dhb = dh[:, :, H:]', 'dhb = dh[:, :, H:][::-1]')])]
