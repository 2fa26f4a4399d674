"""
selscan_np -- sanity reference for our CUDA selective-scan kernel (one Mamba-ish block, no fusion tricks)

    b batch | l length | d model width | e inner width | n state size | r rank of dt | k conv taps

differences from the paper:
  - B is discretised with the exact zero-order hold (expm1(dt*A)/A) and not with dt*B
  - the state before the first token is learned
  - RMSNorm sits AFTER the gate
  - loss = log cosh of the prediction error on the next frame
"""
from types import SimpleNamespace
import numpy as np

ein = np.einsum
EPS = 1e-2      # larger than usual: the gated output can be tiny


def sigm(a):
    return .5 * (1. + np.tanh(.5 * a))


def silu(a):
    return a * sigm(a)


def dsilu(a):
    s = sigm(a)
    return s * (1. + a * (1. - s))


def softplus(a):
    return np.logaddexp(0., a)


def init(rng, d, e, n, r, k):
    nrm = lambda *s, sc=1.: rng.standard_normal(s) * sc
    return {
        "in_proj": nrm(d, 2 * e, sc=.8),
        "conv_w": nrm(e, k, sc=.7),
        "conv_b": nrm(e, sc=.4),
        "x_proj": nrm(e, r + 2 * n, sc=.8),
        "dt_w": nrm(r, e, sc=.7),
        "dt_b": nrm(e, sc=.5) - .3,
        "A_log": np.log(np.arange(1., n + 1.))[None] * .5 + nrm(e, n, sc=.3),
        "D": 1. + nrm(e, sc=.4),
        "h0": nrm(e, n, sc=.8),
        "norm_g": 1. + nrm(e, sc=.3),
        "out_proj": nrm(e, d, sc=.8),
    }


def fwd(P, u, tgt):
    c = SimpleNamespace(u=u)
    b, l, _ = u.shape
    e, n = P["A_log"].shape
    k, r = P["conv_w"].shape[1], P["dt_w"].shape[0]

    # --- in projection, causal depthwise conv
    xz = u @ P["in_proj"]
    c.x, c.z = xz[..., :e], xz[..., e:]
    c.xc = np.tile(P["conv_b"], (b, l, 1))
    for j in range(min(k, l)):                   # tap j looks j frames back
        c.xc[:, j:] += c.x[:, :l - j] * P["conv_w"][:, j]
    c.xs = silu(c.xc)

    # --- input dependent dt, B, C
    dbc = c.xs @ P["x_proj"]
    c.low, c.Bm, c.Cm = dbc[..., :r], dbc[..., r:r + n], dbc[..., r + n:]
    c.dtpre = c.low @ P["dt_w"] + P["dt_b"]
    c.dt = softplus(c.dtpre)
    c.A = -np.exp(P["A_log"])                                  # e n
    c.dA = np.exp(c.dt[..., None] * c.A)                       # b l e n
    c.phi = (c.dA - 1.) / c.A                                  # ZOH, b l e n
    c.inj = c.phi * c.Bm[:, :, None, :] * c.xs[..., None]

    # --- scan.  c.H[:, t] is the state BEFORE frame t
    c.H = np.empty((b, l + 1, e, n))
    c.H[:, 0] = P["h0"]
    for t in range(l):
        c.H[:, t + 1] = c.dA[:, t] * c.H[:, t] + c.inj[:, t]
    c.y = ein("blen,bln->ble", c.H[:, 1:], c.Cm) + P["D"] * c.xs

    # --- gate, norm, out
    c.o = c.y * silu(c.z)
    c.rs = 1. / np.sqrt((c.o ** 2).mean(-1, keepdims=True) + EPS)
    c.on = c.o * c.rs
    c.err = (c.on * P["norm_g"]) @ P["out_proj"] - tgt
    return float(np.mean(np.logaddexp(c.err, -c.err) - np.log(2.))), c


