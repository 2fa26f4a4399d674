"""Which line is named, with what it would have to give."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck._localising import localise
from gradcheck._localising.blame import Role
from gradcheck._localising.standing import Standing
from gradcheck._localising.suspects import Need
from gradcheck._repair.wrong_values import wrong_gradients
from tests.gradcheck._localising.nets import located, run_of
from tests.gradcheck._repair.lists import LISTS
from tests.gradcheck._repair.spoiled import cell, line_of, taped

FAULTS = {
    "factor": ("dz = dh * dtanh(h)", "dz = dh"),
    "another step": ("dz = dh * dtanh(h)", "dz = dh * dtanh(before)"),
    "carry forgotten": ('dh = dout @ p["V"].T + carry', 'dh = dout @ p["V"].T'),
    "not transposed": ('carry = dz @ p["U"].T', 'carry = dz @ p["U"]'),
    "another operand": ("dU += before.T @ dz", "dU += h.T @ dz"),
    "not added up": ("db += dz.sum(axis=0)", "db = dz.sum(axis=0)"),
    "sign": ('dout = h @ p["V"] - y[t]', 'dout = y[t] - h @ p["V"]'),
    "helper": ("return 1 - y ** 2", "return 1 - y"),
    "wrong value": ('"h0": carry', '"h0": dh'),
    "buffer": ("dV = np.zeros_like", "dV = np.ones_like"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault(tmp_path, name):
    """If this failed, the line of a plain single fault would not come first, or an edit would look elsewhere."""
    found, lines = located(tmp_path, FAULTS[name])
    assert found.alone[0].line == lines[0]
    assert not found.together


def test_needed_values_are_the_true_derivatives(tmp_path):
    """If this failed, candidates for the repair would be judged against wrong values."""
    found, _ = located(tmp_path, FAULTS["factor"])
    suspect = found.alone[0]
    assert suspect.need is Need.KNOWN
    assert suspect.role is Role.SPOILS
    assert [one.standing for one in suspect.needed] == [Standing.FULL] * 3
    right, _, _ = run_of(tmp_path)
    values = [node.value for node in right.nodes if node.place and node.place.text == "dh * dtanh(h)"]
    assert all(np.allclose(one.needed, value) for one, value in zip(suspect.needed, values, strict=True))
    change = np.concatenate([(one.needed - one.value).ravel() for one in suspect.needed])
    assert np.allclose(suspect.system.matrix @ change, suspect.system.difference)


def test_two_runs_must_agree(tmp_path):
    """If this failed, a coincidence at one size could accuse a line."""
    run, wrong, lines = run_of(tmp_path, FAULTS["another operand"])
    second, _, _ = run_of(tmp_path, FAULTS["another operand"], T=2, seed=5)
    second.statements[0].source.file = run.statements[0].source.file  # the same text in another file
    assert localise(run, wrong, second=second).alone[0].line == lines[0]


def test_a_common_factor_is_no_matter(tmp_path):
    """If this failed, a mean for a sum would hide every other fault."""
    factor = ("return 0.5 * sum", "return 0.125 * sum")
    found, lines = located(tmp_path, factor, FAULTS["factor"], multiple=4.0)
    assert found.alone[0].line == lines[1]


PAIRS = [("factor", "another operand"), ("carry forgotten", "not added up"), ("not transposed", "buffer")]


@pytest.mark.parametrize("names", PAIRS)
def test_two_faults(tmp_path, names):
    """If this failed, a file with two faults would get one wrong line, or none."""
    found, lines = located(tmp_path, *(FAULTS[name] for name in names))
    assert not found.alone
    assert {one.line for one in found.together} == set(lines)


def test_one_wrong_gradient_at_a_time(tmp_path):
    """If this failed, the first of many faults could not be looked for by itself."""
    found, lines = located(tmp_path, FAULTS["factor"], FAULTS["buffer"], only=["V"])
    assert found.alone[0].line == lines[1]
    assert found.alone[0].blamed_for == ("V",)


def test_the_same_twice(tmp_path):
    """If this failed, a report could change from run to run."""
    run, wrong, _ = run_of(tmp_path, FAULTS["helper"])
    first, second = localise(run, wrong), localise(run, wrong)
    assert [one.key for one in first.alone] == [one.key for one in second.alone]


def test_nothing_wrong_accuses_nobody(tmp_path):
    """If this failed, correct code would be accused."""
    found, _ = located(tmp_path)
    assert not found.suspects
    assert not found.signs


def test_the_derivative_of_something_else_is_not_innocent(tmp_path):
    """If this failed, a wrong gate in the carry would be blamed on who reads it: dc * i is the derivative of a gate."""
    old = "dc_next = (1 - i) * dc"
    run, others = taped(cell(tmp_path, (old, "dc_next = i * dc"), source=LISTS))
    found = localise(run, sorted(wrong_gradients(run)), second=others[-1].run())
    assert found.alone[0].line == line_of(old, LISTS)
    assert found.alone[0].role is Role.SPOILS
