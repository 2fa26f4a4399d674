"""A derivative that overwrites another part of itself is told as that, also where something else is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.overwritten_part import overwritten_part
from gradcheck._repair.tape_findings import tape_findings
from gradcheck.report.codes import FindingCode
from tests.gradcheck._repair.spoiled import cell, found_alone, line_of, looked_for

#: all states reach the loss at once, and the last one in another way as well
TWO_WAYS = """\
import numpy as np
import gradcheck


def forward(p, x):
    h = [p["h"]]
    for xt in x:
        h.append(np.tanh(p["W"] @ h[-1] + xt))
    return np.array(h)


def grads(p, x, s, v):
    h = forward(p, x)
    dh, G = s * np.cos(h), {name: np.zeros_like(one) for name, one in p.items()}
    dlast = v * h[-1]
    dh[-1] += dlast
    carry = 0.0
    for t in range(len(x), 0, -1):
        da = (dh[t] + carry) * (1 - h[t] ** 2)
        G["W"] += np.outer(da, h[t - 1])
        carry = p["W"].T @ da
    G["h"] = dh[0] + carry
    return G


@gradcheck.target
def cell(rng, *, T=4, H=3):
    p = {"W": rng.standard_normal((H, H)), "h": rng.standard_normal(H)}
    x, s, v = rng.standard_normal((T, H)), rng.standard_normal((T + 1, H)), rng.standard_normal(H)

    def loss():
        h = forward(p, x)
        return float(np.sum(s * np.sin(h)) + 0.5 * np.sum(v * h[-1] ** 2))

    return gradcheck.Target(p, loss, lambda: grads(p, x, s, v))
"""
ASSIGNED = "dh[-1] += dlast", "dh[-1] = dlast"
STALE = "(1 - h[t] ** 2)", "(1 - h[t - 1] ** 2)"


def test_it_is_told_beside_another_mistake(tmp_path: Path) -> None:
    """What follows is wrong in two ways then, and no statement reads derivatives that are whole: none would be told."""
    factory = cell(tmp_path, ASSIGNED, STALE, source=TWO_WAYS)
    found = looked_for(factory)
    assert found.still_wrong == ()
    told = {finding.line: finding.code for finding in tape_findings(found, verified=True)}
    assert told[line_of("dh[-1] +=", TWO_WAYS)] == FindingCode.ASSIGNED_NOT_ADDED
    assert set(told) == {line_of("dh[-1] +=", TWO_WAYS), line_of("da =", TWO_WAYS)}
    (text,) = [found.sources[file].edited(edits) for file, edits in found.edits.items()]
    assert text == TWO_WAYS


@pytest.mark.parametrize(
    "bugs", [[STALE], [("dh[-1] += dlast", "dh[0] = dh[0] * 2")], [(ASSIGNED[0], "dh[-1] += dlast * 2")]]
)
def test_other_assignments_are_left_alone(tmp_path: Path, bugs: list[tuple[str, str]]) -> None:
    """A sum that makes no derivative whole would be taken for a mend."""
    look = found_alone(lambda found, run, _: overwritten_part(found, run), tmp_path, *bugs, source=TWO_WAYS)
    assert look is None


#: each use of a weight adds to one array, as nodes of a graph do that share it
SHARED = """\
import numpy as np
import gradcheck


class Weight:
    def __init__(self, value):
        self.value, self.grad = value, np.zeros_like(value)

    def clear(self):
        self.grad.fill(0)

    def back(self, d, x):
        self.grad[...] += np.outer(d, x)
        return self.value.T @ d


def forward(W, x):
    h = [x]
    for _ in range(3):
        h.append(np.tanh(W.value @ h[-1]))
    return h


def grads(W, x):
    W.clear()
    h = forward(W, x)
    d = h[-1]
    for t in (3, 2, 1):
        d = W.back(d * (1 - h[t] ** 2), h[t - 1])
    return {"W": W.grad, "x": d}


@gradcheck.target
def cell(rng, *, H=3):
    W, x = Weight(rng.standard_normal((H, H))), rng.standard_normal(H)
    return gradcheck.Target(
        {"W": W.value, "x": x}, lambda: 0.5 * float(np.sum(forward(W, x)[-1] ** 2)), lambda: grads(W, x)
    )
"""


def test_a_write_into_all_of_an_array_overwrites_what_was_there(tmp_path: Path) -> None:
    """Only the first step would be left in the gradient, and the statement would not even be looked at."""
    factory = cell(tmp_path, ("grad[...] +=", "grad[...] ="), source=SHARED)
    found = looked_for(factory)
    assert found.still_wrong == ()
    (finding,) = tape_findings(found, verified=True)
    assert (finding.line, finding.code) == (line_of("grad[...] +=", SHARED), FindingCode.ASSIGNED_NOT_ADDED)
