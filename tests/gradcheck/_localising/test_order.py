"""Loops of the backward that go through the steps as the forward did."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._localising.order import out_of_order
from tests.gradcheck._repair.spoiled import cell, taped

#: states by time, each seen by the loss, of one sequence after the other
WAVES = """\
import numpy as np
import gradcheck


def ripple(a, u, x):
    waves = [u]
    for xt in x:
        waves.append(np.sin(a * waves[-1] + xt))
    return waves


def loss(a, u, xs):
    return float(sum(np.sum(np.exp(ripple(a, u, x)[1:])) for x in xs))


def grads(a, u, xs):
    da, du = np.zeros_like(a), np.zeros_like(u)
    for x in xs:
        waves, later = ripple(a, u, x), np.zeros_like(u)
        for t in range(len(x) - 1, -1, -1):
            before, xt, after = waves[t], x[t], waves[t + 1]
            ds = (np.exp(after) + later) * np.cos(a * before + xt)
            da += ds * before
            later = ds * a
        du += later
    return {"a": da, "u": du}


@gradcheck.target
def cell(rng, *, B=2, T=3, H=2):
    a, u, xs = rng.standard_normal(H), rng.standard_normal(H), rng.standard_normal((B, T, H))
    return gradcheck.Target({"a": a, "u": u}, lambda: loss(a, u, xs), lambda: grads(a, u, xs))
"""
BACK = "range(len(x) - 1, -1, -1)"
#: what each step brings is added up in a loop of its own
ADDED_LATER = (
    ("waves, later =", "slopes, waves, later = {},"),
    ("            da += ds * before\n", "            slopes[t] = ds\n"),
    (
        "        du += later\n",
        "        for t in range(len(x)):\n            wave, ds = waves[t], slopes[t]\n            da += ds * wave\n"
        "        du += later\n",
    ),
)

#: a loop of each step adds up what the forward has left, in its order; what follows carries from step to step
POURED = """\
import numpy as np
import gradcheck


def pour(p, x):
    level, steps = np.zeros(len(p["r"])), []
    for xt in x:
        before, cups = level, [np.tanh(w * xt) for w in p["w"]]
        level = np.sin(p["r"] * before + cups[0] - cups[1])
        steps.append((xt, before, cups, level))
    return steps


def loss(p, x):
    return float(sum(np.sum(np.sin(level)) + np.sum(p["v"] * cups) for _, _, cups, level in pour(p, x)))


class Drain:
    def __init__(self, p):
        self.p, self.later, self.g = p, np.zeros(len(p["r"])), {name: np.zeros_like(one) for name, one in p.items()}

    def step(self, xt, before, cups, level):
        for k in range(len(cups)):
            cup, dv = cups[k], self.g["v"][k]
            dv += cup
        da = (np.cos(level) + self.later) * np.cos(self.p["r"] * before + cups[0] - cups[1])
        self.g["w"] += (np.stack([da, -da]) + self.p["v"]) * (1 - np.square(cups)) * xt
        self.g["r"] += da * before
        self.later = da * self.p["r"]


def grads(p, x):
    drain = Drain(p)
    for step in reversed(pour(p, x)):
        drain.step(*step)
    return drain.g


@gradcheck.target
def cell(rng, *, T=3, H=2):
    p = {"r": rng.standard_normal(H), "w": rng.standard_normal((2, H)), "v": rng.standard_normal((2, H))}
    x = rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: loss(p, x), lambda: grads(p, x))
"""

#: layers inside steps of time; a function goes down through the layers of one step
TOWER = """\
import numpy as np
import gradcheck


def climb(p, x):
    rows = [[np.zeros(len(p["c"])) for _ in p["A"]]]
    for xt in x:
        below, row = xt, []
        for A, B, before in zip(p["A"], p["B"], rows[-1]):
            below = np.tanh(A @ below + B @ before)
            row.append(below)
        rows.append(row)
    return rows


def loss(p, x):
    return float(sum((p["c"] @ row[-1] - 1) ** 2 for row in climb(p, x)[1:]))


