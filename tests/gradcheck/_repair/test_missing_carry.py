"""Carries that no variable holds: written with their zero, their term, and what each step hands on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.found import Found
from gradcheck._repair.missing_carry import missing_carry
from gradcheck._repair.tape_findings import tape_findings
from gradcheck.report.codes import FindingCode
from tests.gradcheck._repair.forecaster import NOT_FED_BACK
from tests.gradcheck._repair.forecaster import mended as forecasters_mended
from tests.gradcheck._repair.lists import LISTS, SIZES
from tests.gradcheck._repair.spoiled import cell, found_alone, line_of, looked_for

#: the commonest mistake of all: each step's own part is all there is
NO_CARRY = (
    ("dh_next, dc_next = np.zeros((n, 1)), np.zeros((n, 1))", "dc_next = np.zeros((n, 1))"),
    ("        dh += dh_next\n", ""),
    ("        dh_next = dz[:n]\n", ""),
)


def mended(folder: Path, *bugs: tuple[str, str]) -> tuple[str, Found]:
    """The text with the edits that are found, and what was found."""
    found = find_by_tape(cell(folder, *bugs, source=LISTS), 0, SIZES, {"Wi", "Wo", "Wg", "bi", "bo"})
    assert found is not None
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    return source.edited(found.edits[source.file]), found


@pytest.mark.lines
def test_the_carry_is_written(tmp_path: Path) -> None:
    """Whoever never carries anything back would be told where, and not how."""
    text, found = mended(tmp_path, *NO_CARRY)
    assert found.still_wrong == ()
    assert "    dh_next = 0\n    for t" in text
    assert 'dh = p["V"].T @ dv + dh_next\n' in text
    assert "        dh_next = dz[:n]\n" in text
    (finding,) = tape_findings(found, verified=True)
    assert (finding.code, finding.line) == (FindingCode.LATER_STEPS_MISSING, line_of('dh = p["V"].T @ dv', LISTS))


@pytest.mark.lines
def test_it_is_written_beside_another_fault(tmp_path: Path) -> None:
    """No gradient is right with the carry alone."""
    text, found = mended(tmp_path, *NO_CARRY, ("do = o * (1 - o) * do", "do = o * do"))
    assert found.still_wrong == ()
    assert "dh_next = dz[:n]" in text
    assert len(found.faults) == 2


#: what the search alone says
asked = partial(found_alone, missing_carry, source=LISTS)


@pytest.mark.parametrize("bugs", [(), (("dh_next = dz[:n]", "dh_next = 0 * dz[:n]"),)])
def test_a_carry_that_there_is_is_left_alone(tmp_path: Path, bugs: tuple[tuple[str, str], ...]) -> None:
    """A second variable would stand beside the first, which hands on nothing, or beside one that is right."""
    assert asked(tmp_path, *bugs) is None


@pytest.mark.lines
def test_outputs_that_are_fed_back_are_carried_beside_another_fault(tmp_path: Path) -> None:
    """What is right for `out - y` would be taken for right for `out`, and innocent lines would be accused."""
    overwritten = ('g["R"] += np.outer(da, s)', 'g["R"] = np.outer(da, s)')
    text, found = forecasters_mended(tmp_path, *NOT_FED_BACK, overwritten)
    assert found.still_wrong == ()
    assert "dout = out - y[t] + dout_next\n" in text
    assert 'dout_next = p["F"].T @ da * shares[t]\n' in text
    assert overwritten[0] in text


#: the memory of each node of a graph goes to several others, so that they add up what they bring back
GRAPH = """\
import numpy as np
import gradcheck

PARENTS = [[], [0], [0, 1], [1, 2], [2, 3]]


def walk(p, x):
    c, h, f = [], [], []
    for n in range(5):
        f.append(1 / (1 + np.exp(-p["f"] * x[n])))
        c.append(np.tanh(p["w"] * x[n]) + f[n] * sum(c[k] for k in PARENTS[n]))
        h.append(np.tanh(c[n]))
    return c, h, f


def loss(p, x, y):
    return 0.5 * sum(np.sum((hn - yn) ** 2) for hn, yn in zip(walk(p, x)[1], y))


def grads(p, x, y):
    c, h, f = walk(p, x)
    df, dw, dc = np.zeros_like(p["f"]), np.zeros_like(p["w"]), np.zeros_like(x)
    for n in reversed(range(5)):
        dh = h[n] - y[n]
        dcn = dh * (1 - h[n] ** 2) + dc[n]
        df += dcn * sum(c[k] for k in PARENTS[n]) * f[n] * (1 - f[n]) * x[n]
        for k in PARENTS[n]:
            dc[k] += dcn * f[n]
        dw += dcn * (1 - np.tanh(p["w"] * x[n]) ** 2) * x[n]
    return {"f": df, "w": dw}


@gradcheck.target
def cell(rng, *, H=3):
    p, x = {name: rng.standard_normal(H) for name in "fw"}, rng.standard_normal((5, H))
    y = rng.standard_normal((5, H))
    return gradcheck.Target(p, lambda: loss(p, x, y), lambda: grads(p, x, y))
"""
LEFT_OUT = ("dcn = dh * (1 - h[n] ** 2) + dc[n]", "dcn = dh * (1 - h[n] ** 2)")


@pytest.mark.lines
@pytest.mark.parametrize("others", [(), (('(1 - np.tanh(p["w"] * x[n]) ** 2)', '(1 - np.tanh(p["w"] * x[n]))'),)])
def test_what_is_at_hand_is_the_term_that_is_missing(tmp_path: Path, others: tuple[tuple[str, str], ...]) -> None:
    """A second variable would be made for what the others have added up already, or the line get no fix."""
    factory = cell(tmp_path, LEFT_OUT, *others, source=GRAPH)
    found = looked_for(factory)
    assert found.still_wrong == ()
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    assert source.edited(found.edits[source.file]) == GRAPH
    codes = [one.code for one in tape_findings(found, verified=True) if one.line == line_of(LEFT_OUT[0], GRAPH)]
    assert codes == [FindingCode.LATER_STEPS_MISSING]
