"""Edits beside a statement: the arguments of a call exchanged, and clips taken out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.handed_on import exchanges_by_callers, without_clips
from gradcheck._tape import Statement, TapedRun
from gradcheck._usercode.source import Edit, apply_edits
from tests.gradcheck._repair.spoiled import VJP, cell, taped

#: a network with two states; the backward of a step is handed what comes back of both
STEPS = """\
import numpy as np
import gradcheck


class Step:
    def __init__(self, W, x, h, c):
        self.W, self.h_before, self.c_before = W, h, c
        self.z = np.tanh(W @ h + x)
        self.c = c * self.z + x
        self.h = np.tanh(self.c) * self.z


def forward(W, x):
    steps, h, c = [], np.zeros(len(W)), np.ones(len(W))
    for xt in x:
        steps.append(Step(W, xt, h, c))
        h, c = steps[-1].h, steps[-1].c
    return float(sum(np.sum(one.h**2) for one in steps)) / 2, steps


def gradients(W, x):
    _, steps = forward(W, x)
    dW, dh, dc = np.zeros_like(W), np.zeros(len(W)), np.zeros(len(W))
    for t in reversed(range(len(x))):
        dh, dc = back(steps[t], dW, dh, dc)
    return {"W": dW}


def back(step, dW, dh, dc):
    dh = dh + step.h
    dc = dc + dh * step.z * (1 - np.tanh(step.c)**2)
    dz = dh * np.tanh(step.c) + dc * step.c_before
    da = dz * (1 - step.z**2)
    dW += np.outer(da, step.h_before)
    return step.W.T @ da, dc * step.z


@gradcheck.target
def cell(rng, *, T=4, H=3):
    p, x = {"W": rng.standard_normal((H, H))}, rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: forward(p["W"], x)[0], lambda: gradients(p["W"], x))
"""
CALL = "back(steps[t], dW, dh, dc)"


def statement(run: TapedRun, text: str) -> Statement:
    """The statement with this text."""
    return next(one for one in run.statements if one.text == text)


def edit_of(one: Statement, old: str, new: str) -> tuple[Edit, ...]:
    """The edit of the last of a name in a statement."""
    line = one.source.lines[one.line - 1].decode()
    start = line.rindex(old)
    return (Edit((one.line, start), (one.line, start + len(old)), new),)


def test_arguments_are_exchanged_where_they_are_given(tmp_path: Path) -> None:
    """Two mistakes would be looked for where one is made, elsewhere."""
    run, _ = taped(cell(tmp_path, source=STEPS))
    inside = statement(run, "dh = dh + step.h")
    ((caller, edits),) = exchanges_by_callers(run, inside, [edit_of(inside, "dh", "dc")])
    assert caller.text == f"dh, dc = {CALL}"
    assert "back(steps[t], dW, dc, dh)" in apply_edits(caller.source.text, list(edits))


@pytest.mark.parametrize(("old", "new"), [("step.h", "dc"), ("dh", "step.h"), ("dh", "dh")])
def test_only_parameters_are_exchanged(tmp_path: Path, old: str, new: str) -> None:
    """Calls would be edited that have nothing to do with the mistake."""
    run, _ = taped(cell(tmp_path, source=STEPS))
    inside = statement(run, "dh = dh + step.h")
    assert list(exchanges_by_callers(run, inside, [edit_of(inside, old, new)])) == []


def test_an_exchange_beside_another_fault_is_mended(tmp_path: Path) -> None:
    """Beside another fault, each of what reads the exchanged arguments would be accused, and none of it mended."""
    bugs = (CALL, "back(steps[t], dW, dc, dh)"), ("da = dz * (1 - step.z**2)", "da = dz * (1 - step.z)")
    found: Any = find_by_tape(cell(tmp_path, *bugs, source=STEPS), 0, {"T": 4, "H": 3}, {"W"})
    assert found.still_wrong == ()
    texts = {one.statement.text for one in found.faults} - {bugs[1][1]}
    # where both begin with zeros, what is returned may be exchanged as well
    assert texts in ({f"dh, dc = {bugs[0][1]}"}, {"return step.W.T @ da, dc * step.z"})


def test_clips_are_taken_out_one_by_one(tmp_path: Path) -> None:
    """A clip that cuts off what it reads could not be told from a derivative that it should be."""
    old, new = "dz = dc * (1 - cs[t]**2)", "dz = np.clip(dc, -9, 9) * (1 - np.minimum(cs[t], 8)**2)"
    run, _ = taped(cell(tmp_path, (old, new), source=VJP))
    one = statement(run, new)
    made = [apply_edits(one.source.text, list(edits)) for edits in without_clips(one)]
    assert [text.split("\n")[one.line - 1].strip() for text in made] == [
        "dz = dc * (1 - np.minimum(cs[t], 8)**2)",
        "dz = np.clip(dc, -9, 9) * (1 - cs[t]**2)",
    ]
    assert list(without_clips(statement(run, "dW += x[t].T @ dz"))) == []
