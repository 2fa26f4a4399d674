"""Sequences of different lengths, padded: states stand still after the end, and the padding is in no mean."""

from __future__ import annotations

import numpy as np

import gradcheck


def forward(p, x, mask):
    """The states before and after each step (T + 1, B, H); `mask` (T, B, 1) is 1 where a sequence has not ended."""
    states = [p["h0"]]
    for step, m in zip(x, mask, strict=True):
        h = np.tanh(step @ p["W"] + states[-1] @ p["U"] + p["b"])
        states.append(m * h + (1 - m) * states[-1])
    return np.array(states)


def loss_of(p, x, mask, lengths, goal, last):
    """The squared error of every step, a mean over those that count; of each sequence's last; and what is handed on."""
    states = forward(p, x, mask)
    error = (states[1:] - goal) * mask
    ends = states[lengths, np.arange(len(lengths))]
    handed_on = np.sum(states[-1] * last)
    return np.sum(error**2) / mask.sum() + np.sum((ends - last) ** 2) / len(lengths) + handed_on


def grads_of(p, x, mask, lengths, goal, last):
    """The gradients of all parameters."""
    grads = {name: np.zeros_like(weight) for name, weight in p.items()}
    states = forward(p, x, mask)
    rows = np.arange(len(lengths))
    dstates = np.zeros_like(states)
    dstates[1:] += 2 * (states[1:] - goal) * mask / mask.sum()
    dstates[lengths, rows] += 2 * (states[lengths, rows] - last) / len(lengths)
    dstates[-1] += last
    carried = np.zeros_like(states[0])
    for t in reversed(range(len(x))):
        dh = dstates[t + 1] + carried
        h = np.tanh(x[t] @ p["W"] + states[t] @ p["U"] + p["b"])
        dz = dh * mask[t] * (1 - h**2)
        grads["W"] += x[t].T @ dz
        grads["U"] += states[t].T @ dz
        grads["b"] += dz.sum(axis=0)
        carried = dz @ p["U"].T + dh * (1 - mask[t])
    grads["h0"] = carried
    return grads


@gradcheck.target
def masked(rng, *, T=5, B=4, D=3, H=4):
    """B sequences of at most T steps: the first is as long as that, the others are not."""
    shapes = {"W": (D, H), "U": (H, H), "b": (H,), "h0": (B, H)}
    p = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    x, goal, last = rng.standard_normal((T, B, D)), rng.standard_normal((T, B, H)), rng.standard_normal((B, H))
    lengths = np.maximum(1, T - np.arange(B))
    mask = (np.arange(T)[:, None] < lengths)[:, :, None].astype(float)
    return gradcheck.Target(
        p,
        lambda: loss_of(p, x, mask, lengths, goal, last),
        lambda: grads_of(p, x, mask, lengths, goal, last),
        inputs={"x": x},
    )
