"""
Leaky neural CDE on irregularly sampled series, integrated with Heun's method.

    dz = A(z) dX  -  (z / tau) dt          A(z) in R^{hidden x channels},  tau learned per unit

Everything is a Block.  A block keeps a LIFO of contexts, so the same block may be called
many times during the forward sweep as long as the backward sweep is its exact mirror.
"""
from __future__ import annotations

import abc
from typing import Dict, Iterator, List, Tuple

import numpy as np

Array = np.ndarray


class Parameter:
    __slots__ = ("name", "value", "grad")

    def __init__(self, name: str, value: Array) -> None:
        self.name = name
        self.value = value
        self.grad = np.zeros_like(value)

    def zero_grad(self) -> None:
        self.grad = np.zeros_like(self.value)


class Block(abc.ABC):
    __slots__ = ("_contexts",)

    def __init__(self) -> None:
        self._contexts: List[tuple] = []

    @property
    def children(self) -> Tuple["Block", ...]:
        return ()

    @property
    def own_parameters(self) -> Tuple[Parameter, ...]:
        return ()

    def walk(self) -> Iterator["Block"]:
        yield self
        for child in self.children:
            yield from child.walk()

    def save(self, *items) -> None:
        self._contexts.append(items)

    def restore(self) -> tuple:
        return self._contexts.pop()

    def reset(self) -> None:
        for block in self.walk():
            block._contexts.clear()
            for p in block.own_parameters:
                p.zero_grad()


