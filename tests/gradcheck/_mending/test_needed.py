"""What a statement has to give: the derivative that leaves most of what it gives as it is."""

from __future__ import annotations

import numpy as np

import gradcheck
from gradcheck._mending import mends
from gradcheck._mending.needed import by_least_squares
from gradcheck._mending.residual import Residual
from gradcheck._tape import tape_target
from tests.gradcheck._mending.pieces import run_of
from tests.gradcheck._tape.programs import module

#: sequences that have ended keep their state; the mean is over the steps that each of them has
POOLED = """
import numpy as np

def forward(p, x, lengths):
    h, kept, total = p["h"] + np.zeros((len(lengths), len(p["h"]))), [], 0.0
    for t in range(len(x)):
        keep = (t < lengths).astype(float)[:, None]
        new = np.tanh(x[t] @ p["W"] + h @ p["U"])
        kept.append((keep, h, new))
        h = keep * new + (1 - keep) * h
        total = total + keep * h
    return total / lengths[:, None], h, kept

def loss(p, x, lengths):
    mean, last, _ = forward(p, x, lengths)
    return 0.5 * np.sum(mean ** 2) + np.sum(np.sin(last))

def grads(p, x, lengths):
    dmean, last, kept = forward(p, x, lengths)
    g, steps, dh = {name: np.zeros_like(one) for name, one in p.items()}, len(x), np.cos(last)
    for t in reversed(range(steps)):
        keep, before, new = kept[t]
        dh = dh + keep * dmean / steps
        da = keep * dh * (1 - new ** 2)
        g["W"] += x[t].T @ da
        g["U"] += before.T @ da
        dh = (1 - keep) * dh + da @ p["U"].T
    g["h"] += dh.sum(0)
    return g
"""


def test_what_a_mask_holds_back_is_the_same_derivative(tmp_path):
    """If it fails, zeros are taken for right where a state is kept, and no edit gives them: the line gets no fix."""
    made, rng, lengths = module(tmp_path, POOLED), np.random.default_rng(0), np.array([4, 2, 3])
    p = {name: rng.standard_normal(shape) for name, shape in {"W": (2, 3), "U": (3, 3), "h": 3}.items()}
    x = rng.standard_normal((4, 3, 2))
    target = gradcheck.Target(p, lambda: made.loss(p, x, lengths), lambda: made.grads(p, x, lengths))
    run = tape_target(target, target.values())
    statement = next(one for one in run.statements if one.text == "dh = dh + keep * dmean / steps")
    (edit,) = mends(run, statement)[0].edits
    assert edit.text == "lengths[:, None]"


def test_where_slopes_are_not_finite_nothing_is_solved_for(tmp_path):
    """If it fails, the root of zero in a backward ends the search with an error, and no line is told."""
    run = run_of(tmp_path, "c = a * 1\nda, db = a / 2 + np.sqrt(c - a), np.ones_like(b)")
    (node,) = [one for one in run.nodes if one.place is not None and one.place.text == "a * 1"]
    assert by_least_squares(Residual(run), [node]) is None


def test_where_slopes_are_finite_it_is_solved(tmp_path):
    """If it fails, what a statement has to give is never known where it is no derivative."""
    run = run_of(tmp_path, "c = a * 1\nda, db = c / 3, np.ones_like(b)")
    (node,) = [one for one in run.nodes if one.place is not None and one.place.text == "a * 1"]
    found = by_least_squares(Residual(run), [node])
    assert found is not None
    assert np.allclose(found[0][0], 3 * node.value)
