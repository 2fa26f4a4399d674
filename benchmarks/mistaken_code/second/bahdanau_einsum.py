"""Additive (Bahdanau) attention decoder over the states of a tanh encoder, everything in einsum."""
import numpy as np
from numpy import einsum, tanh


def softmax(e, axis):
    e = np.exp(e - e.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def fprop(th, x, L):
    B, T, _ = x.shape
    H = th['Ue'].shape[0]
    h = np.zeros((B, T + 1, H))                      # h[:, 0] is the zero state
    for t in range(T):
        h[:, t + 1] = tanh(einsum('bd,dh->bh', x[:, t], th['We'])
                           + einsum('bg,gh->bh', h[:, t], th['Ue']) + th['be'])
    s = np.zeros((B, L + 1, H))
    s[:, 0] = h[:, T]
    q = np.zeros((L, B, T, th['Ka'].shape[1]))
    alpha = np.zeros((L, B, T))
    ctx = np.zeros((L, B, H))
    keys = einsum('bth,ha->bta', h[:, 1:], th['Ka'])
    for l in range(L):
        q[l] = tanh(keys + einsum('bh,ha->ba', s[:, l], th['Qa'])[:, None, :])
        alpha[l] = softmax(einsum('bta,a->bt', q[l], th['va']), axis=1)
        ctx[l] = einsum('bt,bth->bh', alpha[l], h[:, 1:])
        s[:, l + 1] = tanh(einsum('bg,gh->bh', ctx[l], th['Wd'])
                           + einsum('bg,gh->bh', s[:, l], th['Ud']) + th['bd'])
    y = einsum('blh,hd->bld', s[:, 1:], th['V'])
    return h, s, q, alpha, ctx, y


def bprop(th, x, target, L):
    h, s, q, alpha, ctx, y = fprop(th, x, L)
    B, T, _ = x.shape
    g = {k: np.zeros_like(v) for k, v in th.items()}
    dy = y - target
    g['V'] += einsum('blh,bld->hd', s[:, 1:], dy)
    ds_out = einsum('bld,hd->blh', dy, th['V'])
    ds = np.zeros_like(s[:, 0])
    dh = np.zeros_like(h)
    for l in reversed(range(L)):
        ds = ds + ds_out[:, l]
        da = ds * (1 - s[:, l + 1] ** 2)
        g['Wd'] += einsum('bg,bh->gh', ctx[l], da)
        g['Ud'] += einsum('bg,bh->gh', s[:, l], da)
        g['bd'] += einsum('bh->h', da)
        dctx = einsum('bh,gh->bg', da, th['Wd'])
        dalpha = einsum('bh,bth->bt', dctx, h[:, 1:])
        dh[:, 1:] += einsum('bt,bh->bth', alpha[l], dctx)
        de = alpha[l] * (dalpha - einsum('bt,bt->t', alpha[l], dalpha)[None, :])
        g['va'] += einsum('bt,bta->a', de, q[l])
        dq = einsum('bt,a->bta', de, th['va'])
        g['Ka'] += einsum('bth,bta->ha', h[:, 1:], dq)
        g['Qa'] += einsum('bh,bta->ha', s[:, l], dq)
        dh[:, 1:] += einsum('bta,ha->bth', dq, th['Ka'])
        ds = einsum('bh,gh->bg', da, th['Ud']) + einsum('bta,ha->bh', dq, th['Qa'])
    for t in reversed(range(T)):
        da = dh[:, t + 1] * (1 - h[:, t + 1] ** 2)
        g['We'] += einsum('bd,bh->dh', x[:, t], da)
        g['Ue'] += einsum('bg,bh->gh', h[:, t], da)
        g['be'] += einsum('bh->h', da)
        dh[:, t] += einsum('bh,gh->bg', da, th['Ue'])
    return g


def make(rng, T=4, B=3, D=2, H=3, L=3):
    A = H + 1
    shapes = dict(We=(D, H), Ue=(H, H), be=(H,), Ka=(H, A), Qa=(H, A), va=(A,),
                  Wd=(H, H), Ud=(H, H), bd=(H,), V=(H, D))
    th = {k: 0.7 * rng.standard_normal(sh) for k, sh in shapes.items()}
    x = rng.standard_normal((B, T, D))
    target = rng.standard_normal((B, L, D))

    def loss():
        return float(0.5 * np.sum((fprop(th, x, L)[-1] - target) ** 2))

    return th, loss, lambda: bprop(th, x, target, L)


import gradcheck


@gradcheck.target
def audited(rng, *, T=4, B=3, D=2, H=3):
    return gradcheck.Target(*make(rng, T=T, B=B, D=D, H=H))


FAULTS = [('derivative of tanh in the energies is forgotten',
  [54],
  [("th['va'])\n", "th['va']) * (1 - q[l] ** 2)\n")]),
 ('softmax jacobian: the sum runs over the batch, should run over time',
  [52],
  [("einsum('bt,bt->t', alpha[l], dalpha)[None, :])", "einsum('bt,bt->b', alpha[l], dalpha)[:, None])")]),
 ("the decoder starts from the last encoder state but its initial state's gradient is not handed back",
  [42, 58, 59],
  [('    for t in reversed', '    dh[:, T] += ds\n    for t in reversed')])]
