"""Backwards written with a class of the user's that has operators, and with loops over what stands in their heads."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._localising.spoiling import spoiling
from gradcheck._repair.forward import forward_statements
from tests.gradcheck._repair.spoiled import cell, line_of, looked_for, taped

#: parameters that are multiplied as matrices are, by forward and backward alike
MATRICES = """\
import numpy as np
import gradcheck


class Parameter:
    def __init__(self, value):
        self.value, self.gradient = value, np.zeros_like(value)

    @property
    def T(self):
        return self.value.T

    def __matmul__(self, vector):
        return self.value @ vector


class Net:
    def __init__(self, rng, H):
        self.W, self.U, self.V = (Parameter(rng.standard_normal((H, H))) for _ in "WUV")

    def forward(self, x):
        h, self.kept = np.zeros(len(x[0])), []
        for xt in x:
            before, h = h, np.tanh(self.W @ xt + self.U @ h)
            self.kept.append((before, h, self.V @ h))
        return self.kept

    def loss(self, x, y):
        return float(0.5 * sum(np.sum((out - yt) ** 2) for (_, _, out), yt in zip(self.forward(x), y)))

    def grads(self, x, y):
        kept, carry = self.forward(x), np.zeros(len(x[0]))
        for one in (self.W, self.U, self.V):
            one.gradient = np.zeros_like(one.value)
        for t in reversed(range(len(x))):
            before, h, out = kept[t]
            dh = self.V.T @ (out - y[t]) + carry
            da = dh * (1 - h ** 2)
            for one, left, right in ((self.V, out - y[t], h), (self.W, da, x[t]), (self.U, da * 1.0, before)):
                one.gradient += np.outer(left, right)
            carry = self.U.T @ da
        return {name: getattr(self, name).gradient for name in "WUV"}


@gradcheck.target
def cell(rng, *, T=3, H=3):
    net, x, y = Net(rng, H), rng.standard_normal((T, H)), rng.standard_normal((T, H))
    params = {name: getattr(net, name).value for name in "WUV"}
    return gradcheck.Target(params, lambda: net.loss(x, y), lambda: net.grads(x, y))
"""
TURNED = ("carry = self.U.T @ da", "carry = self.U @ da")


@pytest.mark.parametrize("bug", [TURNED, ("(self.U, da * 1.0, before)", "(self.U, da * h, before)")])
def test_the_line_that_uses_them_is_mended(tmp_path: Path, bug: tuple[str, str]) -> None:
    """The operator's own line would be accused, which is right, or none."""
    factory = cell(tmp_path, bug, source=MATRICES)
    found = looked_for(factory)
    assert found.still_wrong == ()
    assert [one.line for one in found.faults] == [line_of(bug[0], MATRICES)]
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    text = source.edited(found.edits[source.file])
    assert text.replace("self.U, da, before", "self.U, da * 1.0, before") == MATRICES


def test_what_an_operator_gives_belongs_to_the_line_that_uses_it(tmp_path: Path) -> None:
    """The statement in the class would be the one that spoils derivatives."""
    run, _ = taped(cell(tmp_path, TURNED, source=MATRICES))
    assert [one.statement.line for one in spoiling(run) if one.executions] == [line_of(TURNED[0], MATRICES)]


def test_what_a_loop_takes_from_its_head_is_given_to_its_rounds(tmp_path: Path) -> None:
    """What stands in a tuple that a loop goes through would be nobody's, since the same statement takes it out."""
    right = "(self.U, da * 1.0, before)"
    run, _ = taped(cell(tmp_path, (right, "(self.U, da * h, before)"), source=MATRICES))
    assert [one.statement.line for one in spoiling(run) if one.executions] == [line_of(right, MATRICES)]


#: a product that forward and backward call; what it does for the loss is right
SHARED = """\
import numpy as np
import gradcheck


def times(a, b):
    return a @ b


def loss(p, x, y):
    return float(0.5 * np.sum((times(np.tanh(times(x, p["W"])), p["V"]) - y) ** 2))


def grads(p, x, y):
    h = np.tanh(times(x, p["W"]))
    e = times(h, p["V"]) - y
    da = times(e, p["V"].T) * (1 - h ** 2)
    return {"W": times(x.T, da), "V": times(h.T, e)}


@gradcheck.target
def cell(rng, *, B=4, H=3):
    p = {"W": rng.standard_normal((H, H)), "V": rng.standard_normal((H, H))}
    x, y = rng.standard_normal((B, H)), rng.standard_normal((B, H))
    return gradcheck.Target(p, lambda: loss(p, x, y), lambda: grads(p, x, y))
"""


def test_what_the_loss_runs_is_forward_whoever_calls_it_besides(tmp_path: Path) -> None:
    """A helper of both would be accused where the backward hands it the wrong thing; its edit changes the loss."""
    run, _ = taped(cell(tmp_path, ('times(e, p["V"].T)', 'times(e, p["V"])'), source=SHARED))
    forward = {one.line for one in run.statements if id(one) in forward_statements(run)}
    assert line_of("return a @ b", SHARED) in forward
    assert line_of("da = ", SHARED) not in forward
