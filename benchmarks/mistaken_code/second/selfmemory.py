"""RNN which reads its own past: scaled dot attention of h_{t-1} over h_0 .. h_{t-1}.  Closures;
forward pushes undo-functions on a tape, as in my own mini framework."""
import math
import numpy as np


def make(rng, T=4, B=3, D=2, H=3):
    P = dict(
        W=rng.normal(size=(H, D)) * 0.8,
        U=rng.normal(size=(H, H)) * 0.6,
        C=rng.normal(size=(H, H)) * 0.8,
        Q=rng.normal(size=(H, H)) * 0.8,
        b=rng.normal(size=(H,)) * 0.2,
        h0=rng.normal(size=(H,)) * 0.8,
        v=rng.normal(size=(H,)),
    )
    X = rng.normal(size=(B, T, D))
    Y = rng.normal(size=(B, T))
    scale = 1.0 / math.sqrt(H)

    def attend(hs):
        """hs: list of past states of one sample; the last of them asks"""
        M = np.stack(hs)                     # (n, H)
        query = P["Q"] @ hs[-1]
        e = scale * (M @ query)
        w = np.exp(e - e.max())
        w = w / w.sum()
        ctx = w @ M

        def back(dctx, dhs, G):
            dw = M @ dctx
            de = w * (dw - np.dot(w, dw))
            dquery = de @ M
            for j in range(len(w)):
                dhs[j] += w[j] * dctx
            G["Q"] += np.outer(dquery, hs[-1])
            dhs[len(w) - 1] += P["Q"].T @ dquery

        return ctx, back

    def cell(x, h, ctx):
        h_new = np.tanh(P["W"] @ x + P["U"] @ h + P["C"] @ ctx + P["b"])

        def back(dh_new, G):
            da = dh_new * (1 - h_new ** 2)
            G["W"] += np.outer(da, x)
            G["U"] += np.outer(da, h)
            G["C"] += np.outer(da, ctx)
            G["b"] += da
            return P["U"].T @ da, P["C"].T @ da

        return h_new, back

    def run(n):
        hs, tape, out = [P["h0"]], [], []
        for t in range(T):
            ctx, back_attend = attend(list(hs))
            h, back_cell = cell(X[n, t], hs[-1], ctx)
            hs.append(h)
            tape.append((back_attend, back_cell))
            out.append(P["v"] @ h)
        return hs, tape, np.array(out)

    def loss():
        total = 0.0
        for n in range(B):
            _, _, out = run(n)
            total += 0.5 * np.sum((out - Y[n]) ** 2)
        return float(total / B)

    def grads():
        G = {k: np.zeros_like(a) for k, a in P.items()}
        for n in range(B):
            hs, tape, out = run(n)
            err = (out - Y[n]) / B
            dhs = [np.zeros(H) for _ in hs]
            for t in range(T - 1, -1, -1):
                back_attend, back_cell = tape[t]
                G["v"] += err[t] * hs[t + 1]
                dhs[t + 1] += err[t] * P["v"]
                dh, dctx = back_cell(dhs[t + 1], G)
                dhs[t] = dh
                back_attend(dctx, dhs, G)
            G["h0"] += dhs[0]
        return G

    return P, loss, grads


import gradcheck


@gradcheck.target
def audited(rng, *, T=4, B=3, D=2, H=3):
    return gradcheck.Target(*make(rng, T=T, B=B, D=D, H=H))


FAULTS = [('past states as keys (scores) get no gradient, only as values',
  [32, 34, 35],
  [('                dhs[j] += w[j] * dctx\n',
    '                dhs[j] += w[j] * dctx\n                dhs[j] += scale * de[j] * query\n')]),
 ("the 1/sqrt(H) scale of the scores is missing in the query's gradient",
  [33],
  [('dquery = de @ M', 'dquery = scale * (de @ M)')]),
 ('gradient through the cell overwrites what later attention reads already left in dhs[t]',
  [82],
  [('                dhs[t] = dh\n', '                dhs[t] += dh\n')])]
