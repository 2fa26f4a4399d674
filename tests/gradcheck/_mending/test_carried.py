"""Derivatives that one round of a loop leaves for the next."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np

import gradcheck
from gradcheck._mending import mends
from gradcheck._mending.carried import carried, left_by_another_name, left_by_key
from gradcheck._mending.outside import apply_edits
from gradcheck._mending.residual import Residual
from gradcheck._mending.suspects import Suspect
from gradcheck._mending.syntax import Code
from gradcheck._tape import tape_target
from tests.gradcheck._tape.programs import module

NET = """
import numpy as np

def forward(p, x):
    h, hs = p["h"], []
    for xt in x:
        h = np.tanh(p["U"] @ h + xt)
        hs.append(h)
    return hs

def loss(p, x, y):
    return 0.5 * sum(np.sum((h - target) ** 2) for h, target in zip(forward(p, x), y))

def grads(p, x, y):
    hs = forward(p, x)
    dU = np.zeros_like(p["U"])
    for t in reversed(range(len(x))):
        before = hs[t - 1] if t else p["h"]
        dh = (hs[t] - y[t])
        da = dh * (1 - hs[t] ** 2)
        dU += np.outer(da, before)
        dstate = p["U"].T @ da
    return {"U": dU, "h": dstate}
"""


def run_of(made, T=3, seed=0):
    """The taped run of the network."""
    rng = np.random.default_rng(seed)
    p = {"U": rng.standard_normal((4, 4)) / 2, "h": rng.standard_normal(4)}
    x, y = rng.standard_normal((2, T, 4))
    target = gradcheck.Target(p, lambda: made.loss(p, x, y), lambda: made.grads(p, x, y))
    return tape_target(target, target.values())


def suspect_of(run, text):
    """A statement of the run."""
    return Suspect(run, next(one for one in run.statements if one.text.startswith(text)), Residual(run))


def test_what_the_last_round_left_is_added_and_begins_at_zero(tmp_path):
    """If it fails, a backward that forgets the gradient of the state, with no name for it before the loop, stays so."""
    made = module(tmp_path, NET)
    run = run_of(made)
    suspect = suspect_of(run, "dh =")
    found = mends(run, suspect.statement, [lambda: nullcontext(run_of(made, T=5, seed=1))])
    assert found
    assert found[0].gradients == ("U", "h")
    assert found[0].remaining == ()
    lines = apply_edits(NET, found[0].edits).splitlines()
    assert lines[16:19] == [
        "    dstate = 0",
        "    for t in reversed(range(len(x))):",
        '        before = hs[t - 1] if t else p["h"]',
    ]
    assert "dstate" in lines[19]


def test_names_that_are_bound_before_the_loop_or_of_another_shape_are_not_carried(tmp_path):
    """If it fails, a value that has its beginning already is set to zero, or runs are spent on what does not fit."""
    made = module(tmp_path, NET.replace("    dU = np", "    dstate = np.zeros(4)\n    dU = np"))
    suspect = suspect_of(run_of(made), "dh =")
    names = {edits[0].text.partition(" ")[0] for edits in carried(suspect)}
    assert "dstate" not in names
    grown = suspect_of(run_of(module(tmp_path, NET)), "dU +=")
    texts = {edits[1].text for edits in carried(grown) if edits[0].text.startswith("dstate")}
    assert texts == {"da + dstate", "before + dstate"}
    assert "dU" not in names
    assert names == {"dh", "da"}  # `before` has its value already when the statement runs first


def test_nothing_is_carried_where_there_is_no_loop_or_one_round(tmp_path):
    """If it fails, statements outside of loops are edited as if something had come before them."""
    made = module(tmp_path, NET)
    assert list(carried(suspect_of(run_of(made), "dU = np"))) == []
    assert list(carried(suspect_of(run_of(made, T=1), "dh ="))) == []
    assert list(carried(suspect_of(run_of(made), "dh =")))


LAYERS = """\
def backward(layers, out):
    for layer in reversed(layers):
        dx = layer.backward(out)
    return dx
"""


def test_what_is_read_behind_the_loop_keeps_its_name():
    """If it fails, layers that all get the gradient of the last one get no fix, or what reads the result breaks."""
    code = Code.of(LAYERS.replace("(layers, out):", "(layers, given):\n    out = given"))
    tree = next(node for node in code.tree.body[0].body[1].body)
    texts = [apply_edits(code.text, edits).splitlines()[3].strip() for edits in left_by_another_name(code, tree)]
    assert texts == ["out = dx = layer.backward(out)"]


def test_what_a_call_leaves_in_a_dict_goes_to_the_zeros_that_the_loop_waits_with(tmp_path):
    """If it fails, a loop that never takes up what its step hands back gets no fix, though the step is right."""
    text = NET.replace("        dstate =", "        step['dh'] =").replace('"h": dstate', '"h": step["dh"]')
    text = text.replace("    for t in rev", "    waits, other = np.zeros(4), np.ones(4)\n    for t in rev")
    text = text.replace("dh = (hs[t] - y[t])", "step = dict(dh=None, x=t)\n        dh = hs[t] - y[t] + waits * other")
    run = run_of(module(tmp_path, text))
    suspect = suspect_of(run, "step = dict")
    offered = [apply_edits(suspect.code.text, edits) for edits in left_by_key(suspect)]
    right = '    step[\'dh\'] = p["U"].T @ da\n        waits = step["dh"]\n'
    assert [one for one in offered if right in one]
    assert not [one for one in offered if "other = step" in one]
