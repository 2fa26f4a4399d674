"""The factor that the last operations take out of all gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gradcheck
from gradcheck._localising.ground import Ground
from gradcheck._localising.standing import Standing
from gradcheck._repair.by_tape import find_by_tape
from tests.gradcheck._repair.lists import LISTS, SIZES
from tests.gradcheck._repair.spoiled import cell, line_of, taped

#: right as it stands: it climbs the likelihood, and turns the sign of what it returns
CLIMBS = LISTS.replace("dv = (outs[t] - y[t]) / len(y[t])", "dv = (y[t] - outs[t]) / len(y[t])").replace(
    "    return d\n", "    return {name: -one for name, one in d.items()}\n"
)
#: right as it stands: it divides at the end
DIVIDES = LISTS.replace("dv = (outs[t] - y[t]) / len(y[t])", "dv = outs[t] - y[t]").replace(
    "    return d\n", "    return {name: one / len(y[0]) for name, one in d.items()}\n"
)
#: right as it stands: it divides what it adds up at each step
DIVIDES_TERMS = DIVIDES.replace(
    "    return {name: one / len(y[0]) for name, one in d.items()}\n",
    """    total = {name: np.zeros_like(one) for name, one in d.items()}
    for name, one in d.items():
        for row in range(len(one)):
            total[name] += one * (np.arange(len(one)) == row)[:, None] / len(y[0])
    return total
""",
)


@pytest.mark.parametrize(("source", "factor"), [(LISTS, 1.0), (CLIMBS, -1.0), (DIVIDES, 5.0), (DIVIDES_TERMS, 5.0)])
def test_the_factor_is_told(tmp_path: Path, source: str, factor: float) -> None:
    """In code that calculates with a multiple of the derivatives, no value of it would be known."""
    run, _ = taped(cell(tmp_path, source=source))
    assert run.inner == pytest.approx(factor)
    standings = run.once(Ground).standings
    statement = line_of('dh = p["V"].T @ dv', source)
    found = [node for one, node in standings.calculated if one.line == statement]
    assert standings.of(found[0]) is Standing.FULL
    assert all(np.allclose(run.gradients[name], true) for name, true in run.true_gradients.items())


def test_a_factor_of_some_gradients_is_none_of_the_backward(tmp_path: Path) -> None:
    """The derivatives of all would be looked for as multiples where one gradient is divided."""
    run, _ = taped(cell(tmp_path, ('d["V"] += dv @ hs[t + 1].T', 'd["V"] = d["V"] + dv @ hs[t + 1].T'), source=LISTS))
    assert run.inner == 1.0


@pytest.mark.lines
@pytest.mark.parametrize("source", [CLIMBS, DIVIDES])
def test_two_faults_are_mended_in_such_code(tmp_path: Path, source: str) -> None:
    """Of several faults on one way each is told by the derivatives that it spoils: none would be told."""
    bugs = [
        ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"),
        ("dg *= 1 - g ** 2", "dg *= 1 - np.tanh(g) ** 2"),
    ]
    wrong = {"Wi", "Wo", "Wg", "bi", "bo"}
    found = find_by_tape(cell(tmp_path, *bugs, source=source), 0, SIZES, wrong)
    assert found is not None
    assert found.still_wrong == ()
    assert {one.line for one in found.faults} == {line_of(old, source) for old, _ in bugs}


@pytest.mark.lines
def test_a_multiple_is_said_to_be_one(tmp_path: Path) -> None:
    """What a line should give would be called dL/d(value) where it is the negative of it."""
    old = "dg *= 1 - g ** 2"
    report = gradcheck.check(cell(tmp_path, (old, "dg *= 1 - g"), source=CLIMBS))
    (finding,) = (one for one in report.findings if one.line == line_of(old, CLIMBS))
    assert str(finding.expected).startswith("-dL/d(")
