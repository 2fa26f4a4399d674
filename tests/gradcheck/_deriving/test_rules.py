"""Every NumPy function that has a rule: a loss of it is derived, and the full check finds the gradients right."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from gradcheck._common.files import load
from gradcheck._deriving.derivation import Derivation, derive

MODULE = """
import numpy as np
import gradcheck


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.real.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def loss_of(p, k):
    A, B, u, s = p["A"], p["B"], p["u"], p["s"]
{body}


@gradcheck.target
def make(rng, *, n=3, m=4):
    shapes = {{"A": (n, m), "B": (m, n), "u": (m,), "s": (1,)}}
    p = {{name: rng.uniform(0.3, 1.5, shape) for name, shape in shapes.items()}}
    k = rng.integers(0, m, n)

    def grads():
        raise NotImplementedError

    return gradcheck.Target(p, lambda: loss_of(p, k), grads)
"""
NUMBER = itertools.count()
#: read by every loss, so that none is vacuous
ALL = " + np.sum(A**2) + np.sum(B**3) + np.sum(u**2) + s[0] ** 2"


def derived(folder: Path, body: str) -> Derivation:
    """What is derived of a loss with this body."""
    lines = [f"    {line}" for line in body.splitlines()]
    lines[-1] = lines[-1] + ALL
    path = folder / f"rule_{next(NUMBER)}.py"
    path.write_text(MODULE.format(body="\n".join(lines)))
    return derive(load(path).make)


@pytest.mark.parametrize(
    "expression",
    [
        "np.sum(A * u - s)",
        "np.sum(u / A) + np.sum(-A / s)",
        "np.sum((A @ B) ** 2)",
        "np.sum((A @ u) ** 3)",
        "(u @ u) * np.dot(u, u)",
        "np.sum((u @ B) ** 2)",
        "np.sum(A**3 + 2**A + A**s)",
        "np.sum(np.tanh(A) + np.exp(u) + np.log(A) + np.sqrt(B).T)",
        "np.sum(np.sin(A) * np.cos(A) + np.sinh(A) - np.arctan(A) + np.log1p(A) + np.expm1(A))",
        "np.sum(np.abs(A - 1) + np.square(A) + np.reciprocal(A) + np.cosh(A) + np.log10(A))",
        "np.sum(np.maximum(A, 1) ** 2 + np.minimum(A, u) + np.clip(A, 0.5, 1.0) ** 3)",
        "np.sum(np.where(A > 1, A**2, np.exp(u)))",
        "np.sum(A.mean(axis=0) * u) + A.mean() ** 2 + np.mean(B, axis=1) @ u",
        "np.sum(A.sum(axis=1, keepdims=True) * A) + np.sum(A.sum(axis=1) ** 2)",
        "np.sum(A.var(axis=1)) + A.std() + np.var(B)",
        "A.max() * u.min() + np.sum(np.max(A, axis=1) ** 2)",
        "np.sum(A.T * B + A.transpose(1, 0) * B + np.swapaxes(A, 0, 1) ** 2)",
        "np.sum(A.reshape(-1) * B.ravel()) + np.sum((u[:, None] * B).T + u[np.newaxis] * A)",
        "np.sum(np.concatenate([A, B.T], axis=0) ** 3) + np.sum(np.hstack([A, A * s]) ** 2)",
        "np.sum(np.vstack([A, B.T]) ** 2) + np.sum(np.stack([A, B.T]) ** 3) + np.sum(np.array([u, u * s]) ** 2)",
        "np.sum(np.tile(u, (len(A), 1)) * A)",
        "np.sum(np.broadcast_to(u, A.shape) ** 2 * A)",
        "np.einsum('ij,ji->', A, B) + np.sum(np.einsum('ij,j->i', A, u) ** 2)",
        "np.sum(np.outer(u, u) @ B)",
        "np.linalg.norm(u) * np.sum(A / np.linalg.norm(A, axis=1, keepdims=True))",
        "np.sum(np.cumsum(A, axis=1) ** 2)",
        "np.sum(A[:, 1:] * B[:-1].T) + A[0, 0] ** 3 + np.sum(A[::-1] ** 2 * A)",
        "np.sum(A[np.arange(len(A)), k] ** 2) + np.sum(B[k] ** 2) + np.sum(B[[0, 0]])",
        "-np.log(softmax(A)[np.arange(len(A)), k]).mean()",
        "-np.sum(np.log(np.take_along_axis(softmax(A), k[:, None], axis=1)))",
        "np.sum(softmax(A) ** 2) + np.sum(sigmoid(A) ** 2)",
        "sum(np.sum(one**2) for one in (A, B, u))",
        "sum(np.sum(row**3) for row in A)",
    ],
)
def test_each_function_is_derived_right(tmp_path: Path, expression: str) -> None:
    """A backward with this function in its forward would be refused, or would not be written at all."""
    assert derived(tmp_path, f"return {expression}").report.ok


@pytest.mark.parametrize(
    "body",
    [
        "a, b = np.split(np.hstack([A, A * u]), 2, axis=1)\nreturn np.sum(a**2 * b)",
        "h, hs = u, []\n"
        "for row in A:\n"
        "    h = np.tanh(row * h + u)\n"
        "    hs.append(h)\n"
        "return np.sum(np.array(hs) ** 2)",
        "hs = [u]\n"
        "for t in range(len(A)):\n"
        "    hs.append(np.tanh(A[t] * hs[-1]))\n"
        "return np.sum(np.stack(hs[1:]) ** 2) + np.sum(hs[-1])",
        "hs = {-1: u}\nfor t in range(len(A)):\n    hs[t] = np.tanh(A[t] * hs[t - 1])\nreturn np.sum(hs[len(A) - 1])",
        "h = np.zeros_like(A)\n"
        "for t in range(len(A)):\n"
        "    h[t] = np.tanh(A[t] + (h[t - 1] if t else u))\n"
        "return np.sum(h**2)",
        "h = u\n"
        "for t in range(len(A) - 1, -1, -1):\n"
        "    if t % 2:\n"
        "        h = h * A[t]\n"
        "    else:\n"
        "        h = h + np.sin(A[t])\n"
        "return np.sum(h)",
        "total = 0.0\n"
        "for t, (row, column) in enumerate(zip(A, B.T)):\n"
        "    total += (t + 1) * np.sum(row * column)\n"
        "return total",
        "total = 0.0\nfor a in A:\n    for b in B.T:\n        total = total + np.sum(np.tanh(a * b))\nreturn total",
        "out = np.zeros(A.shape)\nout += A\nout *= u\nout[0] += u\nreturn np.sum(out**2)",
        "z = np.zeros((len(A), len(u)))\nnp.add.at(z, k % len(A), A)\nreturn np.sum(z**2)",
        "state = (u, u * s)\n"
        "for row in A:\n"
        "    a, b = state\n"
        "    state = (np.tanh(a + b * row), a * b)\n"
        "return np.sum(state[0] * state[1])",
        "parts = {'x': A * u, 'y': B}\nreturn sum(np.sum(value**2) for value in parts.values())",
        "z = A @ B @ A\nfor name in ('A', 'u'):\n    z = z + p[name]\nreturn np.sum(np.tanh(z))",
        "scores = A @ u\ne = np.exp(scores - scores.max())\nw = e / e.sum()\nreturn np.sum((w @ A) ** 2)",
    ],
)
def test_each_kind_of_statement_is_derived_right(tmp_path: Path, body: str) -> None:
    """A forward with a loop, a list, a dict, a buffer or a branch would have no backward."""
    assert derived(tmp_path, body).report.ok
