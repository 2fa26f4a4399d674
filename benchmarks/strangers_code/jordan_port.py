# JELNET  --  Jordan/Elman network, ported from the Fortran 77 program JELNET.F
# Arrays keep the Fortran bounds: subscripts run from 1, subscript 0 of an input
# dimension is the bias unit, element 0 of any other dimension is not used.
#
#   WI(0:NI,NH)  input -> hidden       WH(NH,NH)  hidden(t-1) -> hidden
#   WC(NO,NH)    context -> hidden     WO(0:NH,NO) hidden -> output
#   context unit:  C(t) = XMU * C(t-1) + Y(t-1),  XMU(NO) trainable
import numpy as np


def sigm(s):
    return 1.0 / (1.0 + np.exp(-s))


class Work:
    """The COMMON /WORK/ block."""

    def __init__(self, ni, nh, no, nt):
        self.ni, self.nh, self.no, self.nt = ni, nh, no, nt
        self.h = np.zeros((nt + 1, nh + 1))
        self.c = np.zeros((nt + 1, no + 1))
        self.y = np.zeros((nt + 1, no + 1))
        self.delh = np.zeros(nh + 1)
        self.delo = np.zeros(no + 1)
        self.eh = np.zeros(nh + 1)
        self.ec = np.zeros(no + 1)
        self.ey = np.zeros(no + 1)


def fwd(w, k, x):
    # state and output at time 0 are zero, so the first context is zero too
    for it in range(1, k.nt + 1):
        for m in range(1, k.no + 1):
            k.c[it, m] = w["xmu"][m] * k.c[it - 1, m] + k.y[it - 1, m]
        for j in range(1, k.nh + 1):
            s = w["wi"][0, j]
            for i in range(1, k.ni + 1):
                s += w["wi"][i, j] * x[it, i]
            for l in range(1, k.nh + 1):
                s += w["wh"][l, j] * k.h[it - 1, l]
            for m in range(1, k.no + 1):
                s += w["wc"][m, j] * k.c[it, m]
            k.h[it, j] = np.tanh(s)
        for m in range(1, k.no + 1):
            s = w["wo"][0, m]
            for j in range(1, k.nh + 1):
                s += w["wo"][j, m] * k.h[it, j]
            k.y[it, m] = sigm(s)


def sse(w, k, x, d):
    npat = x.shape[0] - 1
    e = 0.0
    for ip in range(1, npat + 1):
        fwd(w, k, x[ip])
        for it in range(1, k.nt + 1):
            for m in range(1, k.no + 1):
                e += 0.5 * (k.y[it, m] - d[ip, it, m]) ** 2
    return e / npat


def bwd(w, k, x, d, g):
    """Adds the gradient of one pattern to g."""
    k.eh[:] = 0.0
    k.ec[:] = 0.0
    k.ey[:] = 0.0
    for it in range(k.nt, 0, -1):
        # output layer; ey holds what came through the context of it+1
        for m in range(1, k.no + 1):
            k.ey[m] += k.y[it, m] - d[it, m]
            k.delo[m] = k.ey[m] * k.y[it, m] * (1.0 - k.y[it, m])
            g["wo"][0, m] += k.delo[m]
            for j in range(1, k.nh + 1):
                g["wo"][j, m] += k.delo[m] * k.h[it, j]
                k.eh[j] += w["wo"][j, m] * k.delo[m]
        # hidden layer
        for j in range(1, k.nh + 1):
            k.delh[j] = k.eh[j] * (1.0 - k.h[it, j] ** 2)
            g["wi"][0, j] += k.delh[j]
            for i in range(1, k.ni + 1):
                g["wi"][i, j] += k.delh[j] * x[it, i]
        # previous hidden state
        k.eh[1:] = 0.0
        for l in range(1, k.nh + 1):
            for j in range(1, k.nh + 1):
                k.eh[l] += w["wh"][l, j] * k.delh[j]
                g["wh"][l, j] += k.delh[j] * k.h[it - 1, l]
        # context units
        for m in range(1, k.no + 1):
            for j in range(1, k.nh + 1):
                k.ec[m] += w["wc"][m, j] * k.delh[j]
                g["wc"][m, j] += k.delh[j] * k.c[it, m]
            g["xmu"][m] += k.ec[m] * k.c[it - 1, m]
            k.ey[m] = k.ec[m]
            k.ec[m] *= w["xmu"][m]


def gradnt(w, k, x, d):
    npat = x.shape[0] - 1
    g = {name: np.zeros_like(a) for name, a in w.items()}
    for ip in range(1, npat + 1):
        fwd(w, k, x[ip])
        bwd(w, k, x[ip], d[ip], g)
    for name in g:
        g[name] /= npat
    return g


def make(Target, rng, npat=2, nt=5, ni=3, nh=4, no=3):
    w = {"wi": rng.uniform(-1, 1, (ni + 1, nh + 1)), "wh": rng.uniform(-1, 1, (nh + 1, nh + 1)),
         "wc": rng.uniform(-1.5, 1.5, (no + 1, nh + 1)), "wo": rng.uniform(-1.5, 1.5, (nh + 1, no + 1)),
         "xmu": rng.uniform(0.3, 0.8, no + 1)}
    x = rng.uniform(-1, 1, (npat + 1, nt + 1, ni + 1))
    d = rng.uniform(0, 1, (npat + 1, nt + 1, no + 1))
    k = Work(ni, nh, no, nt)
    return Target(w, lambda: float(sse(w, k, x, d)), lambda: gradnt(w, k, x, d))


BUGS = {
    "only-first-unit-cleared": ("k.eh[1:] = 0.0", "k.eh[1] = 0.0"),
    "feedback-error-overwritten": ("k.ey[m] += k.y[it, m] - d[it, m]", "k.ey[m] = k.y[it, m] - d[it, m]"),
    "logistic-derivative": ("k.ey[m] * k.y[it, m] * (1.0 - k.y[it, m])", "k.ey[m] * (1.0 - k.y[it, m] ** 2)"),
    "wh-subscripts-swapped": ('k.eh[l] += w["wh"][l, j] * k.delh[j]', 'k.eh[l] += w["wh"][j, l] * k.delh[j]'),
    "feedback-after-decay": ("k.ey[m] = k.ec[m]", 'k.ey[m] = k.ec[m] * w["xmu"][m]'),
    "context-of-wrong-time": ('g["xmu"][m] += k.ec[m] * k.c[it - 1, m]', 'g["xmu"][m] += k.ec[m] * k.c[it, m]'),
    "context-decay-complement": ('k.ec[m] *= w["xmu"][m]', 'k.ec[m] *= 1.0 - w["xmu"][m]'),
    "averaged-over-time-too": ("g[name] /= npat", "g[name] /= npat * k.nt"),
}
PAIRS = [("feedback-error-overwritten", "wh-subscripts-swapped"),
         ("logistic-derivative", "context-decay-complement")]
