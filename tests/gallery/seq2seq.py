"""An encoder, and a decoder that is shown the true symbol before (teacher forcing), with one recurrence for both."""

from __future__ import annotations

import numpy as np

import gradcheck

START = 0


def softmax(z):
    """Each row as probabilities."""
    e = np.exp(z)
    return e / e.sum(axis=-1, keepdims=True)


def run(p, W, x, h):
    """The states before and after each step of one-hot x (T, B, V)."""
    states = [h]
    for step in x:
        states.append(np.tanh(step @ W + states[-1] @ p["U"] + p["b"]))
    return states


def run_back(p, x, states, dstates, dlast, dW, grads):
    """Add the gradients of a run: of its input weights to dW, of what both runs share to grads; that of its start."""
    carried = dlast
    for t in reversed(range(len(x))):
        dz = (dstates[t] + carried) * (1 - states[t + 1] ** 2)
        dW += x[t].T @ dz
        grads["U"] += states[t].T @ dz
        grads["b"] += dz.sum(axis=0)
        carried = dz @ p["U"].T
    return carried


def loss_and_grads(p, source, answer, eye):
    """The cross-entropy of the answer (T, B), a mean over the batch, and the gradients of all parameters."""
    B = answer.shape[1]
    shown = np.vstack([np.full((1, B), START), answer[:-1]])
    x, y = eye[source], eye[shown]
    read = run(p, p["We"], x, p["h0"])
    said = run(p, p["Wd"], y, read[-1])
    probs = softmax(np.array(said[1:]) @ p["V"] + p["c"])
    loss = -np.sum(eye[answer] * np.log(probs)) / B

    grads = {name: np.zeros_like(weight) for name, weight in p.items()}
    dlogits = (probs - eye[answer]) / B
    grads["V"] += np.einsum("tbh,tbv->hv", np.array(said[1:]), dlogits)
    grads["c"] += dlogits.sum(axis=(0, 1))
    dsaid = dlogits @ p["V"].T
    nothing = np.zeros_like(p["h0"])
    dmiddle = run_back(p, y, said, dsaid, nothing, grads["Wd"], grads)
    grads["h0"] += run_back(p, x, read, [nothing] * len(x), dmiddle, grads["We"], grads)
    return loss, grads


@gradcheck.target
def seq2seq(rng, *, S=3, T=4, B=3, V=5, H=4):
    """S symbols read, T symbols said."""
    shapes = {"We": (V, H), "Wd": (V, H), "U": (H, H), "b": (H,), "V": (H, V), "c": (V,), "h0": (B, H)}
    p = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    source, answer, eye = rng.integers(0, V, (S, B)), rng.integers(0, V, (T, B)), np.eye(V)
    return gradcheck.Target.from_function(lambda p: loss_and_grads(p, source, answer, eye), p)
