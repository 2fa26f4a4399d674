"""Penalties on the weights that the loss has and the gradient lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.penalties_left_out import mend_of_penalty
from gradcheck._repair.wrong_values import wrong_gradients
from tests.gradcheck._repair.spoiled import cell, line_of, taped

DECAYED = """\
import numpy as np
import gradcheck


class Net:
    def __init__(self, rng, D, H):
        self.W, self.U, self.decay = rng.standard_normal((H, H)) / 2, rng.standard_normal((H, D)), 0.05

    def forward(self, x):
        self.x, self.h = x, [np.zeros(len(self.W))]
        for xt in x:
            self.h.append(np.tanh(self.W @ self.h[-1] + self.U @ xt))
        return 0.5 * float(sum(np.sum(h**2) for h in self.h)) + self.decay * (np.sum(self.W**2) + np.sum(self.U**2))

    def backward(self):
        dW, dU, carry = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros(len(self.W))
        for t in range(len(self.x), 0, -1):
            dh = self.h[t] + carry
            da = dh * (1 - self.h[t]**2)
            dW += np.outer(da, self.h[t - 1])
            dU += np.outer(da, self.x[t - 1])
            carry = self.W.T @ da
        dW += 2 * self.decay * self.W
        dU += 2 * self.decay * self.U
        return {"W": dW, "U": dU}


@gradcheck.target
def cell(rng, *, T=4, D=2, H=3):
    net, x = Net(rng, D, H), rng.standard_normal((T, D))

    def grads():
        net.forward(x)
        return net.backward()

    return gradcheck.Target({"W": net.W, "U": net.U}, lambda: net.forward(x), grads)
"""
SIZES = {"T": 4, "D": 2, "H": 3}
W, U = ("        dW += 2 * self.decay * self.W\n", ""), ("        dU += 2 * self.decay * self.U\n", "")


@pytest.mark.lines
def test_all_that_are_left_out_are_written(tmp_path: Path) -> None:
    """The commonest thing that a loss has and a backward forgets would be named as the line of some sum."""
    found = find_by_tape(cell(tmp_path, W, U, source=DECAYED), 0, SIZES, {"W", "U"})
    assert found is not None
    assert found.still_wrong == ()
    (source,) = found.sources.values()
    text = source.edited(found.edits[source.file])
    assert "        dW += 2 * self.decay * self.W\n" in text
    assert "        dU += 2 * self.decay * self.U\n" in text


@pytest.mark.lines
def test_it_is_written_beside_another_fault(tmp_path: Path) -> None:
    """What is wrong elsewhere would hide it."""
    other = ("carry = self.W.T @ da", "carry = self.W @ da")
    found = find_by_tape(cell(tmp_path, U, other, source=DECAYED), 0, SIZES, {"W", "U"})
    assert found is not None
    assert found.still_wrong == ()
    assert line_of(other[0], DECAYED) in {one.line for one in found.faults}


@pytest.mark.parametrize(
    "bug",
    [("dW += 2 * self.decay * self.W", "dW += 2 * self.decay * self.W + self.W"), ("carry = self.W.T @ da", "pass")],
)
def test_what_no_use_brings_back_is_no_penalty(tmp_path: Path, bug: tuple[str, str]) -> None:
    """A term too much would be mended by its opposite, another fault by a penalty that the loss has not."""
    run, others = taped(cell(tmp_path, bug, source=DECAYED))
    assert mend_of_penalty(run, wrong_gradients(run), others) is None
