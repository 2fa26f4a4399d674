"""Causal self-attention (pre-RMSNorm, residual) on top of a GRU.

Every *_fwd returns (out, cache), every *_bwd takes (dout, cache).  Batch first.
"""
import numpy as np

EPS = 1e-3
KEEP = 0.7


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def affine_fwd(x, w, b):
    return x @ w + b, (x, w)


def affine_bwd(dout, cache):
    x, w = cache
    x2 = x.reshape(-1, x.shape[-1])
    d2 = dout.reshape(-1, dout.shape[-1])
    return dout @ w.T, x2.T @ d2, d2.sum(axis=0)


def gru_step_fwd(x, h_prev, p):
    H = h_prev.shape[1]
    hx = np.concatenate([h_prev, x], axis=1)
    zr = sigmoid(hx @ p["Wzr"] + p["bzr"])
    z, r = zr[:, :H], zr[:, H:]
    rx = np.concatenate([r * h_prev, x], axis=1)
    n = np.tanh(rx @ p["Wn"] + p["bn"])
    h = z * h_prev + (1 - z) * n
    return h, (hx, z, r, rx, n, h_prev, p)


def gru_step_bwd(dh, cache, grads):
    hx, z, r, rx, n, h_prev, p = cache
    H = h_prev.shape[1]
    dz = dh * (h_prev - n)
    dn = dh * (1 - z) * (1 - n ** 2)
    dh_prev = dh * z
    grads["Wn"] += rx.T @ dn
    grads["bn"] += dn.sum(axis=0)
    drx = dn @ p["Wn"].T
    dr = drx[:, :H] * h_prev
    dh_prev += drx[:, :H] * r
    dx = drx[:, H:]
    dzr = np.concatenate([dz * z * (1 - z), dr * r * (1 - r)], axis=1)
    grads["Wzr"] += hx.T @ dzr
    grads["bzr"] += dzr.sum(axis=0)
    dhx = dzr @ p["Wzr"].T
    dh_prev += dhx[:, :H]
    dx = dx + dhx[:, H:]
    return dx, dh_prev


def gru_fwd(x, p):
    B, T, _ = x.shape
    h = np.tile(p["h0"], (B, 1))
    out, caches = [], []
    for t in range(T):
        h, c = gru_step_fwd(x[:, t], h, p)
        out.append(h)
        caches.append(c)
    return np.stack(out, axis=1), caches


def gru_bwd(dout, caches, grads):
    T = dout.shape[1]
    dx = [None] * T
    dh = np.zeros_like(dout[:, 0])
    for t in range(T - 1, -1, -1):
        dx[t], dh = gru_step_bwd(dout[:, t] + dh, caches[t], grads)
    grads["h0"] += dh.sum(axis=0)
    return np.stack(dx, axis=1)


def rmsnorm_fwd(x, gain):
    inv = 1 / np.sqrt(np.mean(x ** 2, axis=-1, keepdims=True) + EPS)
    xhat = x * inv
    return gain * xhat, (xhat, inv, gain)


def rmsnorm_bwd(dout, cache):
    xhat, inv, gain = cache
    dgain = np.sum(dout * xhat, axis=(0, 1))
    dxhat = dout * gain
    dx = inv * (dxhat - xhat * np.mean(dxhat * xhat, axis=-1, keepdims=True))
    return dx, dgain


