"""Statements that give several derivatives at once: what a function returns, and what is kept under names."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.by_tape import find_by_tape
from tests.gradcheck._repair.spoiled import cell, line_of

#: a step gives back what it has to hand on as a tuple, and keeps it by name
NAMED = """
import numpy as np
import gradcheck


def ahead(w, x, old):
    gate = 1 / (1 + np.exp(-(x @ w["gx"] + old @ w["gh"])))
    draft = np.tanh(x @ w["dx"] + (gate * old) @ w["dh"])
    return old + gate * (draft - old), {"x": x, "old": old, "gate": gate, "draft": draft}


def behind(w, seen, up):
    x, old, gate, draft = seen["x"], seen["old"], seen["gate"], seen["draft"]
    errors = {"draft": up * gate * (1 - draft**2), "old": up * (1 - gate)}
    through = errors["draft"] @ w["dh"].T
    into = (up * (draft - old) + through * old) * gate * (1 - gate)
    parts = {"dx": x.T @ errors["draft"], "dh": (gate * old).T @ errors["draft"], "gx": x.T @ into, "gh": old.T @ into}
    return errors["old"] + through * gate + into @ w["gh"].T, parts


@gradcheck.target
def cell(rng, *, T=4, B=2, D=3, H=4):
    w = {name: rng.standard_normal((D if name[1] == "x" else H, H)) for name in ("gx", "gh", "dx", "dh")}
    xs, goal = rng.standard_normal((T, B, D)), rng.standard_normal((T, B, H))

    def forward():
        state, states, trail = np.zeros((B, H)), [], []
        for x in xs:
            state, seen = ahead(w, x, state)
            states.append(state)
            trail.append(seen)
        return 0.5 * np.sum((np.array(states) - goal) ** 2), states, trail

    def grads():
        _, states, trail = forward()
        total, up = {name: np.zeros_like(one) for name, one in w.items()}, 0.0
        for t in range(T - 1, -1, -1):
            up, parts = behind(w, trail[t], up + states[t] - goal[t])
            for name, one in parts.items():
                total[name] += one
        return total

    return gradcheck.Target(w, lambda: float(forward()[0]), grads)
"""
SIZES = {"T": 4, "B": 2, "D": 3, "H": 4}
NAMES = {"gx", "gh", "dx", "dh"}


def test_right_code_has_no_fault(tmp_path: Path) -> None:
    """All that follows would say nothing."""
    assert find_by_tape(cell(tmp_path, source=NAMED), 0, SIZES, NAMES) is None


@pytest.mark.lines
def test_faults_in_values_that_stand_side_by_side_are_mended(tmp_path: Path) -> None:
    """Where several faults hide each other, none would be seen that stands in a dictionary or a tuple."""
    bugs = [
        ('"draft": up * gate * (1 - draft**2)', '"draft": up * gate * (1 - draft)'),
        ('errors["draft"] @ w["dh"].T', 'errors["draft"] @ w["dh"]'),
        ("return errors[\"old\"] + through * gate", "return errors[\"old\"] + through * old"),
    ]  # fmt: skip
    found = find_by_tape(cell(tmp_path, *bugs, source=NAMED), 0, SIZES, NAMES)
    assert found is not None
    assert found.still_wrong == ()
    assert {fault.line for fault in found.faults} == {line_of(old, NAMED) for old, _ in bugs}
