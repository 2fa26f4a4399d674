"""Values of one statement in each other's place: which statement is to blame, and the edit."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._localising.provenance import each_others
from gradcheck._repair.by_tape import find_by_tape
from tests.gradcheck._repair.spoiled import cell, line_of, taped

#: a cell with two states, whose backward returns the derivatives of everything that it was handed
CELL = """\
import numpy as np
import gradcheck


def forward(p, x):
    h, c, kept, total = np.zeros(len(p["b"])), np.ones(len(p["b"])), [], 0.0
    for xt in x:
        f = 1 / (1 + np.exp(-(p["W"] @ xt + p["b"])))
        g = np.tanh(p["U"] @ h + p["b"])
        kept.append((xt, h, c, f, g))
        c = f * c + (1 - f) * g
        h = np.tanh(c) * f
        total += 0.5 * np.sum(h * h)
    return total, kept


def back(p, saved, dh, dc):
    xt, h_before, c_before, f, g = saved
    c = f * c_before + (1 - f) * g
    h = np.tanh(c) * f
    dh = dh + h
    dc = dc + dh * f * (1 - np.tanh(c) ** 2)
    df = (dh * np.tanh(c) + dc * (c_before - g)) * f * (1 - f)
    dg = dc * (1 - f) * (1 - g * g)
    return np.outer(df, xt), np.outer(dg, h_before), df + dg, p["U"].T @ dg, dc * f


def gradients(p, x):
    _, kept = forward(p, x)
    d = {name: np.zeros_like(one) for name, one in p.items()}
    dh, dc = np.zeros(len(p["b"])), np.zeros(len(p["b"]))
    for saved in reversed(kept):
        dW, dU, db, dh, dc = back(p, saved, dh, dc)
        d["W"] += dW
        d["U"] += dU
        d["b"] += db
    return d


@gradcheck.target
def cell(rng, *, T=4, D=2, H=3):
    p = {"W": rng.normal(size=(H, D)), "U": rng.normal(size=(H, H)), "b": rng.normal(size=H)}
    x = rng.normal(size=(T, D))
    return gradcheck.Target(p, lambda: forward(p, x)[0], lambda: gradients(p, x))
"""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('p["U"].T @ dg, dc * f', 'dc * f, p["U"].T @ dg'),
        ("xt, h_before, c_before, f, g = saved", "xt, c_before, h_before, f, g = saved"),
        ("xt, h_before, c_before, f, g = saved", "xt, h_before, c_before, g, f = saved"),
    ],
)
def test_what_is_exchanged_is_blamed_and_mended(right: str, wrong: str, tmp_path: Path) -> None:
    """If it fails, two states that a backward returns, or unpacks, in the wrong order get no line, or two."""
    found = find_by_tape(cell(tmp_path, (right, wrong), source=CELL), 0, {"T": 4, "D": 2, "H": 3}, set("WUb"))
    assert found is not None
    assert found.still_wrong == ()
    (fault,) = found.faults
    # what a function returns is exchanged there, or where it is called
    assert fault.line in (line_of(right, CELL), line_of("dW, dU, db, dh, dc = back", CELL))
    assert len(fault.edits) == 2


def test_neighbours_are_exchanged_first(tmp_path: Path) -> None:
    """If it fails, places that are far apart take the runs that there are, or values of other shapes are exchanged."""
    run, _ = taped(cell(tmp_path, source=CELL))
    statement = next(one for one in run.statements if one.line == line_of("xt, h_before", CELL))
    given = [one for one in run.nodes if one.place is not None and one.place.statement is statement]
    names = [one.place.text for one in given]
    changed = [
        {names[k] for k, (node, value) in enumerate(zip(given, values, strict=True)) if node.value is not value}
        for values in each_others(given)
    ]
    pairs = [{"h_before", "c_before"}, {"c_before", "f"}, {"f", "g"}]
    assert all(pair in changed[:4] for pair in pairs), changed
    assert all("xt" not in one for one in changed)


def test_a_place_that_is_needed_is_in_every_exchange(tmp_path: Path) -> None:
    """If it fails, runs go to exchanges that cannot make the gradients right, and a line takes twice as long."""
    run, _ = taped(cell(tmp_path, source=CELL))
    statement = next(one for one in run.statements if one.line == line_of("xt, h_before", CELL))
    given = [one for one in run.nodes if one.place is not None and one.place.statement is statement]
    at = next(number for number, one in enumerate(given) if one.place.text == "c_before")
    found = list(each_others(given, [given[at].place]))
    assert 0 < len(found) < len(list(each_others(given)))
    assert all(values[at] is not given[at].value for values in found)