class Affine(Block):
    __slots__ = ("weight", "bias")

    def __init__(self, name: str, n_in: int, n_out: int, rng, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = Parameter(name + ".weight", rng.normal(0, gain / np.sqrt(n_in), (n_in, n_out)))
        self.bias = Parameter(name + ".bias", rng.normal(0, 0.4, n_out))

    own_parameters = property(lambda self: (self.weight, self.bias))

    def forward(self, x: Array) -> Array:
        self.save(x)
        return x @ self.weight.value + self.bias.value

    def backward(self, g: Array) -> Array:
        (x,) = self.restore()
        self.weight.grad += x.T @ g
        self.bias.grad += g.sum(axis=0)
        return g @ self.weight.value.T


class Tanh(Block):
    __slots__ = ()

    def forward(self, x: Array) -> Array:
        y = np.tanh(x)
        self.save(y)
        return y

    def backward(self, g: Array) -> Array:
        (y,) = self.restore()
        return g * (1.0 - y * y)


class Leak(Block):
    """-dt * z / tau with tau = exp(log_tau)."""
    __slots__ = ("log_tau",)

    def __init__(self, hidden: int, rng) -> None:
        super().__init__()
        self.log_tau = Parameter("leak.log_tau", rng.normal(0.4, 0.5, hidden))

    own_parameters = property(lambda self: (self.log_tau,))

    def forward(self, z: Array, dt: Array) -> Array:
        rate = np.exp(-self.log_tau.value)
        self.save(z, dt, rate)
        return -dt * z * rate

    def backward(self, g: Array) -> Array:
        z, dt, rate = self.restore()
        self.log_tau.grad += np.sum(g * dt * z * rate, axis=0)
        return -g * dt * rate


class VectorField(Block):
    __slots__ = ("inner", "squash_inner", "outer", "squash_outer", "leak", "_shape")

    def __init__(self, hidden: int, width: int, channels: int, rng) -> None:
        super().__init__()
        self.inner, self.squash_inner = Affine("field.inner", hidden, width, rng, 1.3), Tanh()
        self.outer, self.squash_outer = Affine("field.outer", width, hidden * channels, rng, 1.2), Tanh()
        self.leak = Leak(hidden, rng)
        self._shape = (hidden, channels)

    @property
    def children(self):
        return self.inner, self.squash_inner, self.outer, self.squash_outer, self.leak

    def forward(self, z: Array, dx: Array, dt: Array) -> Array:
        u = self.squash_inner.forward(self.inner.forward(z))
        matrix = self.squash_outer.forward(self.outer.forward(u)).reshape(len(z), *self._shape)
        self.save(dx)
        return np.matmul(matrix, dx[:, :, None])[:, :, 0] + self.leak.forward(z, dt)

    def backward(self, g: Array) -> Array:
        (dx,) = self.restore()
        g_matrix = g[:, :, None] * dx[:, None, :]
        g_u = self.outer.backward(self.squash_outer.backward(g_matrix.reshape(len(g), -1)))
        g_z = self.inner.backward(self.squash_inner.backward(g_u))
        return g_z + self.leak.backward(g)


class HeunStep(Block):
    """z + (k1 + k2) / 2,  k1 = f(z),  k2 = f(z + k1)."""
    __slots__ = ("field",)

    def __init__(self, field: VectorField) -> None:
        super().__init__()
        self.field = field

    children = property(lambda self: (self.field,))

    def forward(self, z: Array, dx: Array, dt: Array) -> Array:
        k1 = self.field.forward(z, dx, dt)
        k2 = self.field.forward(z + k1, dx, dt)
        return z + 0.5 * (k1 + k2)

    def backward(self, g: Array) -> Array:
        through_k2 = self.field.backward(0.5 * g)
        g_k1 = 0.5 * g + through_k2
        through_k1 = self.field.backward(g_k1)
        return g + through_k2 + through_k1


class Trainer(Block):
    """Multi-label classifier on [trapezoid average of z, final z]; BCE + log-normal prior on tau."""
    __slots__ = ("encoder", "step", "head", "dx", "dt", "x0", "labels", "trapezoid")
    PRIOR = 0.05

    def __init__(self, times: Array, path: Array, labels: Array, hidden: int, width: int, rng) -> None:
        super().__init__()
        channels, n_labels = path.shape[2], labels.shape[1]
        self.encoder = Affine("encoder", channels, hidden, rng)
        self.step = HeunStep(VectorField(hidden, width, channels, rng))
        self.head = Affine("head", 2 * hidden, n_labels, rng, 1.5)
        self.dt, self.dx = np.diff(times, axis=1), np.diff(path, axis=1)
        self.x0, self.labels = path[:, 0], labels
        w = np.zeros_like(times)
        w[:, :-1] += 0.5 * self.dt
        w[:, 1:] += 0.5 * self.dt
        self.trapezoid = w / self.dt.sum(axis=1, keepdims=True)

    children = property(lambda self: (self.encoder, self.step, self.head))

    @property
    def parameters(self) -> Dict[str, Parameter]:
        return {p.name: p for block in self.walk() for p in block.own_parameters}

    def forward(self) -> float:
        self.reset()
        z = self.encoder.forward(self.x0)
        average = self.trapezoid[:, :1] * z
        for i in range(self.dt.shape[1]):
            z = self.step.forward(z, self.dx[:, i], self.dt[:, i:i + 1])
            average = average + self.trapezoid[:, i + 1, None] * z
        logits = self.head.forward(np.concatenate([average, z], axis=1))
        self.save(logits, z.shape[1])
        bce = np.logaddexp(0.0, logits) - self.labels * logits
        log_tau = self.step.field.leak.log_tau.value
        return float(bce.sum() / len(logits) + 0.5 * self.PRIOR * np.sum((log_tau - 0.5) ** 2))

    def backward(self) -> Dict[str, Array]:
        logits, hidden = self.restore()
        log_tau = self.step.field.leak.log_tau
        log_tau.grad += self.PRIOR * (log_tau.value - 0.5)
        g_features = self.head.backward((1.0 / (1.0 + np.exp(-logits)) - self.labels) / len(logits))
        g_average, g = g_features[:, :hidden], g_features[:, hidden:]
        for i in reversed(range(self.dt.shape[1])):
            g = g + self.trapezoid[:, i + 1:i + 2] * g_average
            g = self.step.backward(g)
        self.encoder.backward(g + self.trapezoid[:, 0:1] * g_average)
        return {name: p.grad.copy() for name, p in self.parameters.items()}


def make(Target, rng, T=5, B=4, channels=3, H=4, width=5, labels=2):
    times = np.cumsum(rng.uniform(0.2, 0.9, (B, T + 1)), axis=1)
    path = np.cumsum(rng.normal(0, 0.7, (B, T + 1, channels)), axis=1)
    path[:, :, 0] = times
    trainer = Trainer(times, path, rng.integers(0, 2, (B, labels)).astype(float), H, width, rng)

    def grads():
        trainer.forward()
        return trainer.backward()

    return Target({k: p.value for k, p in trainer.parameters.items()}, trainer.forward, grads)


BUGS = {
    "affine-weight-assigned": ("self.weight.grad += x.T @ g", "self.weight.grad = x.T @ g"),
    "leak-sign": ("return -g * dt * rate", "return g * dt * rate"),
    "tau-instead-of-log-tau": ("np.sum(g * dt * z * rate, axis=0)", "np.sum(g * dt * z * rate * rate, axis=0)"),
    "k1-used-inside-k2-forgotten": ("g_k1 = 0.5 * g + through_k2", "g_k1 = 0.5 * g"),
    "field-matrix-flattened-transposed": ("g_matrix.reshape(len(g), -1)", "g_matrix.transpose(0, 2, 1).reshape(len(g), -1)"),
    "trapezoid-weight-off-by-one": ("g = g + self.trapezoid[:, i + 1:i + 2] * g_average", "g = g + self.trapezoid[:, i:i + 1] * g_average"),
    "tanh-derivative-unsquared": ("return g * (1.0 - y * y)", "return g * (1.0 - y)"),
    "average-skips-initial-state": ("self.encoder.backward(g + self.trapezoid[:, 0:1] * g_average)", "self.encoder.backward(g)"),
}
PAIRS = [
    ("affine-weight-assigned", "leak-sign"),
    ("tau-instead-of-log-tau", "average-skips-initial-state"),
    ("k1-used-inside-k2-forgotten", "trapezoid-weight-off-by-one"),
    ("field-matrix-flattened-transposed", "tau-instead-of-log-tau"),
    ("tanh-derivative-unsquared", "trapezoid-weight-off-by-one"),
    ("average-skips-initial-state", "k1-used-inside-k2-forgotten"),
]
