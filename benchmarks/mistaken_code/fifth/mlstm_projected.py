# mLSTM + projection (mLSTMP).  x:[B,D] m:[B,M] r:[B,R] c:[B,N]
#   m = (x Wmx) * (r- Wmh)
#   [i f o u] = [x m] W + b ;  c = f c- + i u ;  q = o tanh(c) ;  r = q P
#   y = sigma(r V + a)  -> binary cross entropy, piano roll
import numpy as np

D = 2; M = 3; N = 3; R = 3; K = 2
sg = lambda z: 1/(1 + np.exp(-z))


def fwd(w, X):
    B = X.shape[1]
    S = []
    r = np.tile(w["r0"], (B, 1))
    c = np.tile(w["c0"], (B, 1))
    for x in X:
        s = {"x": x, "r_": r, "c_": c}
        s["mx"] = x @ w["Wmx"]
        s["mh"] = r @ w["Wmh"]
        s["m"] = s["mx"]*s["mh"]
        s["v"] = np.hstack([x, s["m"]])
        z = s["v"] @ w["W"] + w["b"]
        s["i"] = sg(z[:, :N])
        s["f"] = sg(z[:, N:2*N] + 1)          # forget bias 1
        s["o"] = sg(z[:, 2*N:3*N])
        s["u"] = np.tanh(z[:, 3*N:])
        c = s["f"]*c + s["i"]*s["u"]
        s["c"] = c
        s["tc"] = np.tanh(c)
        s["q"] = s["o"]*s["tc"]
        r = s["q"] @ w["P"]
        s["r"] = r
        s["y"] = sg(r @ w["V"] + w["a"])
        S.append(s)
    return S


def nll(w, X, Y):
    B = X.shape[1]
    L = 0
    for s, y in zip(fwd(w, X), Y):
        L -= np.sum(y*np.log(s["y"]) + (1 - y)*np.log(1 - s["y"]))/B
    return float(L)


def bwd(w, X, Y):
    S = fwd(w, X)
    B = X.shape[1]
    G = {k: 0*w[k] for k in w}
    dr_ = np.zeros((B, R)); dc_ = np.zeros((B, N))
    for s, y in zip(S[::-1], Y[::-1]):
        # out
        e = (s["y"] - y)/B
        G["V"] += s["r"].T @ e
        G["a"] += e.sum(0)
        dr = e @ w["V"].T + dr_
        # proj
        G["P"] += s["q"].T @ dr
        dq = dr @ w["P"].T
        # cell
        do = dq*s["tc"]
        dc = dq*s["o"]*(1 - s["tc"]**2) + dc_
        di = dc*s["u"]
        du = dc*s["i"]
        df = dc*s["c_"]
        dc_ = dc*s["f"]
        # gates
        dz = np.hstack([di*s["i"]*(1 - s["i"]),
                        df*s["f"]*(1 - s["f"]),
                        do*s["o"]*(1 - s["o"]),
                        du*(1 - s["u"]**2)])
        G["W"] += s["v"].T @ dz
        G["b"] += dz.sum(0)
        # mult
        dv = dz @ w["W"].T
        dm = dv[:, D:]
        dmx = dm*s["mh"]
        dmh = dm*s["mx"]
        G["Wmx"] += s["x"].T @ dmx
        G["Wmh"] += s["r_"].T @ dmh
        dr_ = dmh @ w["Wmh"].T
    G["r0"] += dr_.sum(0)
    G["c0"] += dc_.sum(0)
    return G


def make(rng):
    w = {}
    for k, sh in (("Wmx", (D, M)), ("Wmh", (R, M)), ("W", (D + M, 4*N)), ("b", (4*N,)), ("P", (N, R)),
                  ("V", (R, K)), ("a", (K,)), ("r0", (R,)), ("c0", (N,))):
        w[k] = rng.normal(0, 1.0, sh)
    X = rng.normal(0, 1, (5, 3, D))
    Y = (rng.random((5, 3, K)) < 0.5).astype(float)
    return w, lambda: nll(w, X, Y), lambda: bwd(w, X, Y)


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


PAIRS = [[('new cell for the old', [65], [('df = dc*s["c"]', 'df = dc*s["c_"]')]),
  ('sigmoid derivative of the output twice',
   [53],
   [('e = (s["y"] - y)*s["y"]*(1 - s["y"])/B', 'e = (s["y"] - y)/B')])],
 [('mean for sum', [82], [('G["r0"] += dr_.mean(0)', 'G["r0"] += dr_.sum(0)')]),
  ('tanh derivative for a sigmoid', [68], [('di*(1 - s["i"]**2)', 'di*s["i"]*(1 - s["i"])')])]]
