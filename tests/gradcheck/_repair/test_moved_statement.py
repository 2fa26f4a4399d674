"""A statement in the wrong place is told and moved, and what only gets worse by moving is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.tape_findings import tape_findings
from gradcheck.report.codes import FindingCode
from tests.gradcheck._repair.spoiled import cell, line_of, looked_for

#: a leaky unit with a peephole, and buffers that are overwritten
LEAKY = """\
import numpy as np
import gradcheck


def forward(p, x):
    c, kept = np.zeros(len(p["u"])), []
    for t in range(len(x)):
        f, g = 1 / (1 + np.exp(-p["u"] * c)), np.tanh(p["v"] * x[t])
        before, c = c, f * c + (1 - f) * g
        o = 1 / (1 + np.exp(-p["w"] * c))
        kept.append((before, f, g, c, o))
    return kept


def loss(p, x, y):
    return float(0.5 * sum(np.sum((o * c - y[t]) ** 2) for t, (_, _, _, c, o) in enumerate(forward(p, x))))


def grads(p, x, y):
    kept = forward(p, x)
    G, dc = {name: np.zeros_like(one) for name, one in p.items()}, np.zeros(len(p["u"]))
    for t in reversed(range(len(x))):
        before, f, g, c, o = kept[t]
        dh = o * c - y[t]
        do = dh * c * o * (1 - o)
        dc = dc + dh * o
        dc += do * p["w"]
        G["w"] += do * c
        df = dc * (before - g) * f * (1 - f)
        dg = dc * (1 - f) * (1 - g ** 2)
        G["u"] += df * before
        G["v"] += dg * x[t]
        dc = dc * f
        dc += df * p["u"]
    return G


@gradcheck.target
def cell(rng, *, T=4, H=2):
    p = {name: rng.standard_normal(H) for name in "uvw"}
    x, y = rng.standard_normal((T, H)), rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: loss(p, x, y), lambda: grads(p, x, y))
"""
PEEPHOLE = '        dc += do * p["w"]\n'
FORGET = "        dc = dc * f\n"


def spoiled_by_moving(line: str, behind: str) -> tuple[str, str]:
    """The edit that moves a line behind another one, as a bug."""
    block = LEAKY[min(LEAKY.index(line), LEAKY.index(behind)) :]
    end = max(block.index(line) + len(line), block.index(behind) + len(behind))
    whole = block[:end]
    return whole, whole.replace(line, "").replace(behind, behind + line)


@pytest.mark.parametrize(
    ("line", "behind", "told"),
    [
        (PEEPHOLE, "        dg = dc * (1 - f) * (1 - g ** 2)\n", PEEPHOLE),
        (FORGET, PEEPHOLE, FORGET),
        (FORGET, '        dc += df * p["u"]\n', FORGET),
    ],
)
def test_it_is_told_and_moved(tmp_path: Path, line: str, behind: str, told: str) -> None:
    """Lines that read the value in between would be accused, or none."""
    old, new = spoiled_by_moving(line, behind)
    factory = cell(tmp_path, (old, new), source=LEAKY)
    found = looked_for(factory)
    assert found.still_wrong == ()
    (finding,) = tape_findings(found, verified=True)
    assert finding.code == FindingCode.WRONG_PLACE
    assert finding.line == line_of(told.strip(), LEAKY.replace(old, new))
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    assert sorted(source.edited(found.edits[source.file]).split("\n")) == sorted(LEAKY.split("\n"))


def test_beside_a_mistake_that_is_mended_nothing_is_moved(tmp_path: Path) -> None:
    """A plain mistake would be told as one of order where another order happens to hide it."""
    old, new = "dg = dc * (1 - f) * (1 - g ** 2)", "dg = dc * (1 - f) * (1 - g) ** 2"
    factory = cell(tmp_path, (old, new), source=LEAKY)
    found = looked_for(factory)
    assert [one.line for one in found.faults] == [line_of(old, LEAKY)]
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    assert source.edited(found.edits[source.file]) == LEAKY
