"""One edit where a value is made, where its readers or callers could make up for what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._localising.incomplete import incomplete
from gradcheck._localising.misplaced import misplaced
from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.found import Found
from tests.gradcheck._repair.spoiled import cell, line_of, taped

#: a masked state that a step hands back in a structure: the loop reads it, and so does what begins before it
MASKED = """\
from typing import NamedTuple
import numpy as np
import gradcheck


class State(NamedTuple):
    h: np.ndarray
    c: np.ndarray


def step(p, state, x, mask):
    c = 0.5 * state.c + np.tanh(x * p["w"] + (state.h * mask) @ p["U"])
    return State(np.sin(c), c)


def out_back(dh, c):
    return dh * np.cos(c)


def step_back(p, d, state, x, mask):
    h, c = state.h * mask, 0.5 * state.c + np.tanh(x * p["w"] + (state.h * mask) @ p["U"])
    dc_out = out_back(d.h, c)
    dc = dc_out + d.c
    da = dc * (1 - np.tanh(x * p["w"] + h @ p["U"]) ** 2)
    dh = (da @ p["U"].T) * mask
    return {"w": x * da, "U": np.outer(h, da)}, State(dh, 0.5 * dc)


def states(p, xs, mask):
    kept = [State(p["h0"], np.zeros(len(mask)))]
    for x in xs:
        kept.append(step(p, kept[-1], x, mask))
    return kept


def loss(p, xs, mask):
    return float(sum(np.sum(state.h**2) for state in states(p, xs, mask)[1:]))


def grads(p, xs, mask):
    kept, g = states(p, xs, mask), {name: np.zeros_like(one) for name, one in p.items()}
    d = State(np.zeros(len(mask)), np.zeros(len(mask)))
    for t in reversed(range(len(xs))):
        more, d = step_back(p, State(d.h + 2 * kept[t + 1].h, d.c), kept[t], xs[t], mask)
        g = {name: g[name] + more.get(name, 0) for name in g}
    g["h0"] = d.h * 1.0
    return g


@gradcheck.target
def cell(rng, *, T=4, H=3):
    p = {"w": rng.standard_normal(H), "U": rng.standard_normal((H, H)), "h0": rng.standard_normal(H)}
    xs, mask = rng.standard_normal((T, H)), rng.uniform(0.5, 2, H)
    return gradcheck.Target(p, lambda: loss(p, xs, mask), lambda: grads(p, xs, mask))
"""


def found_in(folder: Path, source: str, bug: tuple[str, str], sizes: dict[str, int], wrong: set[str]) -> Found:
    """What is found of this mistake."""
    found = find_by_tape(cell(folder, bug, source=source), 0, sizes, wrong)
    assert found is not None
    assert found.still_wrong == ()
    return found


@pytest.mark.lines
def test_who_hands_back_a_derivative_gets_the_mask_and_not_all_who_read_it(tmp_path: Path) -> None:
    """Two right lines would be edited, for one that forgot the mask."""
    bug = ('dh = (da @ p["U"].T) * mask', 'dh = da @ p["U"].T')
    found = found_in(tmp_path, MASKED, bug, {"T": 4, "H": 3}, {"w", "U", "h0"})
    assert [one.line for one in found.faults] == [line_of(bug[0], MASKED)]


def test_a_name_more_for_what_a_helper_gives_is_told_and_not_the_helper(tmp_path: Path) -> None:
    """A helper would be edited for what one of its callers forgot to add."""
    carry = ("dc = dc_out + d.c", "dc = dc_out")
    run, _ = taped(cell(tmp_path, carry, source=MASKED))
    assert [one.statement.line for one in incomplete(run)] == [line_of(carry[0], MASKED)]


def test_a_term_that_only_other_names_read_as_well_is_told_where_it_is_made(tmp_path: Path) -> None:
    """Whoever adds it to what the output brings back would be told, or nobody, beside another fault."""
    mask = ('dh = (da @ p["U"].T) * mask', 'dh = da @ p["U"].T')
    run, _ = taped(cell(tmp_path, ("dc = dc_out + d.c", "dc = dc_out"), mask, source=MASKED))
    assert [one.statement.line for one in misplaced(run)] == [line_of(mask[0], MASKED)]


#: the derivative of the output is handed over as it was made
HANDED_OVER = """\
import numpy as np
import gradcheck


def output(p, x):
    states = [np.zeros(len(p["w"]))]
    for one in x:
        states.append(np.tanh(p["w"] * states[-1] + one))
    return states


def slope_of_cost(y, goal):
    return 2.0 * (y - goal) / len(goal)


def back(p, states, slope):
    carried = np.zeros((len(states), len(slope)))
    carried[-1] = slope
    g = np.zeros_like(p["w"])
    for t in range(len(states) - 1, 0, -1):
        d = carried[t] * (1 - states[t] ** 2)
        g += d * states[t - 1]
        carried[t - 1] = d * p["w"]
    return {"w": g}


@gradcheck.target
def cell(rng, *, T=3, H=3):
    p, x, goal = {"w": rng.standard_normal(H)}, rng.standard_normal((T, H)), rng.standard_normal(H)

    def grads():
        states = output(p, x)
        return back(p, states, slope_of_cost(states[-1], goal))

    return gradcheck.Target(p, lambda: float(np.sum((output(p, x)[-1] - goal) ** 2) / H), grads)
"""


def test_a_difference_the_wrong_way_round_is_told_where_it_is_taken(tmp_path: Path) -> None:
    """Who reads the derivative would be accused, and turn its sign back."""
    factory = cell(tmp_path, ("2.0 * (y - goal)", "2.0 * (goal - y)"), source=HANDED_OVER)
    found = find_by_tape(factory, 0, dict(factory.sizes), {"w"})
    assert found is not None
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    assert source.edited(found.edits[source.file]) == HANDED_OVER
