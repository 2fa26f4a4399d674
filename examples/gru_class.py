"""A GRU as a class that keeps everything in attributes, and binds its weights anew in every update.

The cell is that of Cho et al. (2014), *Learning phrase representations using RNN encoder-decoder*::

    r = σ(x Wr + h_prev Ur + br)               reset gate
    u = σ(x Wu + h_prev Uu + bu)               update gate
    g = tanh(x Wg + (r ∘ h_prev) Ug + bg)      candidate
    h = u ∘ h_prev + (1 - u) ∘ g

``self.Wr = self.Wr - rate * dWr`` makes an array that nobody outside has seen, so a dict of the weights
made once would go stale. Here `Target` is given a function instead, and asks it for the weights each time.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import gradcheck

Array: TypeAlias = NDArray[Any]

WEIGHTS = ("Wr", "Wu", "Wg", "Ur", "Uu", "Ug", "br", "bu", "bg", "V")


def sigmoid(z: Array) -> Array:
    """The logistic function by way of tanh, which does not overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * z))


class GRU:
    """D inputs, H hidden units, one linear output at each time step."""

    def __init__(self, D: int, H: int, rng: np.random.Generator) -> None:
        """Draw the weights."""
        for gate in "rug":
            setattr(self, f"W{gate}", rng.standard_normal((D, H)) / np.sqrt(D))
            setattr(self, f"U{gate}", rng.standard_normal((H, H)) / np.sqrt(H))
            setattr(self, f"b{gate}", rng.standard_normal(H) / 2)
        self.V: Array = rng.standard_normal(H) / np.sqrt(H)

    Wr: Array
    Wu: Array
    Wg: Array
    Ur: Array
    Uu: Array
    Ug: Array
    br: Array
    bu: Array
    bg: Array

    def weights(self) -> dict[str, Array]:
        """The weights by name, as they are bound now."""
        return {name: getattr(self, name) for name in WEIGHTS}

    def forward(self, x: Array, target: Array, h: Array) -> float:
        """Half the squared error of the outputs over x (T, B, D), the mean over T and B; target is (T, B)."""
        self.steps: list[tuple[Array, ...]] = []
        self.error = np.empty(target.shape)
        for t in range(len(x)):
            r = sigmoid(x[t] @ self.Wr + h @ self.Ur + self.br)
            u = sigmoid(x[t] @ self.Wu + h @ self.Uu + self.bu)
            g = np.tanh(x[t] @ self.Wg + (r * h) @ self.Ug + self.bg)
            previous, h = h, u * h + (1 - u) * g
            self.steps.append((x[t], previous, r, u, g, h))
            self.error[t] = h @ self.V - target[t]
        return float(np.sum(self.error**2) / (2 * target.size))

    def backward(self) -> dict[str, Array]:
        """Backpropagation through time over the sequence last run."""
        grads = {name: np.zeros_like(weight) for name, weight in self.weights().items()}
        dcarried = np.zeros_like(self.steps[-1][-1])
        for (x, previous, r, u, g, h), error in zip(reversed(self.steps), reversed(self.error), strict=True):
            dy = error / self.error.size
            grads["V"] += dy @ h
            dh = dcarried + np.outer(dy, self.V)
            dzu = dh * (previous - g) * u * (1 - u)
            dzg = dh * (1 - u) * (1 - g**2)
            dreset = dzg @ self.Ug.T  # the cotangent of r ∘ h_prev
            dzr = dreset * previous * r * (1 - r)
            for gate, dz, recurrent in (("r", dzr, previous), ("u", dzu, previous), ("g", dzg, r * previous)):
                grads[f"W{gate}"] += x.T @ dz
                grads[f"U{gate}"] += recurrent.T @ dz
                grads[f"b{gate}"] += dz.sum(axis=0)
            dcarried = dh * u + dreset * r + dzr @ self.Ur.T + dzu @ self.Uu.T
        return grads

    def update(self, grads: dict[str, Array], rate: float) -> None:
        """A step of gradient descent."""
        for name, gradient in grads.items():
            setattr(self, name, getattr(self, name) - rate * gradient)


@gradcheck.target
def gru(rng: np.random.Generator, *, T: int = 4, B: int = 2, D: int = 3, H: int = 5) -> gradcheck.Target:
    """The loss of a GRU that has been trained for a step, so that no weight is the array it began as."""
    net = GRU(D, H, rng)
    x, target, h0 = rng.standard_normal((T, B, D)), rng.standard_normal((T, B)), rng.standard_normal((B, H))
    net.forward(x, target, h0)
    net.update(net.backward(), rate=0.1)
    return gradcheck.Target(
        net.weights, lambda: net.forward(x, target, h0), net.backward, inputs={"x": x, "target": target}
    )
