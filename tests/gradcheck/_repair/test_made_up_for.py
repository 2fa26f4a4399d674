"""Whom an edit of another statement only makes up for."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.by_tape import find_by_tape
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
