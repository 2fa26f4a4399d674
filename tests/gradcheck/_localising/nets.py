"""A small recurrent network with a hand-written backward, to be spoiled."""

from __future__ import annotations

import numpy as np

import gradcheck
from gradcheck._localising import localise
from gradcheck._tape import tape_target
from tests.gradcheck._tape.programs import module

SOURCE = """
import numpy as np

def dtanh(y):
    return 1 - y ** 2

def forward(p, x):
    h, hs = p["h0"], []
    for t in range(len(x)):
        h = np.tanh(x[t] @ p["W"] + h @ p["U"] + p["b"])
        hs.append(h)
    return hs

def loss(p, x, y):
    hs = forward(p, x)
    return 0.5 * sum(np.sum((h @ p["V"] - target) ** 2) for h, target in zip(hs, y))

def grads(p, x, y):
    hs = forward(p, x)
    dW, dU, db = np.zeros_like(p["W"]), np.zeros_like(p["U"]), np.zeros_like(p["b"])
    dV = np.zeros_like(p["V"])
    carry = np.zeros_like(p["h0"])
    for t in reversed(range(len(x))):
        h, before = hs[t], hs[t - 1] if t else p["h0"]
        dout = h @ p["V"] - y[t]
        dV += h.T @ dout
        dh = dout @ p["V"].T + carry
        dz = dh * dtanh(h)
        dW += x[t].T @ dz
        dU += before.T @ dz
        db += dz.sum(axis=0)
        carry = dz @ p["U"].T
    return {"W": dW, "U": dU, "b": db, "V": dV, "h0": carry}
"""


def run_of(folder, *changes, T=3, seed=0, multiple=1.0):
    """The taped run of the network with some texts replaced, the names of what is wrong, and the changed lines."""
    source, lines = SOURCE, []
    for old, new in changes:
        assert source.count(old) == 1, old
        lines.append(source[: source.index(old)].count("\n") + 1)
        source = source.replace(old, new)
    made, rng = module(folder, source), np.random.default_rng(seed)
    shapes = {"W": (3, 5), "U": (5, 5), "b": (5,), "V": (5, 2), "h0": (2, 5)}
    p = {name: 0.6 * rng.standard_normal(shape) for name, shape in shapes.items()}
    x, y = rng.standard_normal((T, 2, 3)), rng.standard_normal((T, 2, 2))
    target = gradcheck.Target(p, lambda: made.loss(p, x, y), lambda: made.grads(p, x, y))
    run = tape_target(target, target.values(), multiple=multiple)
    true = run.true_gradients
    wrong = [name for name in true if np.max(np.abs(run.gradients[name] - true[name])) > 1e-7]
    return run, wrong, lines


def located(folder, *changes, multiple=1.0, **options):
    """What is found, and the changed lines."""
    run, wrong, lines = run_of(folder, *changes, multiple=multiple)
    return localise(run, wrong, **options), lines
