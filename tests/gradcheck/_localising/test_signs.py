"""Signs that speak for themselves."""

from __future__ import annotations

import numpy as np

import gradcheck
from gradcheck._localising import localise
from gradcheck._tape import tape_target
from tests.gradcheck._localising.nets import located
from tests.gradcheck._tape.programs import module


def _signs(found):
    return {(one.kind, one.name, None if one.statement is None else one.statement.line) for one in found.signs}


def test_a_derivative_that_is_never_read(tmp_path):
    """If this failed, the surest sign of a dropped carry would not be told."""
    found, _ = located(tmp_path, (" + carry", ""), ('"h0": carry', '"h0": dh'))
    assert ("never read", "carry") in {one[:2] for one in _signs(found)}


def test_a_gradient_that_is_never_written(tmp_path):
    """If this failed, a forgotten gradient would be blamed on what is near it."""
    found, _ = located(tmp_path, ("        db += dz.sum(axis=0)\n", ""))
    assert ("never written", "b") in {one[:2] for one in _signs(found)}


def test_a_gradient_added_up_in_a_parameter(tmp_path):
    """If this failed, gradients that are added into the weights would be blamed on what is added."""
    found, _ = located(tmp_path, ('dV = np.zeros_like(p["V"])', 'dV = p["V"]'))
    assert ("writes into", "V", 26) in _signs(found)


def test_a_loop_in_the_order_of_the_forward(tmp_path):
    """If this failed, statements of a loop that runs the wrong way would be accused one by one."""
    found, lines = located(tmp_path, ("for t in reversed(range(len(x))):", "for t in range(len(x)):"))
    assert found.statements[0].line == lines[0]


VJP = """
import numpy as np
def forward(x, W, c):
    cs = []
    for t in range(len(x)):
        c = np.tanh(x[t] @ W + c)
        cs.append(c)
    return (np.array(cs), c), (x, W, cs)
def backward(cotangents, cache):
    douts, dlast = cotangents
    x, W, cs = cache
    dx, dW = np.zeros_like(x), np.zeros_like(W)
    dc = np.zeros_like(dlast)
    for t in reversed(range(len(x))):
        douts[t] += dc
        dz = douts[t] * (1 - cs[t] ** 2)
        dx[t], dc = dz @ W.T, dz
        dW += x[t].T @ dz
    return dx, dW, dc
"""


def test_cotangents_that_are_not_used_or_changed(tmp_path):
    """If this failed, dL/dc at the last step could be forgotten, or the caller's array changed, without a word."""
    made, rng = module(tmp_path, VJP), np.random.default_rng(0)
    inputs = {"x": rng.standard_normal((3, 2, 4)), "W": rng.standard_normal((4, 5)), "c": rng.standard_normal((2, 5))}
    target = gradcheck.Target.from_vjp(made.forward, made.backward, inputs)
    target.draw_cotangents(rng)
    run = tape_target(target, target.values())
    found = localise(run, ["x", "W", "c"], changed=["cotangent[0]"])
    signs = _signs(found)
    assert ("cotangent unused", "dlast", 13) in signs
    assert ("writes into", "cotangent[0]", 15) in signs
    assert found.statements[0].line == 13
