"""A small recurrent network with a hand-written backward, to be spoiled and mended at different sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gradcheck._common.files import load
from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.points import Point, points_of
from gradcheck._repair.wrong_values import Taped, wrong_gradients
from gradcheck._tape import TapedRun
from gradcheck._targets.factory import TargetFactory
from gradcheck._usercode.source import Source

#: looks for a fault: given what is found so far, what makes a run of it, and where edits are confirmed
Look = Callable[[Found, Taped, Sequence[Point]], Mended | None]

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


def looked_for(factory: TargetFactory) -> Found:
    """What the search for lines finds where it is told what is wrong: something, at any rate."""
    found = find_by_tape(factory, 0, dict(factory.sizes), wrong_gradients(taped(factory)[0]))
    assert found is not None
    return found


def found_alone(look: Look, folder: Path, *bugs: tuple[str, str], source: str = HEAD) -> Mended | None:
    """What one kind of search alone says of the network, or of another source, with these bugs."""
    _, points = taped(cell(folder, *bugs, source=source))
    file = str(folder / "cell.py")
    running = Source.of_running(file)
    assert running is not None
    return look(Found(sources={file: running}), lambda _: points[1].taped(), points)


#: a layer over time that is handed the cotangents of all its outputs, and of its last state
VJP = """\
import numpy as np
import gradcheck


def forward(x, W, c):
    cs = []
    for xt in x:
        c = np.tanh(xt @ W + c)
        cs.append(c)
    return (np.array(cs), c), (x, W, cs)


def backward(cotangents, cache):
    douts, dlast = cotangents
    x, W, cs = cache
    dx, dW = np.zeros_like(x), np.zeros_like(W)
    dc = dlast
    for t in reversed(range(len(x))):
        dc = dc + douts[t]
        dz = dc * (1 - cs[t]**2)
        dx[t] = dz @ W.T
        dW += x[t].T @ dz
        dc = dz
    return dx, dW, dc


@gradcheck.target
def cell(rng, *, T=3, B=2, D=4, H=5):
    inputs = {"x": rng.standard_normal((T, B, D)), "W": rng.standard_normal((D, H)), "c": rng.standard_normal((B, H))}
    return gradcheck.Target.from_vjp(forward, backward, inputs)
"""

#: an embedding, some of whose rows are chosen more than once
EMBEDDING = """\
import numpy as np
import gradcheck


def loss(p, tokens):
    return sum(0.5 * np.sum(np.tanh(p["E"][chosen] * p["w"]) ** 2) for chosen in tokens)


def grads(p, tokens):
    dE, dw = np.zeros_like(p["E"]), np.zeros_like(p["w"])
    for chosen in tokens:
        h = np.tanh(p["E"][chosen] * p["w"])
        da = h * (1 - h**2)
        np.add.at(dE, chosen, da * p["w"])
        dw += np.sum(da * p["E"][chosen], axis=0)
    return {"E": dE, "w": dw}


@gradcheck.target
def cell(rng, *, T=3, B=4, V=5, H=2):
    p, tokens = {"E": rng.standard_normal((V, H)), "w": rng.standard_normal(H)}, rng.integers(0, V, (T, B))
    tokens[:, 1] = tokens[:, 0]
    return gradcheck.Target(p, lambda: loss(p, tokens), lambda: grads(p, tokens))
"""
