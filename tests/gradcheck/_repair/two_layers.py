"""Two recurrent layers that both reach the output, with penalties: what comes back is added up line by line."""

from __future__ import annotations

TWO_LAYERS = """\
import numpy as np
import gradcheck

lam = 0.05


def forward(p, x):
    hs = [(np.zeros((len(p["R"]), x.shape[2])), np.zeros((len(p["S"]), x.shape[2])))]
    for xt in x:
        h1 = np.tanh(p["W"] @ xt + p["R"] @ hs[-1][0] + p["b"])
        hs.append((h1, np.tanh(p["M"] @ h1 + p["S"] @ hs[-1][1] + p["e"])))
    return hs


def loss(p, x, y):
    outs = np.array([p["V"] @ h1 + p["Q"] @ h2 for h1, h2 in forward(p, x)[1:]])
    fit = 0.5 / x.shape[2] * np.sum((outs - y) ** 2)
    return float(fit + lam / 2 * np.sum(p["R"] ** 2) + lam / 2 * np.sum(p["S"] ** 2))


def grads(p, x, y):
    hs, N = forward(p, x), x.shape[2]
    gW, gb, gM, ge, gV, gQ = (np.zeros_like(p[name]) for name in "WbMeVQ")
    gR, gS = lam * p["R"], lam * p["S"]
    d1, d2 = np.zeros_like(hs[0][0]), np.zeros_like(hs[0][1])
    for t in range(len(x), 0, -1):
        h1, h2 = hs[t]
        e = (p["V"] @ h1 + p["Q"] @ h2 - y[t - 1]) / N
        gV += e @ h1.T
        gQ += e @ h2.T
        s2 = p["Q"].T @ e + p["S"].T @ d2
        d2 = s2 * (1 - h2 ** 2)
        gM += d2 @ h1.T
        gS += d2 @ hs[t - 1][1].T
        ge += np.sum(d2, axis=1, keepdims=True)
        s1 = p["V"].T @ e
        s1 = s1 + p["M"].T @ d2
        s1 = s1 + p["R"].T @ d1
        d1 = s1 * (1 - h1 ** 2)
        gW += d1 @ x[t - 1].T
        gR += d1 @ hs[t - 1][0].T
        gb += np.sum(d1, axis=1, keepdims=True)
    return {"W": gW, "R": gR, "b": gb, "M": gM, "S": gS, "e": ge, "V": gV, "Q": gQ}


@gradcheck.target
def cell(rng, *, T=3, N=3, H=2):
    shapes = {"W": (H, 2), "R": (H, H), "b": (H, 1), "M": (H, H), "S": (H, H), "e": (H, 1), "V": (H, H), "Q": (H, H)}
    p = {name: 0.7 * rng.standard_normal(shape) for name, shape in shapes.items()}
    x, y = rng.standard_normal((T, 2, N)), rng.standard_normal((T, H, N))
    return gradcheck.Target(p, lambda: loss(p, x, y), lambda: grads(p, x, y))
"""
#: a share of the first layer's derivative, which is to be added to the others
LOST_SHARE = ('s1 = s1 + p["R"].T @ d1', 's1 = p["R"].T @ d1')