def split_heads(x, n_heads):
    B, T, D = x.shape
    return x.reshape(B, T, n_heads, D // n_heads).transpose(0, 2, 1, 3)


def merge_heads(x):
    B, A, T, d = x.shape
    return x.transpose(0, 2, 1, 3).reshape(B, T, A * d)


def attention_fwd(x, wq, wk, wv, n_heads):
    q, k, v = (split_heads(x @ w, n_heads) for w in (wq, wk, wv))
    scale = 1 / np.sqrt(q.shape[-1])
    scores = scale * (q @ k.transpose(0, 1, 3, 2))
    T = x.shape[1]
    scores = np.where(np.tril(np.ones((T, T), dtype=bool)), scores, -1e9)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    att = e / e.sum(axis=-1, keepdims=True)
    return merge_heads(att @ v), (x, wq, wk, wv, q, k, v, att, scale, n_heads)


def attention_bwd(dout, cache):
    x, wq, wk, wv, q, k, v, att, scale, n_heads = cache
    dy = split_heads(dout, n_heads)
    datt = dy @ v.transpose(0, 1, 3, 2)
    dv = att.transpose(0, 1, 3, 2) @ dy
    dscores = att * (datt - np.sum(datt * att, axis=-1, keepdims=True))
    dscores = dscores * scale
    dq = dscores @ k
    dk = dscores.transpose(0, 1, 3, 2) @ q
    dq, dk, dv = merge_heads(dq), merge_heads(dk), merge_heads(dv)
    flat = x.reshape(-1, x.shape[-1])
    dwq, dwk, dwv = (flat.T @ d.reshape(flat.shape) for d in (dq, dk, dv))
    dx = dq @ wq.T + dk @ wk.T + dv @ wv.T
    return dx, dwq, dwk, dwv


def block_fwd(x, p, drop, n_heads):
    a, c_norm = rmsnorm_fwd(x, p["gain"])
    b, c_att = attention_fwd(a, p["Wq"], p["Wk"], p["Wv"], n_heads)
    o, c_out = affine_fwd(b, p["Wo"], p["bo"])
    return x + drop * o, (c_norm, c_att, c_out, drop)


def block_bwd(dout, cache, grads):
    c_norm, c_att, c_out, drop = cache
    do = dout * drop
    db, grads["Wo"], grads["bo"] = affine_bwd(do, c_out)
    da, grads["Wq"], grads["Wk"], grads["Wv"] = attention_bwd(db, c_att)
    dx, grads["gain"] = rmsnorm_bwd(da, c_norm)
    dx = dx + dout
    return dx


def make(Target, rng, B=2, T=4, I=3, n_heads=2, d_head=2, C=3):
    D = n_heads * d_head
    shapes = {"Wzr": (D + I, 2 * D), "bzr": (2 * D,), "Wn": (D + I, D), "bn": (D,), "h0": (D,), "Wq": (D, D),
              "Wk": (D, D), "Wv": (D, D), "Wo": (D, D), "bo": (D,), "Wc": (D, C), "bc": (C,)}
    p = {k: 0.8 * rng.normal(size=s) for k, s in shapes.items()}
    p["gain"] = 1 + 0.3 * rng.normal(size=D)
    x = rng.normal(size=(B, T, I))
    y = rng.normal(size=(B, T, C))
    drop = (rng.random((B, T, D)) < KEEP) / KEEP

    def model():
        h, c_gru = gru_fwd(x, p)
        s, c_block = block_fwd(h, p, drop, n_heads)
        out, c_head = affine_fwd(s, p["Wc"], p["bc"])
        return out, (c_gru, c_block, c_head)

    def loss():
        out, _ = model()
        return float(0.5 * np.mean((out - y) ** 2))

    def grads():
        out, (c_gru, c_block, c_head) = model()
        g = {k: np.zeros_like(v) for k, v in p.items()}
        ds, g["Wc"], g["bc"] = affine_bwd((out - y) / y.size, c_head)
        dh = block_bwd(ds, c_block, g)
        gru_bwd(dh, c_gru, g)
        return g

    return Target(p, loss, grads)


BUGS = {
    "gru-carry-wrong-gate": ("dh_prev = dh * z", "dh_prev = dh * (1 - z)"),
    "reset-path-not-gated": ("dh_prev += drx[:, :H] * r", "dh_prev += drx[:, :H]"),
    "update-gate-misses-candidate": ("dz = dh * (h_prev - n)", "dz = dh * h_prev"),
    "rmsnorm-sum-for-mean": ("np.mean(dxhat * xhat, axis=-1, keepdims=True)", "np.sum(dxhat * xhat, axis=-1, keepdims=True)"),
    "softmax-sum-over-queries": ("np.sum(datt * att, axis=-1, keepdims=True)", "np.sum(datt * att, axis=-2, keepdims=True)"),
    "dk-scores-not-transposed": ("dk = dscores.transpose(0, 1, 3, 2) @ q", "dk = dscores @ q"),
    "dropout-mask-left-out": ("do = dout * drop", "do = dout"),
    "residual-forgotten": ("dx = dx + dout", "dx = dx"),
}
PAIRS = [
    ("softmax-sum-over-queries", "dk-scores-not-transposed"),
    ("gru-carry-wrong-gate", "reset-path-not-gated"),
    ("rmsnorm-sum-for-mean", "residual-forgotten"),
    ("dropout-mask-left-out", "dk-scores-not-transposed"),
    ("update-gate-misses-candidate", "reset-path-not-gated"),
    ("softmax-sum-over-queries", "update-gate-misses-candidate"),
]
