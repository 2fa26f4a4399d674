"""Terms of a sum that are derivatives of something else than the others, or have less than they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradcheck._localising.misplaced import misplaced
from gradcheck._repair.by_tape import find_by_tape
from tests.gradcheck._repair.lists import LISTS, SIZES
from tests.gradcheck._repair.spoiled import HEAD, cell, line_of, taped

UNGATED = ("dc_next = (1 - i) * dc", "dc_next = dc")
#: the derivative of the new state's tanh is left out
NO_SLOPE = ("dc += dh * o * (1 - np.tanh(cs[t + 1]) ** 2)", "dc += dh * o")


def test_a_carry_without_its_gate_is_told_with_what_belongs_there(tmp_path: Path) -> None:
    """It is the derivative of the state itself: whoever adds it up would be accused, or nobody."""
    run, _ = taped(cell(tmp_path, UNGATED, source=LISTS))
    (found,) = misplaced(run)
    assert found.statement.line == line_of(UNGATED[0], LISTS)
    state = run.nodes[found.wanted[0].source]
    assert state.size == found.wanted[0].value.size
    assert np.any(found.wanted[0].value)


@pytest.mark.parametrize("source", [LISTS, HEAD])
def test_right_sums_have_nothing_misplaced(tmp_path: Path, source: str) -> None:
    """Right lines would be edited."""
    run, _ = taped(cell(tmp_path, source=source))
    assert misplaced(run) == []


@pytest.mark.lines
def test_it_is_mended_beside_another_fault(tmp_path: Path) -> None:
    """Neither edit makes a gradient right alone, and what is handed on is a derivative, if of another value."""
    bugs = [UNGATED, ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])")]
    found = find_by_tape(cell(tmp_path, *bugs, source=LISTS), 0, SIZES, {"Wi", "Wo", "Wg", "bi", "bo"})
    assert found is not None
    assert found.still_wrong == ()
    assert {one.line for one in found.faults} == {line_of(old, LISTS) for old, _ in bugs}


#: two ways by which a state is used at its own step, added up in two statements
PEEPHOLE = """\
import numpy as np
import gradcheck


def forward(p, x):
    c, steps = np.zeros(len(p["W"])), []
    for xt in x:
        before = c
        c = 0.5 * c + np.tanh(p["W"] @ xt)
        o = 1 / (1 + np.exp(-(p["V"] @ xt + p["q"] * c)))
        steps.append((before, c, o, o * np.tanh(c)))
    return steps


def backward(p, x, y, steps):
    d, dc_next = {name: np.zeros_like(one) for name, one in p.items()}, np.zeros(len(p["W"]))
    for t in reversed(range(len(x))):
        before, c, o, h = steps[t]
        dh = h - y[t]
        do = dh * np.tanh(c) * o * (1 - o)
        dc = dc_next + dh * o * (1 - np.tanh(c) ** 2)
        dc = dc + p["q"] * do
        d["q"] += do * c
        d["V"] += np.outer(do, x[t])
        g = np.tanh(p["W"] @ x[t])
        d["W"] += np.outer(dc * (1 - g**2), x[t])
        dc_next = 0.5 * dc
    return d


@gradcheck.target
def cell(rng, *, T=4, D=2, H=3):
    p = {"W": rng.standard_normal((H, D)), "V": rng.standard_normal((H, D)), "q": rng.standard_normal(H)}
    x, y = rng.standard_normal((T, D)), rng.standard_normal((T, H))
    loss = lambda: 0.5 * sum(np.sum((s[3] - yt) ** 2) for s, yt in zip(forward(p, x), y))
    return gradcheck.Target(p, loss, lambda: backward(p, x, y, forward(p, x)))
"""


def test_the_term_is_told_and_not_who_goes_on_with_the_sum(tmp_path: Path) -> None:
    """The next statement reads a derivative and gives none: it would be accused, and edited for one step alone."""
    old = "dc = dc_next + dh * o * (1 - np.tanh(c) ** 2)"
    run, _ = taped(cell(tmp_path, (old, "dc = dc_next + dh * o"), source=PEEPHOLE))
    (found,) = misplaced(run)
    assert found.statement.line == line_of(old, PEEPHOLE)
    sums = {one.line for one in run.statements if id(one) in found.shows_in}
    assert line_of('dc = dc + p["q"] * do', PEEPHOLE) in sums
