"""A small recurrent network with a hand-written backward, to be spoiled and mended at different sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradcheck._common.files import load
from gradcheck._repair.points import Point, points_of
from gradcheck._tape import TapedRun
from gradcheck._targets.factory import TargetFactory

HEAD = """\
import numpy as np
import gradcheck


class Net:
    def __init__(self, rng, D, H):
        self.W, self.U = rng.standard_normal((H, H)) / 2, rng.standard_normal((H, D))

    def forward(self, x):
        self.x, self.h = x, [np.zeros(len(self.W))]
        for xt in x:
            self.h.append(np.tanh(self.W @ self.h[-1] + self.U @ xt))
        return 0.5 * float(sum(np.sum(h**2) for h in self.h))

    def backward(self):
        dW, dU, carry = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros(len(self.W))
        for t in range(len(self.x), 0, -1):
            dh = self.h[t] + carry
            da = dh * (1 - self.h[t]**2)
            dW += np.outer(da, self.h[t - 1])
            dU += np.outer(da, self.x[t - 1])
            carry = self.W.T @ da
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


def cell(folder: Path, *bugs: tuple[str, str], source: str = HEAD) -> Any:
    """The factory of the network, or of another source, with these bugs, from a file of its own."""
    for old, new in bugs:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    file = folder / "cell.py"
    file.write_text(source)
    return load(file).cell


def line_of(text: str, source: str = HEAD) -> int:
    """The line of the right file that has this text."""
    return source[: source.index(text)].count("\n") + 1


def taped(factory: TargetFactory) -> tuple[TapedRun, tuple[Point, ...]]:
    """The run at the first sizes at which faults are looked for, and the points at which edits are confirmed."""
    points = next(points_of(factory, 0, dict(factory.sizes)))
    return points[0].run(), points[1:]
