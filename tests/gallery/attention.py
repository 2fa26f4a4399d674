"""Attention over all states of a recurrent network, asked by its last one."""

from __future__ import annotations

import numpy as np

import gradcheck


def states_of(p, x):
    """The states after each step (T, B, H)."""
    h, states = p["h0"], []
    for step in x:
        h = np.tanh(step @ p["W"] + h @ p["U"] + p["b"])
        states.append(h)
    return np.array(states)


def attend(p, states):
    """The query (B, H), the weight of each state (T, B), and the weighted sum of them (B, H)."""
    query = states[-1] @ p["Q"]
    scores = np.einsum("tbh,bh->tb", states, query) / np.sqrt(query.shape[1])
    e = np.exp(scores - scores.max(axis=0))
    weights = e / e.sum(axis=0)
    return query, weights, np.einsum("tb,tbh->bh", weights, states)


def attend_back(p, states, query, weights, dcontext):
    """The gradients of the states, and of Q."""
    dweights = np.einsum("bh,tbh->tb", dcontext, states)
    dscores = weights * (dweights - (weights * dweights).sum(axis=0))
    dscores = dscores / np.sqrt(query.shape[1])
    dstates = weights[:, :, None] * dcontext
    dstates = dstates + dscores[:, :, None] * query
    dquery = np.einsum("tb,tbh->bh", dscores, states)
    dstates[-1] += dquery @ p["Q"].T
    return dstates, states[-1].T @ dquery


def grads_of(p, x, goal):
    """The gradients of all parameters."""
    states = states_of(p, x)
    query, weights, context = attend(p, states)
    dstates, dQ = attend_back(p, states, query, weights, context - goal)
    dW, dU, db = np.zeros_like(p["W"]), np.zeros_like(p["U"]), np.zeros_like(p["b"])
    carried = np.zeros_like(p["h0"])
    for t in reversed(range(len(x))):
        dz = (dstates[t] + carried) * (1 - states[t] ** 2)
        dW += x[t].T @ dz
        dU += (states[t - 1] if t else p["h0"]).T @ dz
        db += dz.sum(axis=0)
        carried = dz @ p["U"].T
    return {"W": dW, "U": dU, "b": db, "Q": dQ, "h0": carried}


@gradcheck.target
def attention(rng, *, T=4, B=2, D=3, H=5):
    """Half the squared error of what was attended to."""
    shapes = {"W": (D, H), "U": (H, H), "b": (H,), "Q": (H, H), "h0": (B, H)}
    p = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    x, goal = rng.standard_normal((T, B, D)), rng.standard_normal((B, H))

    def loss():
        return np.sum((attend(p, states_of(p, x))[2] - goal) ** 2) / 2

    return gradcheck.Target(p, loss, lambda: grads_of(p, x, goal), inputs={"x": x})
