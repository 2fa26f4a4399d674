"""1-d convolutional minimal gated unit.  Port of a C kernel: everything writes into buffers that the caller owns (out=, +=)."""
import numpy as np


def conv_acc(y, x, w):
    """y[b,o,l] += sum_{k,c} w[k,o,c] x[b,c,l+k-K/2]  (zero padded)"""
    K, L = w.shape[0], x.shape[-1]
    for k in range(K):
        s = k - K // 2
        lo, hi = max(0, -s), min(L, L - s)
        y[:, :, lo:hi] += np.matmul(w[k], x[:, :, lo + s:hi + s])


def conv_acc_data(dx, dy, w):
    K, L = w.shape[0], dx.shape[-1]
    for k in range(K):
        s = k - K // 2
        lo, hi = max(0, -s), min(L, L - s)
        dx[:, :, lo + s:hi + s] += np.matmul(w[k].T, dy[:, :, lo:hi])


def conv_acc_filter(dw, x, dy):
    K, L = dw.shape[0], x.shape[-1]
    for k in range(K):
        s = k - K // 2
        lo, hi = max(0, -s), min(L, L - s)
        dw[k] += np.tensordot(dy[:, :, lo:hi], x[:, :, lo + s:hi + s], axes=((0, 2), (0, 2)))


def logistic_(a):
    np.negative(a, out=a); np.exp(a, out=a); a += 1.0; np.reciprocal(a, out=a)


def convmgu_fwd(x, h0, wf, uf, bf, wn, un, bn):
    T, B, _, L = x.shape
    C = h0.shape[1]
    hs = np.empty((T + 1, B, C, L)); f = np.empty((T, B, C, L)); n = np.empty_like(f); fh = np.empty_like(f)
    hs[0] = h0
    for t in range(T):
        f[t] = bf[:, None]
        conv_acc(f[t], x[t], wf)
        conv_acc(f[t], hs[t], uf)
        logistic_(f[t])
        np.multiply(f[t], hs[t], out=fh[t])
        n[t] = bn[:, None]
        conv_acc(n[t], x[t], wn)
        conv_acc(n[t], fh[t], un)
        np.tanh(n[t], out=n[t])
        np.subtract(n[t], hs[t], out=hs[t + 1])
        hs[t + 1] *= f[t]
        hs[t + 1] += hs[t]
    return hs[1:].copy(), (x, hs, f, n, fh, wf, uf, wn, un)


def convmgu_bwd(dys, saved):
    x, hs, f, n, fh, wf, uf, wn, un = saved
    T, B, C, L = dys.shape
    dx = np.zeros_like(x)
    dwf, duf, dwn, dun = (np.zeros_like(w) for w in (wf, uf, wn, un))
    dbf = np.zeros(C); dbn = np.zeros(C)
    dh = np.zeros((B, C, L)); nxt = np.empty_like(dh); da = np.empty_like(dh); dfh = np.empty_like(dh); df = np.empty_like(dh)
    tmp = np.empty_like(dh)
    for t in range(T - 1, -1, -1):
        dh += dys[t]
        # df <- dh * (n - h)
        np.subtract(n[t], hs[t], out=df)
        df *= dh
        # candidate: da <- dh * f * (1 - n^2)
        np.multiply(n[t], n[t], out=da)
        np.subtract(1.0, da, out=da)
        da *= f[t]
        da *= dh
        conv_acc_filter(dwn, x[t], da)
        conv_acc_filter(dun, fh[t], da)
        dbn += da.sum(axis=(0, 2))
        conv_acc_data(dx[t], da, wn)
        dfh.fill(0.0)
        conv_acc_data(dfh, da, un)
        # leak: nxt <- dh * (1 - f) + dfh * f
        np.subtract(1.0, f[t], out=nxt)
        nxt *= dh
        np.multiply(dfh, f[t], out=tmp)
        nxt += tmp
        # forget gate: df <- (df + dfh * h) * f * (1 - f)
        np.multiply(dfh, hs[t], out=tmp)
        df += tmp
        np.subtract(1.0, f[t], out=tmp)
        tmp *= f[t]
        df *= tmp
        conv_acc_filter(dwf, x[t], df)
        conv_acc_filter(duf, hs[t], df)
        dbf += df.sum(axis=(0, 2))
        conv_acc_data(dx[t], df, wf)
        conv_acc_data(nxt, df, uf)
        dh, nxt = nxt, dh
    return dx, dh, dwf, duf, dbf, dwn, dun, dbn


def make(Target, rng, T=3, B=2, D=2, C=2, L=4):
    g = lambda *s: rng.normal(scale=0.5, size=s)
    return Target.from_vjp(convmgu_fwd, convmgu_bwd, dict(x=g(T, B, D, L) * 2, h0=g(B, C, L) * 2, wf=g(3, C, D), uf=g(3, C, C), bf=g(C),
                                                          wn=g(3, C, D), un=g(3, C, C), bn=g(C)))


BUGS = {
    "taps-not-flipped-for-data": ("dx[:, :, lo + s:hi + s] += np.matmul(w[k].T, dy[:, :, lo:hi])", "dx[:, :, lo:hi] += np.matmul(w[k].T, dy[:, :, lo + s:hi + s])"),
    "adjoint-conv-run-forward": ("conv_acc_data(dfh, da, un)", "conv_acc(dfh, da, un)"),
    "forgot-clearing-buffer": ("dfh.fill(0.0)", "pass  # dfh is cleared by the caller"),
    "upstream-overwrites-carry": ("dh += dys[t]", "dh[...] = dys[t]"),
    "gate-path-of-reset-state": ("np.multiply(dfh, hs[t], out=tmp)", "np.multiply(dfh, fh[t], out=tmp)"),
    "swap-forgotten": ("dh, nxt = nxt, dh", "dh = nxt"),
    "next-state-in-filter": ("conv_acc_filter(duf, hs[t], df)", "conv_acc_filter(duf, hs[t + 1], df)"),
    "gate-data-through-candidate-kernel": ("conv_acc_data(nxt, df, uf)", "conv_acc_data(nxt, df, un)"),
}

PAIRS = [
    ("forgot-clearing-buffer", "gate-data-through-candidate-kernel"),
    ("taps-not-flipped-for-data", "next-state-in-filter"),
]
