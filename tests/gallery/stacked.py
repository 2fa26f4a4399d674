"""Two layers with dropout between them, zoneout in both, and a residual connection around the upper one."""

from __future__ import annotations

import numpy as np

import gradcheck

KEEP = 0.6


def layer(xs, h, W, U, b, zone):
    """The states of a layer (T, B, H) and its candidates; where `zone` is 1, a unit keeps its state."""
    states, candidates = [], []
    for x, z in zip(xs, zone, strict=True):
        candidate = np.tanh(x @ W + h @ U + b)
        h = z * h + (1 - z) * candidate
        candidates.append(candidate)
        states.append(h)
    return np.array(states), candidates


def layer_back(dstates, xs, states, candidates, h0, W, U, zone):
    """The gradients of a layer: of what it reads, h0, W, U and b."""
    dxs, dW, dU, db = [], np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))
    carried = np.zeros_like(h0)
    for t in reversed(range(len(xs))):
        dh = dstates[t] + carried
        dz = dh * (1 - zone[t]) * (1 - candidates[t] ** 2)
        dW += xs[t].T @ dz
        dU += (states[t - 1] if t else h0).T @ dz
        db += dz.sum(axis=0)
        dxs.insert(0, dz @ W.T)
        carried = dz @ U.T + dh * zone[t]
    return np.array(dxs), carried, dW, dU, db


class Stacked:
    """Two layers over x (T, B, D); masks are drawn once."""

    def __init__(self, rng, T, B, D, H):
        """D inputs, H units in each layer."""
        shapes = {"W1": (D, H), "U1": (H, H), "b1": (H,), "h1": (B, H), "W2": (H, H), "U2": (H, H), "b2": (H,)}
        self.params = {name: rng.standard_normal(shape) for name, shape in {**shapes, "h2": (B, H)}.items()}
        self.x, self.goal = rng.standard_normal((T, B, D)), rng.standard_normal((T, B, H))
        self.rng = rng
        self.mask = self.drawn(KEEP, (T, B, H)) / KEEP
        self.zones = self.drawn(0.3, (T, B, H)), self.drawn(0.3, (T, B, H))

    def drawn(self, probability, shape):
        """Ones with this probability, else zeros."""
        return (self.rng.random(shape) < probability).astype(float)

    def forward(self):
        """The output, and what the backward needs."""
        p = self.params
        low, low_candidates = layer(self.x, p["h1"], p["W1"], p["U1"], p["b1"], self.zones[0])
        dropped = low * self.mask
        high, high_candidates = layer(dropped, p["h2"], p["W2"], p["U2"], p["b2"], self.zones[1])
        return high + low, low, low_candidates, dropped, high, high_candidates

    def loss(self):
        """Half the squared error of every output."""
        return np.sum((self.forward()[0] - self.goal) ** 2) / 2

    def grads(self):
        """The gradients of all parameters."""
        p = self.params
        out, low, low_candidates, dropped, high, high_candidates = self.forward()
        dout = out - self.goal
        ddropped, dh2, dW2, dU2, db2 = layer_back(
            dout, dropped, high, high_candidates, p["h2"], p["W2"], p["U2"], self.zones[1]
        )
        dlow = ddropped * self.mask + dout
        _, dh1, dW1, dU1, db1 = layer_back(dlow, self.x, low, low_candidates, p["h1"], p["W1"], p["U1"], self.zones[0])
        return {"W1": dW1, "U1": dU1, "b1": db1, "h1": dh1, "W2": dW2, "U2": dU2, "b2": db2, "h2": dh2}


@gradcheck.target
def stacked(rng, *, T=4, B=2, D=3, H=5):
    """D inputs, H units in each layer."""
    net = Stacked(rng, T, B, D, H)
    return gradcheck.Target(net.params, net.loss, net.grads, inputs={"x": net.x})
