"""Whom an edit of another statement only makes up for."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.tape_findings import tape_findings
from tests.gradcheck._repair.spoiled import cell, line_of

POOLED = """\
import numpy as np
import gradcheck


def forward(p, x):
    a = np.tanh(x @ p["W"])
    e = np.exp(a)
    s = e / e.sum(axis=1, keepdims=True)
    return a, s, s @ p["V"]


def grads(p, x):
    a, s, y = forward(p, x)
    ds = y @ p["V"].T
    inner = (s * ds).sum(axis=1, keepdims=True)
    dz = s * (ds - inner)
    da = dz * (1 - a**2)
    return {"W": x.T @ da, "V": s.T @ y}


@gradcheck.target
def cell(rng, *, B=3, D=2, H=4, K=2):
    p = {"W": rng.standard_normal((D, H)), "V": rng.standard_normal((H, K))}
    x = rng.standard_normal((B, D))
    return gradcheck.Target(p, lambda: 0.5 * np.sum(forward(p, x)[2] ** 2), lambda: grads(p, x))
"""


@pytest.mark.parametrize("read", ["", "    peak = inner.max()\n"], ids=["read once", "read elsewhere"])
def test_what_binds_a_variable_that_an_edit_does_without_is_asked(tmp_path: Path, read: str) -> None:
    """A sum over the wrong axis would be written anew where it is read, and stay as it is."""
    right, wrong = "    dz = s * (ds - inner)\n", "inner = (s * ds).sum(axis=1, keepdims=True)"
    factory = cell(tmp_path, (right, read + right), (wrong, wrong.replace("axis=1", "axis=0")), source=POOLED)
    found = find_by_tape(factory, 0, dict(factory.sizes), {"W"})
    assert found is not None
    assert found.still_wrong == ()
    assert [one.line for one in found.faults] == [line_of(wrong, POOLED)]


RESIDUAL = """\
import numpy as np
import gradcheck


class Tanh:
    def __init__(self, W):
        self.W, self.dW = W, np.zeros_like(W)

    def forward(self, x):
        self.x, self.y = x, np.tanh(x @ self.W)
        return self.y

    def backward(self, dy):
        da = dy * (1 - self.y**2)
        self.dW += self.x.T @ da
        dx = da @ self.W.T
        return dx


class Block:
    def __init__(self, inner):
        self.inner = inner

    def forward(self, x):
        return self.inner.forward(x) + x

    def backward(self, dy):
        return self.inner.backward(dy) + dy


@gradcheck.target
def cell(rng, *, B=3, H=3):
    p = {name: rng.standard_normal((H, H)) for name in ("A", "B")}
    x, y = rng.standard_normal((B, H)), rng.standard_normal((B, H))

    def run():
        first, second = Tanh(p["A"]), Block(Tanh(p["B"]))
        return first, second, second.forward(first.forward(x)) - y

    def grads():
        first, second, e = run()
        dy = e / len(x)
        first.backward(second.backward(dy))
        return {"A": first.dW, "B": second.inner.dW}

    return gradcheck.Target(p, lambda: 0.5 * float(np.sum(run()[2] ** 2)) / len(x), grads)
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("return self.inner.backward(dy) + dy", "return self.inner.backward(dy)", "self.inner.backward(dy) + dy"),
        ("dy = e / len(x)", "dy = np.copy(e)\n        dy /= x.size", "dy /= B"),
        ("self.dW += self.x.T @ da", "self.dW += da.T @ self.x", "self.dW += (da.T @ self.x).T"),
    ],
    ids=["the block has the use", "the divisor is there", "a square matrix is made the wrong way"],
)
def test_the_statement_that_is_meant_is_told(tmp_path: Path, old: str, new: str, expected: str) -> None:
    """A layer would get the term of the block around it, a wrong factor a second one, or a caller a transpose."""
    factory = cell(tmp_path, (old, new), source=RESIDUAL)
    found = find_by_tape(factory, 0, dict(factory.sizes), {"A", "B"})
    assert found is not None
    assert found.still_wrong == ()
    (finding,) = tape_findings(found, verified=True)
    assert expected in finding.fix.after
