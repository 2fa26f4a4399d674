# Tape cell: tanh controller + a small external memory with content addressing and a soft
# one-slot shift.  Everything batched; only the loop over time is Python, and the gradients of
# the weights are collected after it with one einsum per matrix.
#
# axes:  t time   b batch   n slot   w slot width   i input   k,l controller   o output
#
#   h_t = tanh(x_t Wx + r_{t-1} Wr + h_{t-1} Wh + bh)
#   a~  = softmax_n( beta_t <M_{t-1}[n], h_t Wk> ),   beta_t = softplus(h_t wb + bb)
#   a_t = (1-s_t) a~ + s_t roll(a~, 1),               s_t = sigmoid(h_t ws + bs)
#   r_t = sum_n a_t[n] M_{t-1}[n]                     y_t = r_t Wo + bo
#   M_t = M_{t-1} * (1 - a_t e_t) + a_t v_t,          e_t = sigmoid(h_t We), v_t = tanh(h_t Wv)
from types import SimpleNamespace as NS

import numpy as np

sg = lambda v: 1 / (1 + np.exp(-v))


def forward(P, X):
    T, B, _ = X.shape
    N, Wd = P.M0.shape
    K = P.bh.size
    A = NS(h=np.zeros((T + 1, B, K)), r=np.zeros((T + 1, B, Wd)), M=np.zeros((T + 1, B, N, Wd)),
           key=np.zeros((T, B, Wd)), dot=np.zeros((T, B, N)), pb=np.zeros((T, B)), s=np.zeros((T, B)),
           soft=np.zeros((T, B, N)), a=np.zeros((T, B, N)), e=np.zeros((T, B, Wd)), v=np.zeros((T, B, Wd)))
    A.M[0] = P.M0
    drive = np.einsum('tbi,ik->tbk', X, P.Wx) + P.bh
    for t in range(T):
        h = A.h[t + 1] = np.tanh(drive[t] + A.r[t] @ P.Wr + A.h[t] @ P.Wh)
        A.key[t] = h @ P.Wk
        A.dot[t] = np.einsum('bnw,bw->bn', A.M[t], A.key[t])
        A.pb[t] = h @ P.wb + P.bb
        score = np.log1p(np.exp(A.pb[t]))[:, None] * A.dot[t]
        ex = np.exp(score - score.max(axis=1, keepdims=True))
        A.soft[t] = ex / ex.sum(axis=1, keepdims=True)
        A.s[t] = sg(h @ P.ws + P.bs)
        A.a[t] = (1 - A.s[t, :, None]) * A.soft[t] + A.s[t, :, None] * np.roll(A.soft[t], 1, axis=1)
        A.r[t + 1] = np.einsum('bn,bnw->bw', A.a[t], A.M[t])
        A.e[t] = sg(h @ P.We)
        A.v[t] = np.tanh(h @ P.Wv)
        A.M[t + 1] = A.M[t] * (1 - np.einsum('bn,bw->bnw', A.a[t], A.e[t])) \
            + np.einsum('bn,bw->bnw', A.a[t], A.v[t])
    A.y = A.r[1:] @ P.Wo + P.bo
    return A


