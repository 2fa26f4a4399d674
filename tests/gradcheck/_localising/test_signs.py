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


def test_of_several_derivatives_only_the_last_is_read(tmp_path):
    """If this failed, a gradient that is assigned in a loop in which it should be added up would have no sign."""
    found, lines = located(tmp_path, ("dV += h.T @ dout", "dV = h.T @ dout"))
    assert ("overwritten", "dV", lines[0]) in _signs(found)


def test_what_is_read_in_every_round_is_not_overwritten(tmp_path):
    """If this failed, every name of a loop in a backward that is right would be told to be overwritten."""
    found, _ = located(tmp_path, ("dU += before.T @ dz", "dU += h.T @ dz"))
    assert "overwritten" not in {one.kind for one in found.signs}


EMBEDDING = """
import numpy as np
def loss(p, tokens):
    return 0.5 * np.sum(np.tanh(p["E"][tokens] @ p["w"]) ** 2)
def grads(p, tokens):
    h = np.tanh(p["E"][tokens] @ p["w"])
    da = h * (1 - h ** 2)
    dE = np.zeros_like(p["E"])
    dE[tokens] += np.outer(da, p["w"])
    return {"E": dE, "w": p["E"][tokens].T @ da}
"""


def _embedded(folder, tokens, source=EMBEDDING):
    made, rng = module(folder, source), np.random.default_rng(0)
    p, tokens = {"E": rng.standard_normal((5, 3)), "w": rng.standard_normal(3)}, np.array(tokens)
    target = gradcheck.Target(p, lambda: made.loss(p, tokens), lambda: made.grads(p, tokens))
    return localise(tape_target(target, target.values()), ["E"])


def test_an_index_that_repeats(tmp_path):
    """If this failed, the classic mistake with embeddings would be one wrong line among others."""
    assert ("repeated index", "dE[tokens]", 9) in _signs(_embedded(tmp_path, [1, 0, 1]))


def test_an_index_that_does_not_repeat_or_is_assigned_to(tmp_path):
    """If this failed, a right update through an index, or an assignment that is meant to, would be told."""
    assert "repeated index" not in {one.kind for one in _embedded(tmp_path, [1, 0, 2]).signs}
    assigned = EMBEDDING.replace("dE[tokens] +=", "dE[tokens] =")
    assert "repeated index" not in {one.kind for one in _embedded(tmp_path, [1, 0, 1], assigned).signs}


PRODUCT = """
import numpy as np
def forward(x, w):
    return np.tanh(x * w), (x, w, np.tanh(x * w))
def two(x, w, dz):
    return dz * w, 2 * dz * x
def named(**given):
    return two(**given)
def backward(dy, cache):
    x, w, y = cache
    dz = dy * (1 - y ** 2)
    BODY
"""


def _names_without_effect(folder, body):
    made, rng = module(folder, PRODUCT.replace("BODY", body)), np.random.default_rng(0)
    inputs = {"x": rng.standard_normal(4), "w": rng.standard_normal(4)}
    target = gradcheck.Target.from_vjp(made.forward, made.backward, inputs)
    target.draw_cotangents(rng)
    found = localise(tape_target(target, target.values()), ["w"])
    return {one.name for one in found.signs if one.kind in ("never read", "no effect")}


def test_what_is_used_under_another_name_has_an_effect(tmp_path):
    """If this failed, a name beside the one that is read, or handed on with **, would be told to have no effect."""
    assert _names_without_effect(tmp_path, "d, one = dz, 1; return dz * w, 2 * dz * x") == set()
    assert _names_without_effect(tmp_path, "d, one = dz, 1; return named(x=x, w=w, dz=d)") == set()
    assert _names_without_effect(tmp_path, "kept = {'dz': dz}; return two(x, w, **kept)") == set()
    assert _names_without_effect(tmp_path, "d = dz * 2; return dz * w, 2 * dz * x") == {"d"}
