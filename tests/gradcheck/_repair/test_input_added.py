"""A layer that adds its input to what it calculates does so on the way back as well."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gradcheck._mending.gaps import Function
from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.input_added import adds_its_input
from tests.gradcheck._repair.spoiled import cell, line_of

#: layers that add what they are given to what they calculate
RESIDUAL = """\
import numpy as np
import gradcheck


class Layer:
    def __init__(self, w):
        self.w = w

    def forward(self, x):
        self.x, self.y = x, np.tanh(x @ self.w)
        return x + self.y

    def backward(self, dy):
        da = dy * (1 - self.y**2)
        self.dw = self.x.T @ da
        return da @ self.w.T + dy


class Net:
    def __init__(self, rng, layers, H):
        self.layers = [Layer(0.5 * rng.standard_normal((H, H))) for _ in range(layers)]
        self.x = rng.standard_normal((2, H))

    def loss(self):
        x = self.x
        for layer in self.layers:
            x = layer.forward(x)
        self.out = x
        return 0.5 * float(np.sum(x**2))

    def grads(self):
        dx = self.out
        for layer in reversed(self.layers):
            dx = layer.backward(dx)
        return {f"w{k}": layer.dw for k, layer in enumerate(self.layers)} | {"x": dx}

    def params(self):
        return {f"w{k}": layer.w for k, layer in enumerate(self.layers)} | {"x": self.x}


@gradcheck.target
def cell(rng, *, layers=3, H=3):
    net = Net(rng, layers, H)
    return gradcheck.Target(net.params(), net.loss, net.grads)
"""


#: the same as functions, and a read-out whose backward begins before
FUNCTIONS = """\
import numpy as np
import gradcheck


def read_fwd(x, v):
    return x @ v, (x, v)


def read_bwd(dy, cache):
    x, v = cache
    return dy @ v.T, x.T @ dy


def block_fwd(x, w):
    y = np.tanh(x @ w)
    return x + 0.5 * y, (x, w, y)


def block_bwd(dout, cache):
    x, w, y = cache
    da = 0.5 * dout * (1 - y**2)
    return da @ w.T + dout, x.T @ da


def loss(p, y):
    return 0.5 * float(np.sum((read_fwd(block_fwd(np.tanh(p["x"]), p["w"])[0], p["v"])[0] - y) ** 2))


def grads(p, y):
    x = np.tanh(p["x"])
    h, c_block = block_fwd(x, p["w"])
    out, c_read = read_fwd(h, p["v"])
    dh, dv = read_bwd(out - y, c_read)
    dx, dw = block_bwd(dh, c_block)
    return {"x": dx * (1 - x**2), "w": dw, "v": dv}


@gradcheck.target
def cell(rng, *, B=4, H=3):
    shapes = {"x": (B, H), "w": (H, H), "v": (H, H)}
    p, y = {name: rng.standard_normal(shape) for name, shape in shapes.items()}, rng.standard_normal((B, H))
    return gradcheck.Target(p, lambda: loss(p, y), lambda: grads(p, y))
"""


@pytest.mark.lines
def test_a_layer_is_told_and_not_who_calls_it(tmp_path: Path) -> None:
    """Whoever calls the layer would be accused, and the layer stay wrong for all others."""
    bug = ("return da @ self.w.T + dy", "return da @ self.w.T")
    found = find_by_tape(cell(tmp_path, bug, source=RESIDUAL), 0, {"layers": 3, "H": 3}, {"w0", "w1", "x"})
    assert found is not None
    assert found.still_wrong == ()
    assert [one.line for one in found.faults] == [line_of(bug[0], RESIDUAL)]


@pytest.mark.lines
def test_a_function_is_told_that_hands_back_several(tmp_path: Path) -> None:
    """So it would be where layers are functions, that return the gradients of what they read as well."""
    bug = ("return da @ w.T + dout, x.T @ da", "return da @ w.T, x.T @ da")
    found = find_by_tape(cell(tmp_path, bug, source=FUNCTIONS), 0, {"B": 4, "H": 3}, {"x"})
    assert found is not None
    assert found.still_wrong == ()
    assert [one.line for one in found.faults] == [line_of(bug[0], FUNCTIONS)]


@pytest.mark.parametrize(
    ("forward", "adds"),
    [
        ("return x + self.f(x)", True),
        ("y = self.f(x)\n    return y + x", True),
        ("return self.f(x)", False),
        ("return self.f(x) + self.bias", False),
    ],
)
def test_which_functions_add_their_input(forward: str, adds: bool) -> None:
    """A layer would be edited that has nothing to do with what its caller adds."""
    (function,) = ast.parse(f"def forward(self, x):\n    {forward}\n").body
    assert isinstance(function, Function)
    assert adds_its_input(function) is adds
