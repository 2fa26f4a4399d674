# S6 block (selective state space, Gu & Dao 2023), exact zero-order hold, no hardware tricks.
#
#   [u z] = x P            v = silu(c + K * u)      (causal depthwise conv)
#   D = softplus(v Q + q)  b = v R,  g = v S        A = -exp(l)
#   a = exp(D A)           m = (a - 1)/A            h_t = a_t h_{t-1} + m_t b_t v_t
#   s = <g, h> + w v       o = (s silu(z)) O        L = |o - y|^2 / 2TB
#
# indices: t time, n batch, f features, e channels, j state
import numpy as np

E = np.einsum


def f(p, x, y, back):
    P, K, c, Q, q, R, S, l, w, O = (p[k] for k in "P K c Q q R S l w O".split())
    T, N, F = x.shape
    M, J, k = K.shape[1], l.shape[1], K.shape[0]
    sg = lambda a: 1 / (1 + np.exp(-a))

    # ---- forward
    u, z = np.split(E('tnf,fe->tne', x, P), 2, -1)
    U = np.zeros((T + k - 1, N, M)); U[k - 1:] = u
    r = c + sum(K[i] * U[k - 1 - i:k - 1 - i + T] for i in range(k))
    sr, sz = sg(r), sg(z)
    v = r * sr
    d = E('tne,ei->tni', v, Q) + q
    D = np.logaddexp(0, d)
    b = E('tne,ej->tnj', v, R)
    g = E('tne,ej->tnj', v, S)
    A = -np.exp(l)
    a = np.exp(D[..., None] * A)
    m = (a - 1) / A
    h = np.zeros((T + 1, N, M, J))
    X = E('tnej,tnj,tne->tnej', m, b, v)
    for t in range(T):
        h[t + 1] = a[t] * h[t] + X[t]
    s = E('tnj,tnej->tne', g, h[1:]) + w * v
    G = s * z * sz
    o = E('tne,ef->tnf', G, O)
    e = o - y
    L = float(E('tnf,tnf->', e, e) / (2 * T * N))
    if not back:
        return L

    # ---- backward: _x is dL/dx
    _o = e / (T * N)
    _O = E('tne,tnf->ef', G, _o)
    _G = E('tnf,ef->tne', _o, O)
    _s = _G * z * sz
    _z = _G * s * sz * (1 + z * (1 - sz))
    _w = E('tne,tne->e', _s, v)
    _v = _s * w

    # adjoint scan
    _h = E('tne,tnj->tnej', _s, g)
    for t in range(T - 2, -1, -1):
        _h[t] += a[t + 1] * _h[t + 1]
    _g = E('tne,tnej->tnj', _s, h[1:])
    _m = E('tnej,tnj,tne->tnej', _h, b, v)
    _b = E('tnej,tnej,tne->tnj', _h, m, v)
    _v += E('tnej,tnej,tnj->tne', _h, m, b)
    _a = _h * h[:-1] + _m / A
    _A = E('tnej,tnej,tne->ej', _a, a, D)
    _A -= E('tnej,tnej->ej', _m, m) / A
    _D = E('tnej,tnej,ej->tne', _a, a, A)
    _l = _A * A

    # selection maps
    _d = _D * sg(d)
    _Q = E('tne,tni->ei', v, _d)
    _q = E('tni->i', _d)
    _R = E('tne,tnj->ej', v, _b)
    _S = E('tne,tnj->ej', v, _g)
    _v += E('tni,ei->tne', _d, Q)
    _v += E('tnj,ej->tne', _b, R)
    _v += E('tnj,ej->tne', _g, S)

    # conv and input map
    _r = _v * (sr + v * (1 - sr))
    _c = E('tne->e', _r)
    _K, _U = np.zeros_like(K), np.zeros_like(U)
    for i in range(k):
        _K[i] = E('tne,tne->e', _r, U[k - 1 - i:k - 1 - i + T])
        _U[k - 1 - i:k - 1 - i + T] += _r * K[i]
    _u = _U[k - 1:]
    _P = E('tnf,tne->fe', x, np.concatenate([_u, _z], -1))
    return L, dict(P=_P, K=_K, c=_c, Q=_Q, q=_q, R=_R, S=_S, l=_l, w=_w, O=_O)


def make(Target, rng, T=6, B=2, F=3, M=3, J=2, K=3):
    n = lambda s, *z: s * rng.standard_normal(z)
    p = dict(P=n(.8, F, 2 * M), K=n(.8, K, M), c=n(.4, M), Q=n(.7, M, M), q=n(.4, M), R=n(.9, M, J),
             S=n(.9, M, J), l=n(.4, M, J) - .3, w=n(.8, M), O=n(.9, M, F))
    x, y = n(1.2, T, B, F), n(1., T, B, F)
    return Target(p, lambda: f(p, x, y, False), lambda: f(p, x, y, True)[1])


BUGS = {
    "scan-decay-of-wrong-step": ("_h[t] += a[t + 1] * _h[t + 1]", "_h[t] += a[t] * _h[t + 1]"),
    "hold-through-A-sign": ("_A -= E('tnej,tnej->ej', _m, m) / A", "_A += E('tnej,tnej->ej', _m, m) / A"),
    "hold-through-a-missing": ("_a = _h * h[:-1] + _m / A", "_a = _h * h[:-1]"),
    "softplus-slope-at-output": ("_d = _D * sg(d)", "_d = _D * sg(D)"),
    "readout-with-previous-state": ("_g = E('tne,tnej->tnj', _s, h[1:])", "_g = E('tne,tnej->tnj', _s, h[:-1])"),
    "step-map-index-transposed": ("_v += E('tni,ei->tne', _d, Q)", "_v += E('tni,ie->tne', _d, Q)"),
    "conv-taps-not-flipped": ("+= _r * K[i]", "+= _r * K[k - 1 - i]"),
    "branches-swapped": ("np.concatenate([_u, _z], -1)", "np.concatenate([_z, _u], -1)"),
}
PAIRS = [
    ("scan-decay-of-wrong-step", "branches-swapped"),
    ("hold-through-A-sign", "readout-with-previous-state"),
    ("hold-through-a-missing", "conv-taps-not-flipped"),
    ("softplus-slope-at-output", "step-map-index-transposed"),
    ("readout-with-previous-state", "softplus-slope-at-output"),
    ("conv-taps-not-flipped", "hold-through-A-sign"),
]