def bwd(P, c):
    g = {}
    b, l, _ = c.u.shape
    e, n = P["A_log"].shape
    k = P["conv_w"].shape[1]

    # out_proj <- log cosh
    derr = np.tanh(c.err) / c.err.size
    g["out_proj"] = ein("ble,bld->ed", c.on * P["norm_g"], derr)
    don = derr @ P["out_proj"].T
    g["norm_g"] = ein("ble,ble->e", don, c.on)
    don = don * P["norm_g"]

    # rms norm
    do = c.rs * (don - c.on * (don * c.on).mean(-1, keepdims=True))

    # gate
    dy = do * silu(c.z)
    dz = do * c.y * dsilu(c.z)

    # readout
    g["D"] = ein("ble,ble->e", dy, c.xs)
    dxs = dy * P["D"]
    dCm = ein("ble,blen->bln", dy, c.H[:, 1:])

    # reverse scan
    dH = np.zeros((b, e, n))
    dinj = np.empty_like(c.inj)
    ddA = np.empty_like(c.dA)
    for t in reversed(range(l)):
        dH = dH + dy[:, t, :, None] * c.Cm[:, t, None, :]
        dinj[:, t] = dH
        ddA[:, t] = dH * c.H[:, t]
        dH = dH * c.dA[:, t]
    g["h0"] = dH.sum(0)

    # inj = phi * B * x
    dphi = dinj * c.Bm[:, :, None, :] * c.xs[..., None]
    dBm = ein("blen,blen,ble->bln", dinj, c.phi, c.xs)
    dxs += ein("blen,blen,bln->ble", dinj, c.phi, c.Bm)

    # discretisation
    ddA += dphi / c.A
    gA = -(dphi * c.phi).sum((0, 1)) / c.A
    gA += ein("blen,blen,ble->en", ddA, c.dA, c.dt)
    ddt = ein("blen,blen,en->ble", ddA, c.dA, c.A)
    g["A_log"] = gA * c.A

    # dt
    ddtpre = ddt * sigm(c.dtpre)
    g["dt_b"] = ddtpre.sum((0, 1))
    g["dt_w"] = ein("blr,ble->re", c.low, ddtpre)
    dlow = ddtpre @ P["dt_w"].T
    ddbc = np.concatenate([dlow, dBm, dCm], -1)
    g["x_proj"] = ein("ble,blm->em", c.xs, ddbc)
    dxs += ddbc @ P["x_proj"].T

    # conv
    dxc = dxs * dsilu(c.xc)
    g["conv_b"] = dxc.sum((0, 1))
    g["conv_w"] = np.zeros_like(P["conv_w"])
    dx = np.zeros_like(c.x)
    for j in range(min(k, l)):
        g["conv_w"][:, j] = ein("ble,ble->e", dxc[:, j:], c.x[:, :l - j])
        dx[:, :l - j] += dxc[:, j:] * P["conv_w"][:, j]

    g["in_proj"] = ein("bld,blm->dm", c.u, np.concatenate([dx, dz], -1))
    return g


def make(Target, rng, T=7, B=3, D=3, E=4, N=3, R=2, K=3):
    P = init(rng, D, E, N, R, K)
    frames = rng.standard_normal((B, T + 1, D))
    u, tgt = frames[:, :-1], 1.5 * frames[:, 1:]
    return Target(P, lambda: fwd(P, u, tgt)[0], lambda: bwd(P, fwd(P, u, tgt)[1]))


BUGS = {
    "rms-mean-term-lost": ("do = c.rs * (don - c.on * (don * c.on).mean(-1, keepdims=True))", "do = c.rs * don"),
    "gate-silu-and-dsilu-swapped": ("dz = do * c.y * dsilu(c.z)", "dz = do * c.y * silu(c.z)"),
    "carry-with-decay-of-earlier-frame": ("dH = dH * c.dA[:, t]", "dH = dH * c.dA[:, t - 1]"),
    "decay-gradient-uses-new-state": ("ddA[:, t] = dH * c.H[:, t]", "ddA[:, t] = dH * c.H[:, t + 1]"),
    "zoh-through-dA-assigned": ("gA += ein(\"blen,blen,ble->en\", ddA, c.dA, c.dt)", "gA = ein(\"blen,blen,ble->en\", ddA, c.dA, c.dt)"),
    "softplus-slope-at-its-output": ("ddtpre = ddt * sigm(c.dtpre)", "ddtpre = ddt * sigm(c.dt)"),
    "B-and-C-order-in-concat": ("ddbc = np.concatenate([dlow, dBm, dCm], -1)", "ddbc = np.concatenate([dlow, dCm, dBm], -1)"),
    "conv-backward-not-shifted": ("dx[:, :l - j] += dxc[:, j:] * P[\"conv_w\"][:, j]", "dx[:, j:] += dxc[:, j:] * P[\"conv_w\"][:, j]"),
}
PAIRS = [
    ("rms-mean-term-lost", "softplus-slope-at-its-output"),
    ("carry-with-decay-of-earlier-frame", "conv-backward-not-shifted"),
    ("gate-silu-and-dsilu-swapped", "B-and-C-order-in-concat"),
    ("decay-gradient-uses-new-state", "zoh-through-dA-assigned"),
    ("softplus-slope-at-its-output", "carry-with-decay-of-earlier-frame"),
    ("zoh-through-dA-assigned", "conv-backward-not-shifted"),
]
