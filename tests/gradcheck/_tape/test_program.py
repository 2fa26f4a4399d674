"""Functions inside others that hold all that stands around them, and are as they were afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradcheck._repair.by_tape import find_by_tape
from gradcheck._tape import made_holding_all
from tests.gradcheck._repair.spoiled import cell
from tests.gradcheck._tape.programs import module

NESTED = """
    def make(x, weight):
        total = x + weight
        def loss():
            return total * weight
        def grads():
            return x
        return loss, grads

    def flat(x):
        return x
"""


def test_functions_hold_what_they_do_not_read(tmp_path):
    """If it fails, a variable that a gradient should read and does not cannot be looked at: Python has dropped it."""
    made = module(tmp_path, NESTED)
    codes = made.make.__code__, made.flat.__code__
    _, grads = made_holding_all(lambda: made.make(made.flat(2), 3))
    held = {name: one.cell_contents for name, one in zip(grads.__code__.co_freevars, grads.__closure__, strict=True)}
    assert (held["weight"], held["total"], grads()) == (3, 5, 2)
    assert (made.make.__code__, made.flat.__code__) == codes
    assert made.make(2, 3)[1].__code__.co_freevars == ("x",)


def test_an_error_leaves_functions_as_they_were(tmp_path):
    """If it fails, the user's code goes on to be other code once making its target has failed."""
    made = module(tmp_path, NESTED)
    code = made.make.__code__
    given = iter([2, "a"])  # what it runs is told by running it once
    with pytest.raises(TypeError):
        made_holding_all(lambda: made.make(next(given), 3))
    assert made.make.__code__ is code


#: a weight that the loss alone has
WEIGHTED = """\
import numpy as np
import gradcheck


@gradcheck.target
def cell(rng, *, B=3, D=2, H=3):
    p = {"W": rng.standard_normal((D, H)), "b": rng.standard_normal(H)}
    x, y, weight = rng.standard_normal((B, D)), rng.standard_normal((B, H)), rng.random((B, H))

    def loss():
        err = np.tanh(x @ p["W"] + p["b"]) - y
        return 0.5 * np.sum(weight * err**2) / B

    def grads():
        h = np.tanh(x @ p["W"] + p["b"])
        err = h - y
        derr = err / B * weight
        da = derr * (1 - h**2)
        return {"W": x.T @ da, "b": da.sum(axis=0)}

    return gradcheck.Target(p, loss, grads)
"""


def test_what_the_loss_alone_reads_is_written_into_the_gradient(tmp_path: Path) -> None:
    """If it fails, a weight of the loss that its gradient forgets gets no fix in a target that is made of closures."""
    factory = cell(tmp_path, ("err / B * weight", "err / B"), source=WEIGHTED)
    found = find_by_tape(factory, 0, dict(factory.sizes), {"W", "b"})
    assert found is not None
    assert found.still_wrong == ()
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    assert source.edited(found.edits[source.file]) == WEIGHTED
    made = factory.build(0, dict(factory.sizes))
    assert np.isfinite(made.loss_at(made.values()))
    grads = made.problem.grads
    assert "weight" not in grads.__code__.co_freevars
