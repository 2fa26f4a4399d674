"""Truncated backpropagation through time: windows of a text one after the other, the state kept, its gradient not."""

from __future__ import annotations

import numpy as np

import gradcheck


class Windowed:
    """A recurrent network that keeps its state from window to window, and adds up gradients over them."""

    def __init__(self, D, H, rng):
        """D inputs, H units, one output."""
        shapes = {"W": (D, H), "U": (H, H), "b": (H,), "V": (H,)}
        self.params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        self.totals = {name: np.zeros(shape) for name, shape in shapes.items()}

    def forward(self, x, goal, h):
        """Half the squared error of a window x (T, B, D) that begins with the state h."""
        p = self.params
        self.states = [h]
        for step in x:
            self.states.append(np.tanh(step @ p["W"] + self.states[-1] @ p["U"] + p["b"]))
        self.x, self.error = x, np.array(self.states[1:]) @ p["V"] - goal
        return np.sum(self.error**2) / 2

    def backward(self):
        """Add the gradients of the window last run; `dstart` is that of the state it began with."""
        p, totals = self.params, self.totals
        carried = np.zeros_like(self.states[0])
        for t in reversed(range(len(self.x))):
            h = self.states[t + 1]
            totals["V"] += self.error[t] @ h
            dz = (np.outer(self.error[t], p["V"]) + carried) * (1 - h**2)
            totals["W"] += self.x[t].T @ dz
            totals["U"] += self.states[t].T @ dz
            totals["b"] += dz.sum(axis=0)
            carried = dz @ p["U"].T
        self.dstart = carried

    def zero(self):
        """Forget the gradients of the windows before."""
        for total in self.totals.values():
            total[...] = 0


@gradcheck.target
def windows(rng, *, N=3, T=3, B=2, D=3, H=4):
    """N windows of T steps; the state that each begins with is a constant, as truncation has it."""
    net = Windowed(D, H, rng)
    x, goal = rng.standard_normal((N, T, B, D)), rng.standard_normal((N, T, B))
    starts = [rng.standard_normal((B, H))]
    for n in range(N):
        net.forward(x[n], goal[n], starts[n])
        starts.append(net.states[-1])

    def loss():
        return sum(net.forward(x[n], goal[n], starts[n]) for n in range(N))

    def grads():
        net.zero()
        dstarts = []
        for n in range(N):
            net.forward(x[n], goal[n], starts[n])
            net.backward()
            dstarts.append(net.dstart)
        return {**{name: total.copy() for name, total in net.totals.items()}, "h0": dstarts[0]}

    return gradcheck.Target({**net.params, "h0": starts[0]}, loss, grads, inputs={"x": x})
