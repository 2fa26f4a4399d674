"""Running sums from the last entry to the first."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._mending.running_sums import from_the_end
from tests.gradcheck._mending.pieces import candidates, suspect_of
from tests.gradcheck._repair.spoiled import cell, looked_for

ZEROS = "da, db = np.zeros_like(a), np.ones_like(b)\n"


@pytest.mark.parametrize(
    ("given", "turned"),
    [
        ("np.cumsum(a, axis=1)", "np.cumsum(a[:, ::-1], axis=1)[:, ::-1]"),
        ("np.cumsum(a, 0)", "np.cumsum(a[::-1], 0)[::-1]"),
        ("a.cumsum(0)", "a[::-1].cumsum(0)[::-1]"),
        ("a.cumsum(axis=-1)", "a[:, ::-1].cumsum(axis=-1)[:, ::-1]"),
    ],
)
def test_a_running_sum_is_taken_from_the_end(given: str, turned: str, tmp_path: Path) -> None:
    """What comes back through a running sum would get no fix where it is summed up the same way round."""
    assert candidates(suspect_of(tmp_path, f"{ZEROS}da = {given}", "da ="), from_the_end) == [f"da = {turned}"]


@pytest.mark.parametrize("given", ["np.cumsum(a, axis=k)", "a.sum(0) + da", "np.cumprod(a, axis=1)"])
def test_where_no_axis_is_told_or_no_running_sum_is_taken_nothing_is_turned(given: str, tmp_path: Path) -> None:
    """An array would be turned round along another axis than that of the sum, or the search end with an error."""
    assert candidates(suspect_of(tmp_path, f"{ZEROS}k = 1\nda = {given}", "da ="), from_the_end) == []


#: a gate that is a running sum, as a monotonous one is
RUNNING = """\
import numpy as np
import gradcheck


def loss(p, x):
    return np.sum(np.sin(np.cumsum(p["w"] * x, axis=1)))


def grads(p, x):
    d = np.cos(np.cumsum(p["w"] * x, axis=1))
    dx = np.cumsum(d[:, ::-1], axis=1)[:, ::-1]
    return {"w": (dx * x).sum(axis=0)}


@gradcheck.target
def cell(rng, *, B=2, H=4):
    p, x = {"w": rng.standard_normal(H)}, rng.standard_normal((B, H))
    return gradcheck.Target(p, lambda: loss(p, x), lambda: grads(p, x))
"""


@pytest.mark.lines
def test_it_is_mended_in_a_whole_backward(tmp_path: Path) -> None:
    """What is offered would never be found to be right where a whole backward is looked at."""
    right = "np.cumsum(d[:, ::-1], axis=1)[:, ::-1]"
    factory = cell(tmp_path, (right, "np.cumsum(d, axis=1)"), source=RUNNING)
    found = looked_for(factory)
    assert found.still_wrong == ()
    assert [[edit.text for edit in one.edits] for one in found.faults] == [[right]]
