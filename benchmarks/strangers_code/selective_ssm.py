"""Selective diagonal state-space layer (S6-like), reference implementation with manual VJPs.

    u = silu(causal_depthwise_conv(x W_in))
    delta = softplus(u W_dt + b_dt),  A = -exp(A_log)
    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t,   y_t = C_t . h_t + skip * u_t

Index letters: b batch, t time, d channel, n state, i input, o output, k filter tap.
"""
import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def scan(a, b, h0):
    """h_t = a_t * h_{t-1} + b_t along axis 1."""
    h, out = h0, np.empty_like(b)
    for t in range(b.shape[1]):
        h = a[:, t] * h + b[:, t]
        out[:, t] = h
    return out


def scan_vjp(a, h, h0, g):
    """Cotangents of (a, b, h0) for a cotangent g of scan(a, b, h0); the adjoint is a scan as well."""
    a_next = np.concatenate([a[:, 1:], np.ones_like(a[:, :1])], axis=1)
    adj = scan(a_next[:, ::-1], g[:, ::-1], np.zeros_like(g[:, 0]))[:, ::-1]
    h_prev = np.concatenate([np.broadcast_to(h0, h[:, :1].shape), h[:, :-1]], axis=1)
    return adj * h_prev, adj, (a[:, 0] * adj[:, 0]).sum(axis=0)


def causal_conv(x, w, bias):
    K, T = w.shape[1], x.shape[1]
    pad = np.concatenate([np.zeros((x.shape[0], K - 1, x.shape[2])), x], axis=1)
    windows = np.stack([pad[:, k:k + T] for k in range(K)], axis=-1)
    return np.einsum("btdk,dk->btd", windows, w) + bias, windows


def causal_conv_vjp(g, windows, w):
    (B, T, D), K = g.shape, w.shape[1]
    dpad = np.zeros((B, T + K - 1, D))
    for k in range(K):
        dpad[:, k:k + T] += g * w[:, k]
    return dpad[:, K - 1:], np.einsum("btd,btdk->dk", g, windows), g.sum(axis=(0, 1))


def forward(x, p):
    v, windows = causal_conv(np.einsum("bti,id->btd", x, p["W_in"]), p["conv_w"], p["conv_b"])
    u = v * sigmoid(v)
    dt = np.einsum("btd,de->bte", u, p["W_dt"]) + p["b_dt"]
    delta = np.log1p(np.exp(dt))
    A = -np.exp(p["A_log"])
    Bt = np.einsum("btd,dn->btn", u, p["W_B"])
    Ct = np.einsum("btd,dn->btn", u, p["W_C"])
    decay = np.exp(np.einsum("btd,dn->btdn", delta, A))
    h = scan(decay, np.einsum("btd,btn,btd->btdn", delta, Bt, u), p["h0"])
    y = np.einsum("btdn,btn->btd", h, Ct) + p["skip"] * u
    out = np.einsum("btd,do->bto", y, p["W_out"])
    return out, (windows, v, u, dt, delta, A, Bt, Ct, decay, h, y)


def backward(x, p, res, g_out):
    windows, v, u, dt, delta, A, Bt, Ct, decay, h, y = res
    g = {"W_out": np.einsum("btd,bto->do", y, g_out)}
    dy = np.einsum("bto,do->btd", g_out, p["W_out"])

    # read-out of the state, skip path
    dh = np.einsum("btd,btn->btdn", dy, Ct)
    dC = np.einsum("btd,btdn->btn", dy, h)
    g["skip"] = np.einsum("btd,btd->d", dy, u)
    du = dy * p["skip"]

    # recurrence
    d_decay, d_in, g["h0"] = scan_vjp(decay, h, p["h0"], dh)
    d_log = d_decay * decay
    g["A_log"] = A * np.einsum("btdn,btd->dn", d_log, delta)
    ddelta = np.einsum("btdn,dn->btd", d_log, A)
    ddelta += np.einsum("btdn,btn,btd->btd", d_in, Bt, u)
    dB = np.einsum("btdn,btd,btd->btn", d_in, delta, u)
    du += np.einsum("btdn,btd,btn->btd", d_in, delta, Bt)

    # input-dependent step size, B and C
    ddt = ddelta * sigmoid(dt)
    g["W_dt"] = np.einsum("btd,bte->de", u, ddt)
    g["b_dt"] = ddt.sum(axis=(0, 1))
    g["W_B"] = np.einsum("btd,btn->dn", u, dB)
    g["W_C"] = np.einsum("btd,btn->dn", u, dC)
    du += np.einsum("bte,de->btd", ddt, p["W_dt"])
    du += np.einsum("btn,dn->btd", dB, p["W_B"]) + np.einsum("btn,dn->btd", dC, p["W_C"])

    # silu, convolution, input projection
    s = sigmoid(v)
    dv = du * (s + v * s * (1 - s))
    dproj, g["conv_w"], g["conv_b"] = causal_conv_vjp(dv, windows, p["conv_w"])
    g["W_in"] = np.einsum("bti,btd->id", x, dproj)
    return g


