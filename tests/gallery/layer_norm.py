"""A recurrent network with layer normalisation: a class with attributes, fused gates sliced by width."""

from __future__ import annotations

import numpy as np

import gradcheck


class Normalise:
    """Each row to mean 0 and variance 1, then a gain."""

    def __init__(self, gain):
        """With this gain (H,)."""
        self.gain = gain
        self.seen = []

    def __call__(self, z):
        """Forward; what the backward needs is kept on a stack."""
        centred = z - z.mean(axis=1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
        unit = centred / spread
        self.seen.append((unit, spread))
        return self.gain * unit

    def backward(self, dy):
        """The gradients of the input and of the gain, for the call last made."""
        unit, spread = self.seen.pop()
        dunit = dy * self.gain
        inner = dunit - dunit.mean(axis=1, keepdims=True)
        dz = (inner - unit * (dunit * unit).mean(axis=1, keepdims=True)) / spread
        return dz, (dy * unit).sum(axis=0)


class Gated:
    """h' = u h + (1 - u) tanh(...), both pre-activations normalised together."""

    def __init__(self, D, H, rng):
        """D inputs, H units."""
        self.H = H
        self.W = rng.standard_normal((D, 2 * H))
        self.U = rng.standard_normal((H, 2 * H))
        self.gain = rng.uniform(0.5, 1.5, 2 * H)
        self.bias = rng.standard_normal(2 * H)
        self.norm = Normalise(self.gain)

    def forward(self, x):
        """All states (T, B, H) of a sequence (T, B, D)."""
        self.norm.seen = []
        h = np.zeros((x.shape[1], self.H))
        self.steps, states = [], []
        for step in x:
            z = self.norm(step @ self.W + h @ self.U) + self.bias
            u = 1 / (1 + np.exp(-z[:, : self.H]))
            g = np.tanh(z[:, self.H :])
            self.steps.append((step, h, u, g))
            h = u * h + (1 - u) * g
            states.append(h)
        return np.stack(states)

    def backward(self, dstates):
        """The gradients of the weights."""
        dW, dU = np.zeros_like(self.W), np.zeros_like(self.U)
        dgain, dbias = np.zeros_like(self.gain), np.zeros_like(self.bias)
        carried = 0.0
        for t in range(len(dstates) - 1, -1, -1):
            step, h, u, g = self.steps[t]
            dh = dstates[t] + carried
            dzu = dh * (h - g) * u * (1 - u)
            dzg = dh * (1 - u) * (1 - g * g)
            dz = np.hstack([dzu, dzg])
            dbias += dz.sum(axis=0)
            draw, more = self.norm.backward(dz)
            dgain += more
            dW += step.T @ draw
            dU += h.T @ draw
            carried = dh * u + draw @ self.U.T
        return {"W": dW, "U": dU, "gain": dgain, "bias": dbias}


@gradcheck.target
def layer_norm(rng, *, T=3, B=2, D=4, H=5):
    """A weighted sum of all states."""
    net = Gated(D, H, rng)
    x, weights = rng.standard_normal((T, B, D)), rng.standard_normal((T, B, H))

    def grads():
        net.forward(x)
        return net.backward(weights)

    params = {"W": net.W, "U": net.U, "gain": net.gain, "bias": net.bias}
    return gradcheck.Target(params, lambda: float(np.sum(net.forward(x) * weights)), grads, inputs={"x": x})
