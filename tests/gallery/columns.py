"""Column vectors, lists of states, weights that are globals and update themselves at every step."""

from __future__ import annotations

import numpy as np

import gradcheck

rate = 0.1
Wxh = Whh = Why = bh = by = np.zeros((1, 1))


def setup(rng, V, H):
    """New weights for V symbols and H units."""
    global Wxh, Whh, Why, bh, by
    Wxh, Whh, Why = rng.standard_normal((H, V)), rng.standard_normal((H, H)), rng.standard_normal((V, H))
    bh, by = rng.standard_normal((H, 1)), rng.standard_normal((V, 1))


def weights():
    """The weights as they are bound now."""
    return {"Wxh": Wxh, "Whh": Whh, "Why": Why, "bh": bh, "by": by}


def loss_fun(inputs, targets, hprev):
    """The cross-entropy of a window of symbols, and the gradients."""
    xs, hs, ps, loss = {}, {-1: hprev}, {}, 0.0
    for t in range(len(inputs)):
        xs[t] = np.zeros((len(by), 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(Wxh @ xs[t] + Whh @ hs[t - 1] + bh)
        y = Why @ hs[t] + by
        ps[t] = np.exp(y) / np.sum(np.exp(y))
        loss -= np.log(ps[t][targets[t], 0])
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby = np.zeros_like(bh), np.zeros_like(by)
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(inputs))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        dWhy += dy @ hs[t].T
        dby += dy
        dh = Why.T @ dy + dhnext
        draw = (1 - hs[t] * hs[t]) * dh
        dbh += draw
        dWxh += draw @ xs[t].T
        dWhh += draw @ hs[t - 1].T
        dhnext = Whh.T @ draw
    return loss, {"Wxh": dWxh, "Whh": dWhh, "Why": dWhy, "bh": dbh, "by": dby}


def step(inputs, targets, hprev):
    """Loss and gradients; and the weights go down the gradient."""
    global Wxh, Whh, Why, bh, by
    loss, grads = loss_fun(inputs, targets, hprev)
    Wxh = Wxh - rate * grads["Wxh"]
    Whh = Whh - rate * grads["Whh"]
    Why = Why - rate * grads["Why"]
    bh = bh - rate * grads["bh"]
    by = by - rate * grads["by"]
    return loss, grads


@gradcheck.target
def columns(rng, *, T=4, V=5, H=3):
    """What a training step reports; reset() takes the step back."""
    setup(rng, V, H)
    before = weights()
    inputs, targets, hprev = rng.integers(0, V, T), rng.integers(0, V, T), rng.standard_normal((H, 1))

    def reset():
        globals().update(before)

    def loss():
        return step(inputs, targets, hprev)[0]

    def grads():
        reset()
        return step(inputs, targets, hprev)[1]

    return gradcheck.Target(before, loss, grads, inputs={"inputs": inputs}, reset=reset)
