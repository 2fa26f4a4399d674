"""Derivatives that are given twice, where the second is meant for something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._localising.given_twice import given_twice
from gradcheck._localising.spoiling import spoiling
from gradcheck._repair.by_tape import find_by_tape
from tests.gradcheck._repair.spoiled import cell, line_of, taped

#: a GRU's candidate, whose reset comes after the product: what goes back through inputs and state differ by it
RESET = """\
import numpy as np
import gradcheck


def forward(p, xs):
    h, kept = p["h0"], []
    for x in xs:
        at, ht = x @ p["W"], h @ p["U"]
        r, hn = 1 / (1 + np.exp(-at[0] - ht[0])), ht[1]
        n = np.tanh(at[1] + r * hn)
        kept.append((x, h, r, hn, n))
        h = h + n
    return h, kept


def loss(p, xs):
    return float(np.sum(forward(p, xs)[0] ** 2))


def grads(p, xs):
    h, kept = forward(p, xs)
    g, dh = {name: np.zeros_like(one) for name, one in p.items()}, 2 * h
    for x, before, r, hn, n in kept[::-1]:
        dn = dh * (1 - n**2)
        dr = dn * hn * r * (1 - r)
        da = np.stack([dr, dn])
        dk = np.stack([dr, dn * r])
        g["W"] += x[:, None] * da[:, None, :]
        g["U"] += before[:, None] * dk[:, None, :]
        dh = dh + np.einsum("kh,kih->i", dk, p["U"])
    g["h0"] += dh
    return g


@gradcheck.target
def cell(rng, *, T=4, H=3):
    p = {"W": rng.standard_normal((2, H, H)), "U": rng.standard_normal((2, H, H)), "h0": rng.standard_normal(H)}
    xs = rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: loss(p, xs), lambda: grads(p, xs))
"""
FORGOTTEN = ("np.stack([dr, dn * r])", "np.stack([dr, dn])")
SLOPE = ("dr = dn * hn * r * (1 - r)", "dr = dn * hn * (1 - r)")


def test_who_gives_it_again_is_told_and_not_who_goes_on_with_it(tmp_path: Path) -> None:
    """The next line would be edited until it gives some derivative, and be none."""
    run, _ = taped(cell(tmp_path, FORGOTTEN, source=RESET))
    assert line_of("dh = dh + np.einsum", RESET) in {one.statement.line for one in spoiling(run)}
    assert [one.statement.line for one in given_twice(run)] == [line_of(FORGOTTEN[0], RESET)]


def test_right_code_gives_nothing_twice(tmp_path: Path) -> None:
    """What is calculated twice and read well would be accused."""
    twice = ("da = np.stack([dr, dn])", "da = np.stack([dr, dn])\n        da = np.stack([dr, dn])")
    run, _ = taped(cell(tmp_path, twice, source=RESET))
    assert given_twice(run) == []


@pytest.mark.lines
def test_it_is_mended_beside_another_fault(tmp_path: Path) -> None:
    """Two mistakes in the gates of a GRU would leave all its gradients wrong, with edits on innocent lines."""
    found = find_by_tape(cell(tmp_path, FORGOTTEN, SLOPE, source=RESET), 0, {"T": 4, "H": 3}, {"W", "U", "h0"})
    assert found is not None
    assert found.still_wrong == ()
    assert {one.line for one in found.faults} == {line_of(SLOPE[0], RESET), line_of(FORGOTTEN[0], RESET)}
