"""Derivatives written out by the chain rule, in the names that the user has."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from gradcheck._mending.formula import formula
from gradcheck._mending.residual import Residual
from gradcheck._mending.suspects import Suspect
from gradcheck._mending.uses import AllUses
from gradcheck._tape import tape_target
from tests.gradcheck._mending.pieces import candidates
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


def suspect_of(folder, function, statement):
    """A statement of the program with this function."""
    made = module(folder, PROGRAM.format(function=function))
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