def grads(p, x):
    rows, g = climb(p, x), {name: np.zeros_like(one) for name, one in p.items()}
    later = [np.zeros(len(p["c"])) for _ in p["A"]]
    for t in range(len(x), 0, -1):
        miss = 2 * (p["c"] @ rows[t][-1] - 1)
        g["c"] += miss * rows[t][-1]
        down(p, g, miss * p["c"], later, rows[t], [x[t - 1], *rows[t]], rows[t - 1])
    return g


def down(p, g, above, later, row, below, before):
    for k in range(len(row) - 1, -1, -1):
        here, under = row[k], below[k]
        ds = (above + later[k]) * (1 - here ** 2)
        g["A"][k] += np.outer(ds, under)
        g["B"][k] += np.outer(ds, before[k])
        above, later[k] = p["A"][k].T @ ds, p["B"][k].T @ ds


@gradcheck.target
def cell(rng, *, T=3, K=3, H=2):
    p = {"A": rng.standard_normal((K, H, H)), "B": rng.standard_normal((K, H, H)), "c": rng.standard_normal(H)}
    x = rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: loss(p, x), lambda: grads(p, x))
"""


def told(folder: Path, *bugs: tuple[str, str], source: str = WAVES) -> list[str]:
    """The heads of the loops that are told."""
    run, _ = taped(cell(folder, *bugs, source=source))
    return [one.text.splitlines()[0] for one in out_of_order(run)]


def test_a_loop_that_carries_and_runs_as_the_forward_is_told(tmp_path: Path) -> None:
    """A backward that begins at the first step would have the lines inside its loop accused."""
    assert told(tmp_path, (BACK, "range(len(x))")) == ["for t in range(len(x)):"]


def test_what_follows_an_inner_loop_is_of_the_outer_one(tmp_path: Path) -> None:
    """Of a loop in the wrong order, another one inside it would be turned round."""
    inner = "for scale in (1.0, -1.0):\n                da += scale * np.ones_like(da)"
    first = ("            before, xt, after =", f"            {inner}\n            before, xt, after =")
    assert told(tmp_path, first, (BACK, "range(len(x))")) == ["for t in range(len(x)):"]


@pytest.mark.parametrize("source", [WAVES, POURED, TOWER])
def test_right_code_is_not(tmp_path: Path, source: str) -> None:
    """A right loop would be turned round wherever another mistake makes a gradient wrong."""
    assert told(tmp_path, source=source) == []


def test_what_carries_after_a_loop_that_adds_up_is_no_part_of_it(tmp_path: Path) -> None:
    """A loop whose order does not matter would be accused because of lines below it."""
    assert told(tmp_path, ("(np.cos(level) + self.later)", "(np.sin(level) + self.later)"), source=POURED) == []


def test_a_loop_that_only_adds_up_may_run_as_the_forward(tmp_path: Path) -> None:
    """A sum over all steps, which is right in any order, would be turned round."""
    assert told(tmp_path, *ADDED_LATER) == []


def test_layers_that_are_gone_through_the_wrong_way_are_told(tmp_path: Path) -> None:
    """The loop over time around them would be accused, or lines inside both."""
    layers = ("range(len(row) - 1, -1, -1)", "range(len(row))")
    assert told(tmp_path, layers, source=TOWER) == ["for k in range(len(row)):"]


READ = (
    ("before, xt, after = waves[t], x[t], waves[t + 1]", "pass"),
    (
        "(np.exp(after) + later) * np.cos(a * before + xt)",
        "(np.exp(waves[t + 1]) + later) * np.cos(a * waves[t] + x[t])",
    ),
    ("da += ds * before", "da += ds * waves[t]"),
)


@pytest.mark.parametrize(("order", "is_told"), [("range(len(x))", True), (BACK, False)])
def test_a_loop_is_told_by_what_its_calculations_read(tmp_path: Path, order: str, is_told: bool) -> None:
    """Where no variable is bound to what the forward has left, the order would not show."""
    run, _ = taped(cell(tmp_path, *READ, (BACK, order), source=WAVES))
    assert [one.text.startswith("for t") for one in out_of_order(run)] == [True] * is_told
