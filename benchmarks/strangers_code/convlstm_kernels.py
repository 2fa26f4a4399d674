# 1-d ConvLSTM with peepholes. Everything lives in one workspace, no temporaries in the hot loop (well, few).
# layout: (batch, channel, position). gates fused along channels in the order i, f, o, g.
import numpy as np

K = 3          # taps
PAD = K // 2


class WS(object):
    """all buffers of one run"""

    def __init__(ws, T, B, Ci, Ch, L):
        ws.dims = (T, B, Ci, Ch, L)
        f8 = np.float64
        ws.h = np.empty((T + 1, B, Ch, L), f8)
        ws.c = np.empty((T + 1, B, Ch, L), f8)
        ws.tc = np.empty((T, B, Ch, L), f8)
        ws.z = np.empty((T, B, 4 * Ch, L), f8)
        ws.col = np.empty((T, B, (Ci + Ch) * K, L), f8)
        ws.cat = np.empty((B, Ci + Ch, L), f8)
        ws.yhat = np.empty((T, B, L), f8)
        # backward
        ws.dz = np.empty((B, 4 * Ch, L), f8)
        ws.dcol = np.empty((B, (Ci + Ch) * K, L), f8)
        ws.dcat = np.zeros((B, Ci + Ch, L), f8)
        ws.dh = np.empty((B, Ch, L), f8)
        ws.dc = np.empty((B, Ch, L), f8)
        ws.ta = np.empty((B, Ch, L), f8)
        ws.tb = np.empty((B, Ch, L), f8)
        ws.e = np.empty((B, L), f8)


def im2col(src, dst):
    B, C, L = src.shape
    v = dst.reshape(B, C, K, L)
    v.fill(0.0)
    for k in range(K):
        s = k - PAD
        lo, hi = max(0, -s), min(L, L - s)
        if lo < hi:
            v[:, :, k, lo:hi] = src[:, :, lo + s:hi + s]


def col2im(src, dst):
    B, C, L = dst.shape
    v = src.reshape(B, C, K, L)
    dst.fill(0.0)
    for k in range(K):
        s = k - PAD
        lo, hi = max(0, -s), min(L, L - s)
        if lo < hi:
            dst[:, :, lo + s:hi + s] += v[:, :, k, lo:hi]


def sig_(a):
    np.negative(a, out=a); np.exp(a, out=a); a += 1.0; np.reciprocal(a, out=a)


def dsig_(d, y):
    # d <- d * y * (1 - y), y activated
    d *= y
    d *= 1.0 - y


def dtanh_(d, y):
    d *= 1.0 - y * y


def quarters(z, Ch):
    return z[:, :Ch], z[:, Ch:2 * Ch], z[:, 2 * Ch:3 * Ch], z[:, 3 * Ch:]


def fwd(ws, P, X, Y, h0, c0):
    T, B, Ci, Ch, L = ws.dims
    W, b, pi, pf, po, v = P["W"], P["b"], P["pi"], P["pf"], P["po"], P["v"]
    np.copyto(ws.h[0], h0)
    np.copyto(ws.c[0], c0)
    ws.acc = 0.0
    for t in range(T):
        ws.cat[:, :Ci] = X[t]
        ws.cat[:, Ci:] = ws.h[t]
        im2col(ws.cat, ws.col[t])
        z = ws.z[t]
        np.matmul(W, ws.col[t], out=z)
        z += b[:, None]
        i, f, o, g = quarters(z, Ch)
        i += pi * ws.c[t]
        f += pf * ws.c[t]
        sig_(i)
        sig_(f)
        np.tanh(g, out=g)
        cn = ws.c[t + 1]
        np.multiply(f, ws.c[t], out=cn)
        cn += i * g
        o += po * cn
        sig_(o)
        np.tanh(cn, out=ws.tc[t])
        np.multiply(o, ws.tc[t], out=ws.h[t + 1])
        np.einsum("c,bcl->bl", v, ws.h[t + 1], out=ws.yhat[t])
        ws.acc += np.sum((ws.yhat[t] - Y[t]) ** 2)
    return 0.5 * float(ws.acc) / (T * B * L)


