"""States whose derivatives lack what comes back from later steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._localising.incomplete import incomplete
from tests.gradcheck._repair.lists import LISTS
from tests.gradcheck._repair.spoiled import HEAD, cell, line_of, taped


def lines(folder: Path, *bugs: tuple[str, str], source: str) -> list[int]:
    """Where something is lacking."""
    run, _ = taped(cell(folder, *bugs, source=source))
    return [one.statement.line for one in incomplete(run)]


@pytest.mark.parametrize("wrong", ["pass", "dh += 0 * dh_next"])
def test_a_state_without_what_comes_back_is_told(tmp_path: Path, wrong: str) -> None:
    """The commonest mistake of all, a carry left out, would have no line beside other faults."""
    bug = ("dh += dh_next", wrong)
    assert lines(tmp_path, bug, source=LISTS) == [line_of('dh = p["V"].T @ dv', LISTS)]


def test_it_is_told_beside_other_faults(tmp_path: Path) -> None:
    """With a second mistake in the same backward the line would be lost."""
    bugs = [("dh += dh_next", "pass"), ("do = o * (1 - o) * do", "do = o * do")]
    assert line_of('dh = p["V"].T @ dv', LISTS) in lines(tmp_path, *bugs, source=LISTS)


@pytest.mark.parametrize("source", [LISTS, HEAD])
def test_right_code_lacks_nothing(tmp_path: Path, source: str) -> None:
    """Terms that are added up later would be accused."""
    assert lines(tmp_path, source=source) == []


def test_another_fault_is_not_taken_for_a_lack(tmp_path: Path) -> None:
    """A line that is right would be accused of what a wrong one spoils."""
    bug = ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])")
    assert lines(tmp_path, bug, source=LISTS) == []


#: states in one array for all steps, which the output is calculated from as well
ONE_ARRAY = """\
import numpy as np
import gradcheck


def forward(p, x):
    hs = np.zeros((len(x) + 1, len(p["U"])))
    for t in range(len(x)):
        hs[t + 1] = np.tanh(p["W"] @ x[t] + p["U"] @ hs[t])
    return hs


def backward(p, x, hs, dhs):
    dW, dU, carry = np.zeros_like(p["W"]), np.zeros_like(p["U"]), np.zeros(len(p["U"]))
    for t in reversed(range(len(x))):
        dh = dhs[t]
        dz = (dh + carry) * (1 - hs[t + 1] ** 2)
        dW += np.outer(dz, x[t])
        dU += np.outer(dz, hs[t])
        carry = p["U"].T @ dz
    return {"W": dW, "U": dU}


@gradcheck.target
def cell(rng, *, T=4, D=2, H=3):
    p = {"W": rng.normal(size=(H, D)), "U": rng.normal(size=(H, H))}
    x, w = rng.normal(size=(T, D)), rng.normal(size=(T, H))
    return gradcheck.Target(p, lambda: (w * forward(p, x)[1:]).sum(), lambda: backward(p, x, forward(p, x), w))
"""


def test_what_was_handed_over_for_each_step_lacks_what_comes_back(tmp_path: Path) -> None:
    """Where all states are kept in one array, a carry that is left out would have no line."""
    bug = ("(dh + carry) * (1", "dh * (1")
    assert lines(tmp_path, bug, source=ONE_ARRAY) == [line_of("dh = dhs[t]", ONE_ARRAY)]
    assert lines(tmp_path, source=ONE_ARRAY) == []


def test_a_lack_that_goes_back_into_itself_is_told(tmp_path: Path) -> None:
    """What comes back to the cell left out spoils the states before, so that later values are none at all."""
    bug = ("dc = np.copy(dc_next)", "dc = np.zeros_like(dc_next)")
    assert lines(tmp_path, bug, source=LISTS) == [line_of("dc += dh * o", LISTS)]