def make(Target, rng, B=2, T=5, I=3, D=4, N=2, K=2, O=2):
    p = {
        "W_in": rng.normal(size=(I, D)), "W_out": rng.normal(size=(D, O)),
        "conv_w": rng.normal(size=(D, K)), "conv_b": 0.3 * rng.normal(size=D),
        "W_dt": 0.7 * rng.normal(size=(D, D)), "b_dt": 0.3 * rng.normal(size=D),
        "A_log": 0.5 * rng.normal(size=(D, N)) - 0.7, "skip": rng.normal(size=D),
        "W_B": rng.normal(size=(D, N)), "W_C": rng.normal(size=(D, N)),
        "h0": rng.normal(size=(D, N)),
    }
    x, target = rng.normal(size=(B, T, I)), rng.normal(size=(B, T, O))

    def loss():
        return float(0.5 * np.mean((forward(x, p)[0] - target) ** 2))

    def grads():
        out, res = forward(x, p)
        return backward(x, p, res, (out - target) / out.size)

    return Target(p, loss, grads)


BUGS = {
    "adjoint-scan-decay-not-shifted": ("a_next = np.concatenate([a[:, 1:], np.ones_like(a[:, :1])], axis=1)", "a_next = a"),
    "decay-grad-reads-current-state": ("return adj * h_prev, adj, (a[:, 0]", "return adj * h, adj, (a[:, 0]"),
    "A_log-sign": ("g[\"A_log\"] = A * np.einsum(\"btdn,btd->dn\", d_log, delta)", "g[\"A_log\"] = np.exp(p[\"A_log\"]) * np.einsum(\"btdn,btd->dn\", d_log, delta)"),
    "ddelta-overwritten": ("ddelta += np.einsum(\"btdn,btn,btd->btd\", d_in, Bt, u)", "ddelta = np.einsum(\"btdn,btn,btd->btd\", d_in, Bt, u)"),
    "softplus-slope-at-delta": ("ddt = ddelta * sigmoid(dt)", "ddt = ddelta * sigmoid(delta)"),
    "W_dt-not-transposed": ("du += np.einsum(\"bte,de->btd\", ddt, p[\"W_dt\"])", "du += np.einsum(\"btd,de->bte\", ddt, p[\"W_dt\"])"),
    "silu-slope-lost-factor": ("dv = du * (s + v * s * (1 - s))", "dv = du * (s + s * (1 - s))"),
    "conv-taps-reversed": ("dpad[:, k:k + T] += g * w[:, k]", "dpad[:, k:k + T] += g * w[:, K - 1 - k]"),
}
PAIRS = [
    ("adjoint-scan-decay-not-shifted", "decay-grad-reads-current-state"),
    ("ddelta-overwritten", "softplus-slope-at-delta"),
    ("softplus-slope-at-delta", "W_dt-not-transposed"),
    ("silu-slope-lost-factor", "conv-taps-reversed"),
    ("decay-grad-reads-current-state", "A_log-sign"),
    ("adjoint-scan-decay-not-shifted", "conv-taps-reversed"),
]