def bwd(ws, P, Y, D):
    """D: dict of outputs, same keys as P plus X. overwritten."""
    T, B, Ci, Ch, L = ws.dims
    W, pi, pf, po, v = P["W"], P["pi"], P["pf"], P["po"], P["v"]
    for d in D.values():
        d.fill(0.0)
    dh, dc, ta, tb, dz, e = ws.dh, ws.dc, ws.ta, ws.tb, ws.dz, ws.e
    dh.fill(0.0)
    dc.fill(0.0)
    di, df, do, dg = quarters(dz, Ch)
    for t in range(T - 1, -1, -1):
        i, f, o, g = quarters(ws.z[t], Ch)
        tc, c_prev, c_next = ws.tc[t], ws.c[t], ws.c[t + 1]
        np.subtract(ws.yhat[t], Y[t], out=e)
        e /= T * B * L
        D["v"] += np.einsum("bl,bcl->c", e, ws.h[t + 1])
        dh += v[:, None] * e[:, None, :]
        # output gate first, its peephole looks at the new cell
        np.multiply(dh, tc, out=do)
        dsig_(do, o)
        D["po"] += np.einsum("bcl,bcl->cl", do, c_next)
        # into the cell
        np.multiply(dh, o, out=ta)
        np.multiply(tc, tc, out=tb)
        np.subtract(1.0, tb, out=tb)
        ta *= tb
        dc += ta
        np.multiply(do, po, out=ta)
        dc += ta
        # the other three
        np.multiply(dc, g, out=di); dsig_(di, i)
        np.multiply(dc, c_prev, out=df); dsig_(df, f)
        np.multiply(dc, i, out=dg); dtanh_(dg, g)
        D["pi"] += np.einsum("bcl,bcl->cl", di, c_prev)
        D["pf"] += np.einsum("bcl,bcl->cl", df, c_prev)
        # carry of the cell
        dc *= f
        np.multiply(di, pi, out=ta); np.multiply(df, pf, out=tb)
        dc += ta
        dc += tb
        # convolution
        for n in range(B):
            D["W"] += np.dot(dz[n], ws.col[t, n].T)
        D["b"] += dz.sum(axis=(0, 2))
        np.matmul(W.T, dz, out=ws.dcol)
        col2im(ws.dcol, ws.dcat)
        D["X"][t] = ws.dcat[:, :Ci]
        np.copyto(dh, ws.dcat[:, Ci:])
    return D


def make(Target, rng, T=3, B=2, Ci=2, Ch=2, L=4):
    n = lambda *s: 0.7 * rng.standard_normal(s)
    P = {"W": n(4 * Ch, (Ci + Ch) * K), "b": n(4 * Ch), "pi": n(Ch, L), "pf": n(Ch, L), "po": n(Ch, L), "v": n(Ch)}
    X, Y, h0, c0 = n(T, B, Ci, L), n(T, B, L), n(B, Ch, L), n(B, Ch, L)
    ws = WS(T, B, Ci, Ch, L)
    D = {k: np.empty_like(a) for k, a in P.items()}
    D["X"] = np.empty_like(X)

    def grads():
        fwd(ws, P, X, Y, h0, c0)
        return bwd(ws, P, Y, D)

    return Target({**P, "X": X}, lambda: fwd(ws, P, X, Y, h0, c0), grads)


BUGS = {
    "scratch-clobbered": ("np.multiply(tc, tc, out=tb)", "np.multiply(tc, tc, out=ta)"),
    "col2im-assigns": ("dst[:, :, lo + s:hi + s] += v[:, :, k, lo:hi]", "dst[:, :, lo + s:hi + s] = v[:, :, k, lo:hi]"),
    "col2im-shift-forgotten": ("dst[:, :, lo + s:hi + s] += v[:, :, k, lo:hi]", "dst[:, :, lo:hi] += v[:, :, k, lo:hi]"),
    "col2im-target-not-cleared": ("    dst.fill(0.0)", ""),
    "peephole-of-other-gate": ("np.multiply(di, pi, out=ta); np.multiply(df, pf, out=tb)", "np.multiply(di, pi, out=ta); np.multiply(di, pf, out=tb)"),
    "gate-views-in-other-order": ("di, df, do, dg = quarters(dz, Ch)", "di, df, dg, do = quarters(dz, Ch)"),
    "sigmoid-slope-for-tanh-gate": ("np.multiply(dc, i, out=dg); dtanh_(dg, g)", "np.multiply(dc, i, out=dg); dsig_(dg, g)"),
    "bias-of-first-position-only": ('D["b"] += dz.sum(axis=(0, 2))', 'D["b"] += dz.sum(axis=0)[:, 0]'),
}

PAIRS = [("sigmoid-slope-for-tanh-gate", "bias-of-first-position-only")]
