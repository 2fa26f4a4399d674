"""A character LSTM as students write it: lists by time, gates by name, a carry; spoiled in many places at once."""

from __future__ import annotations

LISTS = """\
import numpy as np
import gradcheck


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def forward(x, p):
    n = len(p["bo"])
    hs, cs, gates, outs = [np.zeros((n, 1))], [np.zeros((n, 1))], [], []
    for xt in x:
        z = np.vstack([hs[-1], xt])
        i, o, g = sigmoid(p["Wi"] @ z + p["bi"]), sigmoid(p["Wo"] @ z + p["bo"]), np.tanh(p["Wg"] @ z)
        c = i * g + (1 - i) * cs[-1]
        h = o * np.tanh(c)
        v = p["V"] @ h
        e = np.exp(v - v.max())
        hs.append(h), cs.append(c), gates.append((z, i, o, g)), outs.append(e / e.sum())
    return hs, cs, gates, outs


def loss_of(outs, y):
    return -sum(np.mean(yt * np.log(out)) for yt, out in zip(y, outs))


def backward(x, y, p):
    hs, cs, gates, outs = forward(x, p)
    d = {name: np.zeros_like(one) for name, one in p.items()}
    n = len(p["bo"])
    dh_next, dc_next = np.zeros((n, 1)), np.zeros((n, 1))
    for t in reversed(range(len(x))):
        z, i, o, g = gates[t]
        dv = (outs[t] - y[t]) / len(y[t])
        d["V"] += dv @ hs[t + 1].T
        dh = p["V"].T @ dv
        dh += dh_next
        do = dh * np.tanh(cs[t + 1])
        do = o * (1 - o) * do
        d["Wo"] += do @ z.T
        d["bo"] += do
        dc = np.copy(dc_next)
        dc += dh * o * (1 - np.tanh(cs[t + 1]) ** 2)
        dg = dc * i
        dg *= 1 - g ** 2
        d["Wg"] += dg @ z.T
        di = dc * (g - cs[t])
        di = i * (1 - i) * di
        d["Wi"] += di @ z.T
        d["bi"] += di
        dz = p["Wo"].T @ do + p["Wg"].T @ dg + p["Wi"].T @ di
        dh_next = dz[:n]
        dc_next = (1 - i) * dc
    return d


@gradcheck.target
def cell(rng, *, T=4, D=2, H=3):
    m = D + H
    p = {name: rng.standard_normal((H, m)) for name in ("Wi", "Wo", "Wg")}
    p |= {"bi": rng.standard_normal((H, 1)), "bo": rng.standard_normal((H, 1)), "V": rng.standard_normal((5, H))}
    x, y = rng.standard_normal((T, D, 1)), np.eye(5)[rng.integers(0, 5, T)][:, :, None]
    return gradcheck.Target(p, lambda: loss_of(forward(x, p)[3], y), lambda: backward(x, y, p))
"""
SIZES = {"T": 4, "D": 2, "H": 3}
NAMES = {"Wi", "Wo", "Wg", "bi", "bo", "V"}
#: mistakes of which most stand between each gradient and what it is calculated from: right, wrong
SPOILED = (
    ("dv = (outs[t] - y[t]) / len(y[t])", "dv = outs[t] - y[t]"),
    ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"),
    ("do = o * (1 - o) * do", "do = sigmoid(o) * do"),
    ("dc += dh * o * (1 - np.tanh(cs[t + 1]) ** 2)", "dc += dh * o * (1 - np.tanh(cs[t]) ** 2)"),
    ("dg *= 1 - g ** 2", "dg *= 1 - np.tanh(g) ** 2"),
    ("di = i * (1 - i) * di", "di = sigmoid(i) * di"),
    ("dh_next = dz[:n]", "dh_prev = dz[:n]"),
    ("dc_next = (1 - i) * dc", "dc_prev = (1 - i) * dc"),
)
