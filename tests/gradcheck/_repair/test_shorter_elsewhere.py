"""A small edit of what a value comes from, in the place of a long one where it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradcheck._mending import Mend
from gradcheck._repair import by_tape
from gradcheck._repair.found import Found, Mended, add_mend
from gradcheck._repair.points import points_of
from gradcheck._repair.shorter_elsewhere import shorten_elsewhere
from gradcheck._usercode.source import Edit
from tests.gradcheck._repair.spoiled import cell, line_of

#: a gated step whose derivative is begun in one line and added to in others
GATED = """\
import numpy as np
import gradcheck


def forward(p, xs):
    h, kept = p["h0"], []
    for x in xs:
        z = 1 / (1 + np.exp(-p["w"] * x - p["u"] * h))
        kept.append((x, h, z))
        h = z * h + (1 - z) * x
    return h, kept


def step_back(p, dh, kept, g):
    x, h, z = kept
    da = dh * (h - x) * z * (1 - z)
    g["w"] += da * x
    g["u"] += da * h
    before = dh * z
    before += da * p["u"]
    return before


def grads(p, xs):
    h, kept = forward(p, xs)
    g, dh = {name: np.zeros_like(one) for name, one in p.items()}, 2 * h
    for one in kept[::-1]:
        dh = step_back(p, dh, one, g)
    g["h0"] += dh
    return g


@gradcheck.target
def cell(rng, *, T=4, H=3):
    p, xs = {name: rng.standard_normal(H) for name in ("w", "u", "h0")}, rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: float(np.sum(forward(p, xs)[0] ** 2)), lambda: grads(p, xs))
"""
BUG = ("before = dh * z", "before = dh * (1 - z)")
SIZES = {"T": 4, "H": 3}


@pytest.mark.lines
def test_a_long_edit_where_it_is_returned_becomes_a_small_one_where_it_is_begun(tmp_path: Path) -> None:
    """A right line would be written anew, and who is at fault be told to nobody."""
    subject, found = cell(tmp_path, BUG, source=GATED), Found()
    search = by_tape._Search(subject, {"w", "u", "h0"}, (), is_impure=False, keeps_state=False)
    points = next(iter(points_of(subject, 0, SIZES, None)))

    def taped(code: Found) -> Any:
        return search._runs.taped(points[0], code)

    line = line_of("return before", GATED)
    with taped(found) as run:
        by_tape._add_sources(found, run, points[0])
        statement = next(one for one in run.statements if one.line == line)
    edit = Edit((line, 11), (line, 17), "dh * z + da * p['u'] + 0 * before")
    mend = Mend(statement.file, (edit,), statement, ("h0",), (), "written out")
    assert add_mend(found, Mended(statement, ("h0",), None, mend), {})
    shorten_elsewhere(found, taped, points[1:])
    assert [(one.line, [edit.text for edit in one.edits]) for one in found.faults] == [(line_of(BUG[0], GATED), ["z"])]
