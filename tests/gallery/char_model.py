"""A character model: an embedding that is the output layer as well, a temperature, a penalty on the weights."""

from __future__ import annotations

import numpy as np

import gradcheck

PENALTY = 0.1


def softmax(z):
    """Each row as probabilities."""
    e = np.exp(z - np.max(z.real, axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def run(p, tokens, h):
    """States before and after each step (T + 1, B, H)."""
    states = [h]
    for token in tokens:
        h = np.tanh(p["E"][token] @ p["W"] + h @ p["U"] + p["b"])
        states.append(h)
    return np.array(states)


def loss_of(p, tokens, targets, h0):
    """The cross-entropy, a mean over steps and batch, and half the squares of E, W and U; biases are free."""
    states = run(p, tokens, h0)
    probs = softmax((states[1:] @ p["E"].T + p["by"]) * p["scale"])
    entropy = -np.log(np.take_along_axis(probs, targets[:, :, None], axis=2)).mean()
    return entropy + PENALTY / 2 * sum(np.sum(p[name] ** 2) for name in ("E", "W", "U"))


def grads_of(p, tokens, targets, h0):
    """The gradients of all parameters."""
    grads = {name: np.zeros_like(weight) for name, weight in p.items()}
    states = run(p, tokens, h0)
    carried = np.zeros_like(h0)
    rows = np.arange(len(h0))
    for t in reversed(range(len(tokens))):
        h_old, h = states[t], states[t + 1]
        logits = h @ p["E"].T + p["by"]
        dscaled = softmax(logits * p["scale"])
        dscaled[rows, targets[t]] -= 1
        dscaled /= targets.size
        grads["scale"] += np.sum(dscaled * logits)
        dlogits = dscaled * p["scale"]
        grads["by"] += dlogits.sum(axis=0)
        grads["E"] += dlogits.T @ h
        dh = dlogits @ p["E"] + carried
        dz = dh * (1 - h**2)
        grads["W"] += p["E"][tokens[t]].T @ dz
        grads["U"] += h_old.T @ dz
        grads["b"] += dz.sum(axis=0)
        np.add.at(grads["E"], tokens[t], dz @ p["W"].T)
        carried = dz @ p["U"].T
    for name in ("E", "W", "U"):
        grads[name] += PENALTY * p[name]
    return grads


@gradcheck.target
def char_model(rng, *, T=5, B=4, V=6, H=3):
    """T steps of B texts over V symbols, so few that some are read twice at a time; H units."""
    shapes = {"E": (V, H), "W": (H, H), "U": (H, H), "b": (H,), "by": (V,)}
    p = {name: rng.standard_normal(shape) for name, shape in shapes.items()} | {"scale": rng.uniform(0.5, 2, 1)}
    tokens, targets = rng.integers(0, V, (T, B)), rng.integers(0, V, (T, B))
    tokens[:, 1:2] = tokens[:, :1]
    h0 = rng.standard_normal((B, H))
    return gradcheck.Target(
        p,
        lambda: loss_of(p, tokens, targets, h0),
        lambda: grads_of(p, tokens, targets, h0),
        inputs={"tokens": tokens, "targets": targets},
    )
