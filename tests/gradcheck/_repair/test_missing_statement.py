"""Statements that are left out: no edit of those that stand there makes up for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.tape_findings import tape_findings
from gradcheck.report.codes import FindingCode
from gradcheck.report.records import Finding
from tests.gradcheck._repair.spoiled import cell, line_of

#: a gated cell whose state is scaled on its way to the next step
CELL = '''\
import numpy as np
import gradcheck


class Cell:
    """What is kept of the forward, and the gradients."""

    def __init__(self, rng, D, H):
        draw = lambda *shape: rng.normal(size=shape) * 0.7
        self.p = {"W": draw(H, D), "U": draw(H, H), "a": draw(H), "b": draw(H)}

    def loss(self, x, y):
        p, self.steps, total = self.p, [], 0.0
        h, c = np.zeros(len(p["b"])), np.ones(len(p["b"]))
        for xt, yt in zip(x, y):
            f = 1 / (1 + np.exp(-(p["a"] * c)))
            g = np.tanh(p["W"] @ xt + p["U"] @ h + p["b"])
            before = h, c
            c = f * c + g
            h = np.tanh(c)
            self.steps.append((xt, yt, *before, f, g, h))
            total += 0.5 * np.sum((h - yt) ** 2)
        return total

    def grads(self, x, y):
        self.loss(x, y)
        p, d = self.p, {name: np.zeros_like(one) for name, one in self.p.items()}
        dh, dc = np.zeros(len(p["b"])), np.zeros(len(p["b"]))
        for xt, yt, h_before, c_before, f, g, h in reversed(self.steps):
            dh = dh + h - yt
            dc = dc + dh * (1 - h * h)
            df = dc * c_before * f * (1 - f)
            d["a"] += df * c_before
            dz = dc * (1 - g * g)
            d["W"] += np.outer(dz, xt)
            d["U"] += np.outer(dz, h_before)
            d["b"] += dz
            dh = p["U"].T @ dz
            dc = dc * f + df * p["a"]
        return d


@gradcheck.target
def cell(rng, *, T=4, D=2, H=3):
    made = Cell(rng, D, H)
    x, y = rng.normal(size=(T, D)), rng.normal(size=(T, H))
    return gradcheck.Target(made.p, lambda: made.loss(x, y), lambda: made.grads(x, y))
'''
SIZES = {"T": 4, "D": 2, "H": 3}


def found_without(folder: Path, statement: str, instead: str = "") -> tuple[list[str], list[Finding], str]:
    """Of the cell without a statement: the lines as mended, the findings, and what is wrong still."""
    target = cell(folder, (f"            {statement}\n", instead), source=CELL)
    found = find_by_tape(target, 0, SIZES, set("WUab"))
    assert found is not None
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    mended = source.edited(found.edits[source.file]).splitlines()
    return mended, tape_findings(found, verified=True), ", ".join(found.still_wrong)


@pytest.mark.parametrize("statement", ['d["b"] += dz', 'd["U"] += np.outer(dz, h_before)', 'dc = dc * f + df * p["a"]'])
def test_what_is_left_out_is_written(statement: str, tmp_path: Path) -> None:
    """If it fails, a carry that is not handed on, or a gradient that nothing is added to, gets no fix."""
    mended, findings, wrong = found_without(tmp_path, statement)
    assert wrong == ""
    assert len(mended) == len(CELL.splitlines())
    assert {one.code for one in findings} == {FindingCode.MISSING_STATEMENT}


def test_a_statement_that_does_nothing_makes_room(tmp_path: Path) -> None:
    """If it fails, the new statement stands beside a `pass` that was left in its place, and another line is named."""
    mended, (finding,), wrong = found_without(tmp_path, 'd["b"] += dz', "            pass\n")
    line = line_of('d["b"] += dz', CELL)
    assert (wrong, finding.line) == ("", line)
    assert mended[line - 1].strip() == 'd["b"] += dz'
