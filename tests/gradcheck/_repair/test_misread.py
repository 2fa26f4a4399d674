"""A value of the forward that is fetched in the wrong place is told there, and not where it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.misread import misread
from gradcheck._repair.points import points_of
from gradcheck._repair.tape_findings import tape_findings
from tests.gradcheck._repair.spoiled import cell, line_of, looked_for

#: the state of before is read in several products, also of what it was multiplied with
GATED = """\
import numpy as np
import gradcheck


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def forward(p, x):
    hs, rs, cs = [np.zeros(len(p["W"]))], [], []
    for xt in x:
        rs.append(sigmoid(p["R"] @ hs[-1] + xt))
        cs.append(np.tanh(p["W"] @ (rs[-1] * hs[-1]) + xt))
        hs.append(0.5 * hs[-1] + 0.5 * cs[-1])
    return hs, rs, cs


def grads(p, x):
    hs, rs, cs = forward(p, x)
    G = {name: np.zeros_like(one) for name, one in p.items()}
    dh_next = np.zeros_like(hs[0])
    for t in reversed(range(len(x))):
        r = rs[t]
        c = cs[t]
        h_prev = hs[t]
        dh = hs[t + 1] + dh_next
        dc = 0.5 * dh * (1 - c**2)
        G["W"] += np.outer(dc, r * h_prev)
        dr = (p["W"].T @ dc) * h_prev * r * (1 - r)
        G["R"] += np.outer(dr, h_prev)
        dh_next = 0.5 * dh + (p["W"].T @ dc) * r + p["R"].T @ dr
    return G


@gradcheck.target
def cell(rng, *, T=4, H=3):
    p = {"W": rng.standard_normal((H, H)), "R": rng.standard_normal((H, H))}
    x = rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: 0.5 * float(sum(np.sum(h**2) for h in forward(p, x)[0])), lambda: grads(p, x))
"""


@pytest.mark.parametrize(
    ("right", "wrong"), [("h_prev = hs[t]", "h_prev = hs[t - 1]"), ("h_prev = hs[t]", "h_prev = hs[t + 1]")]
)
def test_it_is_mended_where_it_is_fetched(right: str, wrong: str, tmp_path: Path) -> None:
    """Products of the value are wrong in each statement that reads it, and no edit of one of these mends all."""
    factory = cell(tmp_path, (right, wrong), source=GATED)
    found = looked_for(factory)
    assert found.still_wrong == ()
    (finding,) = tape_findings(found, verified=True)
    assert finding.line == line_of(right, GATED)
    (text,) = [found.sources[file].edited(edits) for file, edits in found.edits.items()]
    assert text == GATED


@pytest.mark.parametrize("bug", [None, ("0.5 * dh * (1 - c**2)", "0.5 * dh * (1 - c)")])
def test_what_is_fetched_right_is_left_alone(bug: tuple[str, str] | None, tmp_path: Path) -> None:
    """A right line would be edited so that it makes up for another."""
    factory = cell(tmp_path, *([bug] if bug else []), source=GATED)
    points = next(iter(points_of(factory, 0, dict(factory.sizes))))
    with points[0].taped() as run:
        assert misread(run, [one.taped for one in points[1:]]) is None
