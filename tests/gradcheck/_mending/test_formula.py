"""Derivatives written out by the chain rule, in the names that the user has."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from gradcheck._mending.formula import formula
from gradcheck._mending.residual import Residual
from gradcheck._mending.suspects import Suspect
from gradcheck._mending.uses import AllUses
from gradcheck._repair.by_tape import find_by_tape
from gradcheck._tape import tape_target
from tests.gradcheck._mending.pieces import candidates
from tests.gradcheck._repair.spoiled import cell
from tests.gradcheck._tape.programs import module

#: a function of one value, which is used once more beside it
PROGRAM = """
import numpy as np

def forward(p, u):
    x = p["a"] * u
    y = {function}
    return x, y, u * y + x

def loss(p, u):
    return np.sum(np.sin(forward(p, u)[-1]))

def grads(p, u):
    x, y, out = forward(p, u)
    dout = np.cos(out)
    dy = dout * u
    dx = dout * 1
    return {{"a": dx * u}}
"""


def suspect_of(folder, function, statement, program=PROGRAM):
    """A statement of the program with this function."""
    made = module(folder, program.format(function=function))
    rng = np.random.default_rng(0)
    p, u = {"a": rng.uniform(0.5, 1.5, (2, 3))}, rng.uniform(0.5, 1.5, (2, 3))
    target = gradcheck.Target(p, lambda: made.loss(p, u), lambda: made.grads(p, u))
    run = tape_target(target, target.values())
    return Suspect(run, next(one for one in run.statements if one.text.startswith(statement)), Residual(run))


@pytest.mark.parametrize(
    ("function", "written"),
    [
        ("np.exp(x)", "dx = dy * y + dout"),
        ("np.sqrt(x)", "dx = dy / (2 * y) + dout"),
        ("np.log(x)", "dx = dy / x + dout"),
        ("np.square(x)", "dx = dy * 2 * x + dout"),
        ("np.sqrt(x * x + 1)", "dx = dy / y * x + dout"),
    ],
)
def test_the_slope_of_a_function_is_written(tmp_path, function, written):
    """A normalisation by the root of a mean square, which lacks the way through the root, would get no fix."""
    assert written in candidates(suspect_of(tmp_path, function, "dx ="), formula)


def test_what_is_broadcast_into_an_array_is_used_by_that(tmp_path):
    """The entries of a value that is written to many places were looked for where there are none: an error."""
    suspect = suspect_of(tmp_path, "np.zeros((4, 2, 3)); y[:] = x; y = y.sum(axis=0)", "dx =")
    (node,) = [one for one in suspect.run.nodes[: suspect.run.boundary] if one.place and one.place.text == 'p["a"] * u']
    assert {use.op for use, _ in suspect.run.once(AllUses).of(node)} == {"store", "add"}


@pytest.mark.parametrize(("given", "rest"), [("dout", "dy / x"), ("dy / x", "dout")])
def test_what_lacks_is_added_to_what_stands_there(given, rest, tmp_path):
    """If it fails, the whole derivative is written anew where one of two paths is left out."""
    made = PROGRAM.replace("dx = dout * 1", f"dx = {given}")
    found = candidates(suspect_of(tmp_path, "np.log(x)", "dx =", program=made), formula)
    assert f"dx = {given} + {rest}" in found


#: an attention, whose keys are what is summed up as well
ATTENTION = """\
import numpy as np
import gradcheck


def walk(p, x, query):
    ctx = np.tanh(x * p["E"])
    q = query @ p["Q"]
    s = (ctx @ q[:, :, None])[:, :, 0]
    e = np.exp(s)
    w = e / e.sum(axis=1, keepdims=True)
    out = (w[:, :, None] * ctx).sum(axis=1)
    return ctx, q, w, out


def loss(p, x, query, y):
    return 0.5 * np.sum((walk(p, x, query)[-1] - y) ** 2)


def grads(p, x, query, y):
    ctx, q, w, out = walk(p, x, query)
    dout = out - y
    dw = (ctx * dout[:, None, :]).sum(axis=2)
    ds = w * (dw - (w * dw).sum(axis=1, keepdims=True))
    dq = (ds[:, :, None] * ctx).sum(axis=1)
    dctx = w[:, :, None] * dout[:, None, :] + ds[:, :, None] @ q[:, None, :]
    return {"E": (dctx * (1 - ctx ** 2) * x).sum(axis=(0, 1)), "Q": query.T @ dq}


@gradcheck.target
def cell(rng, *, B=2, T=4, H=3):
    p = {"E": rng.standard_normal(H), "Q": rng.standard_normal((H, H))}
    x, query, y = rng.standard_normal((B, T, H)), rng.standard_normal((B, H)), rng.standard_normal((B, H))
    return gradcheck.Target(p, lambda: loss(p, x, query, y), lambda: grads(p, x, query, y))
"""


@pytest.mark.lines
def test_the_way_through_the_scores_is_written_beside_that_through_the_sum(tmp_path):
    """If it fails, the keys of an attention lack what the scores bring back, or batches are written with other axes."""
    term = "ds[:, :, None] @ q[:, None, :]"
    factory = cell(tmp_path, (f" + {term}", ""), source=ATTENTION)
    found = find_by_tape(factory, 0, dict(factory.sizes), {"E"})
    assert found is not None
    assert found.still_wrong == ()
    ((edit,),) = [one.edits for one in found.faults]
    beside = "w[:, :, None] * dout[:, None, :]"
    assert edit.text in (f"{term} + {beside}", f"{beside} + {term}", f" + {term}")
