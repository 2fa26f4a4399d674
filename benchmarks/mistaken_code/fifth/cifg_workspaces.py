"""
CIFG-LSTM (coupled input-forget gate), stacked, with preallocated workspaces.

Reference implementation for the fused kernel: the memory layout is the one of the kernel.
gates[l, t] is a (B, 3H) block [ f | o | g ]; the backward overwrites it with d(gates).
Layer l > 0 reads hs[l-1]; the loss reads hs[0] + hs[1] (skip connection).
Time index 0 of hs/cs is the initial state (zero), so that step t writes slot t + 1.
"""
import numpy as np
from dataclasses import dataclass

LAYERS = 2


@dataclass
class Workspace:
    hs: np.ndarray       # (L, T+1, B, H)
    cs: np.ndarray       # (L, T+1, B, H)
    tanh_c: np.ndarray   # (L, T, B, H)
    gates: np.ndarray    # (L, T, B, 3H)
    dx: np.ndarray       # (T, B, H) gradient handed down to the layer below

    @classmethod
    def allocate(cls, T, B, H):
        z = np.zeros
        return cls(z((LAYERS, T + 1, B, H)), z((LAYERS, T + 1, B, H)), z((LAYERS, T, B, H)),
                   z((LAYERS, T, B, 3 * H)), z((T, B, H)))


def layer_forward(ws, l, x, Wx, Wh, bias):
    T, B, H = ws.tanh_c.shape[1:]
    for t in range(T):
        a = ws.gates[l, t]
        np.matmul(x[t], Wx, out=a)
        a += ws.hs[l, t] @ Wh
        a += bias
        f, o, g = a[:, :H], a[:, H:2 * H], a[:, 2 * H:]
        f[...] = 1.0 / (1.0 + np.exp(-f))
        o[...] = 1.0 / (1.0 + np.exp(-o))
        np.tanh(g, out=g)
        ws.cs[l, t + 1] = f * ws.cs[l, t] + (1.0 - f) * g
        np.tanh(ws.cs[l, t + 1], out=ws.tanh_c[l, t])
        np.multiply(o, ws.tanh_c[l, t], out=ws.hs[l, t + 1])


def layer_backward(ws, l, x, dhs, Wx, Wh, dWx, dWh, dbias, dx=None):
    """dhs (T, B, H): gradient of the loss wrt the outputs of this layer"""
    T, B, H = ws.tanh_c.shape[1:]
    dh = np.zeros((B, H))
    dc = np.zeros((B, H))
    df = np.empty((B, H))
    for t in range(T - 1, -1, -1):
        a = ws.gates[l, t]
        f, o, g = a[:, :H], a[:, H:2 * H], a[:, 2 * H:]
        tc = ws.tanh_c[l, t]
        dh += dhs[t]
        dc += dh * o * (1.0 - tc * tc)

        np.subtract(ws.cs[l, t], g, out=df)
        df *= dc
        dg = dc * (1.0 - f)
        dc *= f                                    # carry, before f is overwritten
        o[...] = dh * tc * o * (1.0 - o)
        f[...] = df * f * (1.0 - f)
        g[...] = dg * (1.0 - g * g)

        np.matmul(a, Wh.T, out=dh)
        dWh += ws.hs[l, t].T @ a
        dWx += x[t].T @ a
        dbias += a.sum(axis=0)
        if dx is not None:
            np.matmul(a, Wx.T, out=dx[t])


class StackedCIFG:
    def __init__(self, T, B, H, rng):
        self.ws = Workspace.allocate(T, B, H)
        self.params = {}
        for l in range(LAYERS):
            self.params[f"Wx{l}"] = rng.normal(0, 0.8, (H, 3 * H))
            self.params[f"Wh{l}"] = rng.normal(0, 0.8, (H, 3 * H))
            self.params[f"b{l}"] = rng.normal(0, 0.3, 3 * H)
        self.params["Wy"] = rng.normal(0, 1.0, (H, 2))

    def forward(self, x, y):
        ws, p = self.ws, self.params
        layer_forward(ws, 0, x, p["Wx0"], p["Wh0"], p["b0"])
        layer_forward(ws, 1, ws.hs[0, 1:], p["Wx1"], p["Wh1"], p["b1"])
        self.top = ws.hs[0, 1:] + ws.hs[1, 1:]
        self.err = self.top @ p["Wy"] - y
        return 0.5 * float(np.sum(self.err ** 2)) / y.shape[1]

    def backward(self, x):
        ws, p = self.ws, self.params
        grad = {k: np.zeros_like(v) for k, v in p.items()}
        derr = self.err / x.shape[1]
        grad["Wy"] += np.einsum("tbh,tbk->hk", self.top, derr)
        dtop = derr @ p["Wy"].T
        layer_backward(ws, 1, ws.hs[0, 1:], dtop, p["Wx1"], p["Wh1"],
                       grad["Wx1"], grad["Wh1"], grad["b1"], dx=ws.dx)
        dtop += ws.dx
        layer_backward(ws, 0, x, dtop, p["Wx0"], p["Wh0"],
                       grad["Wx0"], grad["Wh0"], grad["b0"])
        return grad


def make(rng):
    T, B, H = 4, 3, 3
    net = StackedCIFG(T, B, H, rng)
    x = rng.normal(size=(T, B, H))
    y = rng.normal(size=(T, B, 2))

    def grads():
        net.forward(x, y)
        return net.backward(x)

    return net.params, lambda: net.forward(x, y), grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


PAIRS = [[('divided by T, not by B', [96], [('derr = self.err / x.shape[0]', 'derr = self.err / x.shape[1]')]),
  ('sigmoid derivative incomplete', [63], [('o[...] = dh * tc * (1.0 - o)', 'o[...] = dh * tc * o * (1.0 - o)')])],
 [('sigmoid derivative for tanh', [65], [('g[...] = dg * g * (1.0 - g)', 'g[...] = dg * (1.0 - g * g)')]),
  ('recurrent for input matrix', [72], [('np.matmul(a, Wh.T, out=dx[t])', 'np.matmul(a, Wx.T, out=dx[t])')])]]