def backward(P, X, Y):
    A = forward(P, X)
    T, B, _ = X.shape
    dy = (A.y - Y) / B
    D = NS(pre=np.zeros_like(A.h[1:]), key=np.zeros_like(A.key), pb=np.zeros_like(A.pb),
           s=np.zeros_like(A.s), e=np.zeros_like(A.e), v=np.zeros_like(A.v))
    dr_y = np.einsum('tbo,wo->tbw', dy, P.Wo)
    dM = np.zeros_like(A.M[0])
    dr, dh = np.zeros_like(A.r[0]), np.zeros_like(A.h[0])
    for t in reversed(range(T)):
        M, a, e, v, s, soft = A.M[t], A.a[t], A.e[t], A.v[t], A.s[t][:, None], A.soft[t]
        dr = dr_y[t]
        # write
        dE = -dM * M
        da = np.einsum('bnw,bw->bn', dE, e) + np.einsum('bnw,bw->bn', dM, v)
        D.e[t] = np.einsum('bnw,bn->bw', dE, a) * e * (1 - e)
        D.v[t] = np.einsum('bnw,bn->bw', dM, a) * (1 - v ** 2)
        dM = dM * (1 - np.einsum('bn,bw->bnw', a, e))
        # read
        da += np.einsum('bw,bnw->bn', dr, M)
        dM += np.einsum('bw,bn->bnw', dr, a)
        # address
        D.s[t] = (da * (soft - np.roll(soft, 1, axis=1))).sum(1) * A.s[t] * (1 - A.s[t])
        dsoft = (1 - s) * da + s * np.roll(da, -1, axis=1)
        dscore = soft * (dsoft - (soft * dsoft).sum(1, keepdims=True))
        D.pb[t] = (dscore * A.dot[t]).sum(1)
        ddot = dscore * np.log1p(np.exp(A.pb[t]))[:, None]
        D.key[t] = np.einsum('bn,bnw->bw', ddot, M)
        dM += np.einsum('bn,bw->bnw', ddot, A.key[t])
        # controller
        dh = dh + D.key[t] @ P.Wk.T + D.e[t] @ P.We.T + D.v[t] @ P.Wv.T \
            + np.multiply.outer(D.pb[t], P.wb) + np.multiply.outer(D.s[t], P.ws)
        D.pre[t] = dh * (1 - A.h[t + 1] ** 2)
        dh, dr = D.pre[t] @ P.Wh.T, D.pre[t] @ P.Wr.T
    h = A.h[1:]
    return dict(
        Wx=np.einsum('tbi,tbk->ik', X, D.pre), Wr=np.einsum('tbw,tbk->wk', A.r[:-1], D.pre),
        Wh=np.einsum('tbl,tbk->lk', A.h[:-1], D.pre), bh=np.einsum('tbk->k', D.pre),
        Wk=np.einsum('tbk,tbw->kw', h, D.key), wb=np.einsum('tbk,tb->k', h, D.pb), bb=D.pb.sum()[None],
        ws=np.einsum('tbk,tb->k', h, D.s), bs=D.s.sum()[None],
        We=np.einsum('tbk,tbw->kw', h, D.e), Wv=np.einsum('tbk,tbw->kw', h, D.v),
        Wo=np.einsum('tbw,tbo->wo', A.r[1:], dy), bo=np.einsum('tbo->o', dy), M0=dM.sum(0))


def make(rng):
    i, k, w, n, o = 2, 3, 2, 3, 2
    sizes = dict(Wx=(i, k), Wr=(w, k), Wh=(k, k), bh=(k,), Wk=(k, w), wb=(k,), bb=(1,), ws=(k,), bs=(1,),
                 We=(k, w), Wv=(k, w), Wo=(w, o), bo=(o,), M0=(n, w))
    params = {name: rng.normal(size=size) for name, size in sizes.items()}
    P = NS(**params)
    X, Y = rng.normal(size=(5, 3, i)), rng.normal(size=(5, 3, o))
    return params, lambda: float(0.5 * ((forward(P, X).y - Y) ** 2).sum() / len(X[0])), lambda: backward(P, X, Y)


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('softplus derivative of the sharpness missing',
  [72],
  [('(dscore * A.dot[t]).sum(1)', '(dscore * A.dot[t]).sum(1) * sg(A.pb[t])')]),
 ('read vector: carry from the next controller step lost', [58], [('dr = dr_y[t]', 'dr = dr + dr_y[t]')]),
 ('shift gate: sign',
  [69],
  [('(da * (soft - np.roll(soft, 1, axis=1)))', '(da * (np.roll(soft, 1, axis=1) - soft))')])]
