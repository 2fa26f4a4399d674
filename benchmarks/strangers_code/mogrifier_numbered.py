# Mogrifier LSTM (Melis et al. 2020), everything in one function. x0 -> x1 -> x2 and h0 -> h1 -> h2 by mutual gating:
#   x1 = 2 s(h0 Q1) x0     h1 = 2 s(x1 R1) h0     x2 = 2 s(h1 Q2) x1     h2 = 2 s(x2 R2) h1
# followed by an ordinary LSTM on (x2, h2). R2 is low rank: R2 = L2 M2. Batch first: X is (B, T, D). Gates in W: i | j | f | o.
# The loss is the mean over sequences of a squared error at each step + a decay of the cell at the end of the sequence.
import numpy as np
from numpy import tanh


def s(a):
    return 1.0 / (1.0 + np.exp(-a))


def mogrifier(P, X, Y, lam=0.3, only_loss=False):
    Q1, R1, Q2, L2, M2, W, b, wy, by = (P[k] for k in ("Q1", "R1", "Q2", "L2", "M2", "W", "b", "wy", "by"))
    B, T, D = X.shape
    H = Q1.shape[0]
    h, c = np.tile(P["h00"], (B, 1)), np.tile(P["c00"], (B, 1))
    X0, X1, X2, H0, H1, H2 = [], [], [], [], [], []
    A1, A2, E1, E2, V2 = [], [], [], [], []
    GI, GJ, GF, GO, C0, C1, HN, ER = [], [], [], [], [], [], [], []
    L = 0.0
    for t in range(T):
        x0, h0, c0 = X[:, t], h, c
        a1 = s(h0 @ Q1)
        x1 = 2 * a1 * x0
        e1 = s(x1 @ R1)
        h1 = 2 * e1 * h0
        a2 = s(h1 @ Q2)
        x2 = 2 * a2 * x1
        v2 = x2 @ L2
        e2 = s(v2 @ M2)
        h2 = 2 * e2 * h1
        z = np.concatenate([x2, h2], axis=1) @ W + b
        i, j, f, o = s(z[:, :H]), tanh(z[:, H:2 * H]), s(z[:, 2 * H:3 * H] + 1.0), s(z[:, 3 * H:])
        c = f * c0 + i * j
        h = o * tanh(c)
        err = h @ wy + by - Y[:, t]
        L += 0.5 * (err ** 2).sum() / B
        for store, value in ((X0, x0), (X1, x1), (X2, x2), (H0, h0), (H1, h1), (H2, h2), (A1, a1), (A2, a2), (E1, e1), (E2, e2), (V2, v2),
                             (GI, i), (GJ, j), (GF, f), (GO, o), (C0, c0), (C1, c), (HN, h), (ER, err)):
            store.append(value)
    L += 0.5 * lam * (c ** 2).sum() / B
    if only_loss:
        return L

    G = {k: np.zeros_like(v) for k, v in P.items()}
    dX = np.zeros_like(X)
    dh = np.zeros((B, H))
    dc = lam * c / B
    t = T
    back = zip(*(q[::-1] for q in (X0, X1, X2, H0, H1, H2, A1, A2, E1, E2, V2, GI, GJ, GF, GO, C0, C1, HN, ER)))
    for x0, x1, x2, h0, h1, h2, a1, a2, e1, e2, v2, i, j, f, o, c0, c1, hn, err in back:
        t -= 1
        # read-out
        d1 = err / B
        G["wy"] += hn.T @ d1
        G["by"] += d1.sum(0)
        dh = dh + d1 @ wy.T
        # LSTM
        d2 = tanh(c1)
        do = dh * d2
        dc = dc + dh * o * (1 - d2 * d2)
        d3 = np.concatenate([dc * j * i * (1 - i), dc * i * (1 - j * j), dc * c0 * f * (1 - f), do * o * (1 - o)], axis=1)
        G["W"] += np.concatenate([x2, h2], axis=1).T @ d3
        G["b"] += d3.sum(0)
        d4 = d3 @ W.T
        dx2, dh2 = d4[:, :D], d4[:, D:]
        dc = dc * f
        # round 4: h2 = 2 e2 h1
        d5 = 2 * dh2 * h1 * e2 * (1 - e2)
        dh1 = 2 * dh2 * e2
        G["M2"] += v2.T @ d5
        d6 = d5 @ M2.T
        G["L2"] += x2.T @ d6
        dx2 = dx2 + d6 @ L2.T
        # round 3: x2 = 2 a2 x1
        d7 = 2 * dx2 * x1 * a2 * (1 - a2)
        dx1 = 2 * dx2 * a2
        G["Q2"] += h1.T @ d7
        dh1 = dh1 + d7 @ Q2.T
        # round 2: h1 = 2 e1 h0
        d8 = 2 * dh1 * h0 * e1 * (1 - e1)
        dh0 = 2 * dh1 * e1
        G["R1"] += x1.T @ d8
        dx1 = dx1 + d8 @ R1.T
        # round 1: x1 = 2 a1 x0
        d9 = 2 * dx1 * x0 * a1 * (1 - a1)
        dX[:, t] = 2 * dx1 * a1
        G["Q1"] += h0.T @ d9
        dh = dh0 + d9 @ Q1.T
    G["h00"] = dh.sum(0)
    G["c00"] = dc.sum(0)
    G["X"] = dX
    return L, G


def make(Target, rng, T=3, B=2, D=2, H=3, R=2):
    n = lambda *shape: rng.normal(size=shape)
    P = dict(Q1=n(H, D), R1=n(D, H), Q2=n(H, D), L2=n(D, R), M2=n(R, H), W=0.7 * n(D + H, 4 * H), b=0.2 * n(4 * H), wy=n(H, 2), by=n(2),
             h00=n(H), c00=n(H))
    X, Y = n(B, T, D), n(B, T, 2)
    return Target({**P, "X": X}, lambda: float(mogrifier(P, X, Y, only_loss=True)), lambda: mogrifier(P, X, Y)[1])


BUGS = {
    "round-two-path-into-x1": ("dx1 = dx1 + d8 @ R1.T", "pass"),
    "direct-use-of-x2-lost": ("dx2 = dx2 + d6 @ L2.T", "dx2 = d6 @ L2.T"),
    "round-three-gates-old-state": ('G["Q2"] += h1.T @ d7', 'G["Q2"] += h0.T @ d7'),
    "outer-two-forgotten": ("dh0 = 2 * dh1 * e1", "dh0 = dh1 * e1"),
    "gate-before-and-after": ("d9 = 2 * dx1 * x0 * a1 * (1 - a1)", "d9 = 2 * dx1 * x1 * a1 * (1 - a1)"),
    "decay-of-the-cell-dropped": ("dc = lam * c / B", "dc = np.zeros((B, H))"),
    "cell-not-through-forget-gate": ("dc = dc * f", "pass"),
    "candidate-slope": ("dc * i * (1 - j * j), dc * c0 * f * (1 - f)", "dc * i * (1 - j), dc * c0 * f * (1 - f)"),
}

PAIRS = [("round-two-path-into-x1", "decay-of-the-cell-dropped"), ("round-three-gates-old-state", "candidate-slope")]
