"""A cell with a normaliser, gates side by side in one stack, and a read-out that is a generator."""

from __future__ import annotations

NORMALISED = """\
import numpy as np
import gradcheck


def gate(a):
    return 1 / (1 + np.exp(-a))


def readout(p, g, hs, y):
    out = hs @ p["V"]
    seed = yield 0.5 * np.sum((out - y) ** 2)
    dout = seed * (out - y)
    g["V"] = np.einsum("tbh,tbo->ho", hs, dout)
    yield dout @ p["V"].T


def forward(p, x):
    c, n, h, kept, hs = 0.5, 1.0, np.zeros((x.shape[1], len(p["R"]))), [], []
    for xt in x:
        pre = np.stack([xt @ p["Wz"] + h @ p["R"], xt @ p["Wi"], xt @ p["Wf"], xt @ p["Wo"]])
        z, i, f, o = np.tanh(pre[0]), gate(pre[1]), gate(pre[2]), gate(pre[3])
        kept.append((xt, h, c, n, z, i, f, o, pre[2]))
        c = f * c + i * z
        n = f * n + i
        h = o * c / n
        kept[-1] += (c, n)
        hs.append(h)
    return np.array(hs), kept


def loss(p, x, y):
    return float(next(readout(p, {}, forward(p, x)[0], y)))


def grads(p, x, y):
    g = {key: np.zeros_like(one) for key, one in p.items()}
    hs, kept = forward(p, x)
    head = readout(p, g, hs, y)
    next(head)
    dhs = head.send(1.0)
    dh_next, dc_next, dn_next = np.zeros((3, *hs.shape[1:]))
    for t in range(len(x) - 1, -1, -1):
        xt, before, c_before, n_before, z, i, f, o, pre_f, c, n = kept[t]
        dh = dhs[t] + dh_next
        do = dh * c / n
        dc = dc_next + dh * o / n
        dn = dn_next - dh * o * c / n ** 2
        df = dc * c_before + dn * n_before
        di = dc * z + dn
        dpre = np.stack([dc * i * (1 - z ** 2), di * i * (1 - i), df * f * gate(-pre_f), do * o * (1 - o)])
        dc_next, dn_next = dc * f, dn * f
        for key, part in zip(("Wz", "Wi", "Wf", "Wo"), dpre):
            g[key] += xt.T @ part
        g["R"] += before.T @ dpre[0]
        dh_next = dpre[0] @ p["R"].T
    return g


@gradcheck.target
def cell(rng, *, T=4, B=2, D=2, H=3):
    shapes = {"Wz": (D, H), "Wi": (D, H), "Wf": (D, H), "Wo": (D, H), "R": (H, H), "V": (H, 2)}
    p = {key: rng.standard_normal(shape) for key, shape in shapes.items()}
    x, y = rng.standard_normal((T, B, D)), rng.standard_normal((T, B, 2))
    return gradcheck.Target(p, lambda: loss(p, x, y), lambda: grads(p, x, y))
"""
SIZES = {"T": 4, "B": 2, "D": 2, "H": 3}
