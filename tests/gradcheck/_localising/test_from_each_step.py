"""Whether a backward goes back from each step anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._localising.from_each_step import _functions_with_such_loops, goes_back_from_each
from gradcheck._localising.standing import Standing, Standings
from tests.gradcheck._repair.spoiled import cell, looked_for, taped

LOOPS = """
class Net:
    def anew(self):
        for t in reversed(range(T)):
            for s in range(t, -1, -1):
                pass

def over_all():
    for t in range(T):
        for s in range(T):
            pass

def one_after_the_other():
    for t in range(T):
        pass
    for s in range(t):
        pass

def by_itself(t):
    for t in range(t):
        pass

def outside():
    def inside():
        for _, (t, x) in enumerate(kept):
            if x:
                for s in kept[:t]:
                    pass
"""


def test_the_range_of_the_inner_loop_reads_the_counter_of_the_outer_one():
    """If it fails, derivatives of one term count as none, or those of all terms where the loops go over all of them."""
    assert _functions_with_such_loops(LOOPS) == {"Net.anew", "outside", "outside.inside"}


#: a recurrence that tells a label at each step, from each of which the backward goes back to the first
FROM_EACH = """\
import numpy as np
import gradcheck


def forward(p, x):
    hs, shares = [np.zeros(len(p["U"]))], []
    for xt in x:
        hs.append(np.tanh(p["W"] @ xt + p["U"] @ hs[-1]))
        e = np.exp(p["V"] @ hs[-1])
        shares.append(e / e.sum())
    return hs, shares


def loss(p, x, labels):
    return -sum(np.log(share[label]) for share, label in zip(forward(p, x)[1], labels))


def grads(p, x, labels):
    (hs, shares), g = forward(p, x), {name: np.zeros_like(one) for name, one in p.items()}
    for t in reversed(range(len(x))):
        do = shares[t].copy()
        do[labels[t]] -= 1
        g["V"] += np.outer(do, hs[t + 1])
        delta = p["V"].T @ do * (1 - hs[t + 1] ** 2)
        for s in range(t, -1, -1):
            g["W"] += np.outer(delta, x[s])
            g["U"] += np.outer(delta, hs[s])
            delta = p["U"].T @ delta * (1 - hs[s] ** 2)
    return g


@gradcheck.target
def cell(rng, *, T=4, D=2, H=3):
    p = {"W": rng.standard_normal((H, D)), "U": rng.standard_normal((H, H)), "V": rng.standard_normal((5, H))}
    x, labels = rng.standard_normal((T, D)), rng.integers(0, 5, T)
    return gradcheck.Target(p, lambda: loss(p, x, labels), lambda: grads(p, x, labels))
"""


def test_what_comes_back_of_one_term_is_a_derivative(tmp_path: Path) -> None:
    """If it fails, all that a beginner's backward through time calculates counts as wrong, and right lines are told."""
    run, _ = taped(cell(tmp_path, source=FROM_EACH))
    assert goes_back_from_each(run)
    standings = Standings(run)
    carried = [node for of_one, node in standings.calculated if of_one.text.startswith('delta = p["U"]')]
    assert len(carried) > 6
    assert {standings.of(node) for node in carried} <= {Standing.FULL, Standing.PARTIAL, Standing.ZERO}


@pytest.mark.lines
def test_a_wrong_slope_in_what_is_carried_is_mended_beside_another_fault(tmp_path: Path) -> None:
    """If it fails, slopes of two steps are added up there, by which nothing is right, and right lines are told."""
    bugs = ("@ delta * (1 - hs[s] ** 2)", "@ delta * (1 - hs[s + 1] ** 2)"), ('g["W"] +=', 'g["W"] =')
    factory = cell(tmp_path, *bugs, source=FROM_EACH)
    found = looked_for(factory)
    assert found.still_wrong == ()
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    assert source.edited(found.edits[source.file]) == FROM_EACH
