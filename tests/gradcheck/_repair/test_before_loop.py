"""What a loop begins with is told where it is bound, and not where the first round reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.tape_findings import tape_findings
from tests.gradcheck._repair.spoiled import cell, line_of, looked_for

#: the loss reads the last state and the mean of all, side by side
READ_OUT = """\
import numpy as np
import gradcheck


def forward(p, x):
    h, kept, total = np.zeros((x.shape[1], len(p["U"]))), [], 0.0
    for t in range(len(x)):
        new = np.tanh(x[t] @ p["W"] + h @ p["U"])
        kept.append((h, new))
        h = new
        total = total + h
    return np.concatenate([total / len(x), h], axis=1), kept


def grads(p, x, y):
    out, kept = forward(p, x)
    g, size = {name: np.zeros_like(one) for name, one in p.items()}, len(p["U"])
    dout = (out @ p["V"] - y) @ p["V"].T
    g["V"] += out.T @ (out @ p["V"] - y)
    dmean = dout[:, :size]
    dh = dout[:, size:]
    for t in reversed(range(len(x))):
        before, new = kept[t]
        dh = dh + dmean / len(x)
        da = dh * (1 - new ** 2)
        g["W"] += x[t].T @ da
        g["U"] += before.T @ da
        dh = da @ p["U"].T
    return g


@gradcheck.target
def cell(rng, *, T=4, B=2, H=3):
    shapes = {"W": (2, H), "U": (H, H), "V": (2 * H, 2)}
    p = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    x, y = rng.standard_normal((T, B, 2)), rng.standard_normal((B, 2))
    return gradcheck.Target(
        p, lambda: float(0.5 * np.sum((forward(p, x)[0] @ p["V"] - y) ** 2)), lambda: grads(p, x, y)
    )
"""
HALF = ("dh = dout[:, size:]", "dh = dout[:, :size]")
SLOPE = ("da = dh * (1 - new ** 2)", "da = dh * (1 - before ** 2)")
ASSIGNED = ('g["W"] += x[t].T @ da', 'g["W"] = x[t].T @ da')


@pytest.mark.parametrize("beside", [(), (SLOPE,), (ASSIGNED,)])
def test_the_statement_before_the_loop_is_told(tmp_path: Path, beside: tuple[tuple[str, str], ...]) -> None:
    """A line in the loop would be accused, with an edit after which nobody reads what the rounds hand on."""
    factory = cell(tmp_path, HALF, *beside, source=READ_OUT)
    found = looked_for(factory)
    lines = [finding.line for finding in tape_findings(found, verified=True)]
    assert sorted(lines) == sorted(line_of(right, READ_OUT) for right, _ in (HALF, *beside))
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    assert source.edited(found.edits[source.file]) == READ_OUT
