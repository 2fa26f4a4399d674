"""A forecaster whose values are used in several ways: states as keys and as values, outputs that are fed back."""

from __future__ import annotations

from pathlib import Path

from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.found import Found
from tests.gradcheck._repair.spoiled import cell

FORECASTER = """\
import numpy as np
import gradcheck


def softmax(e):
    e = np.exp(e - e.max())
    return e / e.sum()


def encode(p, x):
    hs = np.zeros((len(x) + 1, len(p["U"])))
    for t in range(len(x)):
        hs[t + 1] = np.tanh(p["W"] @ x[t] + p["U"] @ hs[t])
    return hs


def pool(p, hs):
    alpha = softmax(hs[1:] @ p["a"])
    return alpha, alpha @ hs[1:]


def decode(p, s, y, shares):
    steps, last = [], np.zeros(y.shape[1])
    for t in range(len(y)):
        fed = shares[t] * last
        new = np.tanh(p["F"] @ fed + p["R"] @ s)
        out = p["V"] @ new
        steps.append((fed, s, new, out))
        s, last = new, out
    return steps


def loss(p, x, y, shares):
    steps = decode(p, pool(p, encode(p, x))[1], y, shares)
    return 0.5 * sum(np.sum((out - y[t]) ** 2) for t, (_, _, _, out) in enumerate(steps))


def pool_backward(p, dcontext, alpha, hs, g):
    dalpha = hs[1:] @ dcontext
    dscores = alpha * (dalpha - alpha @ dalpha)
    g["a"] = hs[1:].T @ dscores
    dhs = np.outer(alpha, dcontext) + np.outer(dscores, p["a"])
    return dhs


def backward(p, x, y, shares):
    hs = encode(p, x)
    alpha, context = pool(p, hs)
    steps = decode(p, context, y, shares)
    g = {key: np.zeros_like(one) for key, one in p.items()}
    ds_next, dout_next = np.zeros_like(context), np.zeros(y.shape[1])
    for t in reversed(range(len(y))):
        fed, s, new, out = steps[t]
        dout = out - y[t] + dout_next
        g["V"] += np.outer(dout, new)
        da = (p["V"].T @ dout + ds_next) * (1 - new**2)
        g["F"] += np.outer(da, fed)
        g["R"] += np.outer(da, s)
        ds_next = p["R"].T @ da
        dout_next = shares[t] * (p["F"].T @ da)
    dhs = pool_backward(p, ds_next, alpha, hs, g)
    dh_next = np.zeros_like(hs[0])
    for t in reversed(range(len(x))):
        dh = dhs[t] + dh_next
        dz = dh * (1 - hs[t + 1] ** 2)
        g["W"] += np.outer(dz, x[t])
        g["U"] += np.outer(dz, hs[t])
        dh_next = p["U"].T @ dz
    return g


@gradcheck.target
def cell(rng, *, T=4, D=2, H=3):
    shapes = {"W": (H, D), "U": (H, H), "a": (H,), "F": (H, D), "R": (H, H), "V": (D, H)}
    p = {key: rng.normal(size=shape) for key, shape in shapes.items()}
    x, y, shares = rng.normal(size=(T, D)), rng.normal(size=(T, D)), rng.uniform(size=T)
    return gradcheck.Target(p, lambda: loss(p, x, y, shares), lambda: backward(p, x, y, shares))
"""
SIZES = {"T": 4, "D": 2, "H": 3}
PARAMETERS = {"W", "U", "a", "F", "R", "V"}
#: mistakes: what is left out
NOT_FED_BACK = (
    ("ds_next, dout_next = np.zeros_like(context), np.zeros(y.shape[1])", "ds_next = np.zeros_like(context)"),
    ("dout = out - y[t] + dout_next", "dout = out - y[t]"),
    ('        dout_next = shares[t] * (p["F"].T @ da)\n', ""),
)
NOT_BY_SCORES = (('np.outer(alpha, dcontext) + np.outer(dscores, p["a"])', "np.outer(alpha, dcontext)"),)


def mended(folder: Path, *bugs: tuple[str, str]) -> tuple[str, Found]:
    """The text with the edits that are found, and what was found."""
    found = find_by_tape(cell(folder, *bugs, source=FORECASTER), 0, SIZES, PARAMETERS)
    assert found is not None
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    return source.edited(found.edits[source.file]).replace("'", '"'), found
