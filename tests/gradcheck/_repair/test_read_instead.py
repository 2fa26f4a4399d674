"""A name that is read wrongly is told where it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.by_tape import find_by_tape
from tests.gradcheck._repair.spoiled import cell, line_of

#: keeps the state before and after each step, of which the backward reads one
KEPT = """\
import numpy as np
import gradcheck


def forward(p, xs):
    c, kept = p["c0"], []
    for x in xs:
        f = 1 / (1 + np.exp(-p["w"] * x))
        new = f * c + x
        kept.append((x, c, f, new))
        c = new
    return c, kept


def grads(p, xs):
    c, kept = forward(p, xs)
    g, dc = {name: np.zeros_like(one) for name, one in p.items()}, 2 * c
    for values in kept[::-1]:
        x, before, f, new = values
        df = dc * before
        g["w"] += df * f * (1 - f) * x
        dc = dc * f
    g["c0"] += dc
    return g


@gradcheck.target
def cell(rng, *, T=4, H=3):
    p, xs = {"w": rng.standard_normal(H), "c0": rng.standard_normal(H)}, rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: float(np.sum(forward(p, xs)[0] ** 2)), lambda: grads(p, xs))
"""


@pytest.mark.lines
def test_names_that_are_read_once_are_not_exchanged_where_they_are_bound(tmp_path: Path) -> None:
    """Two names would change their places, on a right line, for one that is read wrongly on another."""
    bug = ("df = dc * before", "df = dc * new")
    found = find_by_tape(cell(tmp_path, bug, source=KEPT), 0, {"T": 4, "H": 3}, {"w"})
    assert found is not None
    assert found.still_wrong == ()
    assert [(one.line, [edit.text for edit in one.edits]) for one in found.faults] == [
        (line_of(bug[0], KEPT), ["before"])
    ]
