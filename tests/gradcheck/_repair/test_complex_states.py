"""Cells with a complex state: the line of a mistake is named, and its edit passes the whole check."""

from __future__ import annotations

from pathlib import Path

import pytest

import gradcheck
from tests.gradcheck._repair.modes import CONJUGATES, MODES
from tests.gradcheck._repair.spoiled import cell, line_of

BUGS = {
    "conjugate forgotten in the carry": (MODES, "dx = dx * np.conj(lam)", "dx = dx * lam"),
    "conjugate forgotten at the output": (MODES, "dx = dx + dout[t] @ np.conj(C.T)", "dx = dx + dout[t] @ C.T"),
    "state of another step": (
        MODES,
        "dlam += np.sum(dx * np.conj(X[t]), axis=0)",
        "dlam += np.sum(dx * np.conj(X[t + 1]), axis=0)",
    ),
    "factor forgotten": (MODES, "ds = dlam * np.conj(lam)", "ds = dlam"),
    "conjugate too much in the carry": (CONJUGATES, "dx = dx * lam", "dx = dx * np.conj(lam)"),
    "conjugate too much at the output": (
        CONJUGATES,
        "dx = dx + dout[t] @ C.T",
        "dx = dx + dout[t] @ np.conj(C.T)",
    ),
}


@pytest.mark.lines
@pytest.mark.parametrize("name", BUGS)
def test_the_line_is_named_and_mended(name: str, tmp_path: Path) -> None:
    """The backward of a cell with a complex state would be wrong, and nobody would be told where."""
    text, right, wrong = BUGS[name]
    report = gradcheck.check(cell(tmp_path, (right, wrong), source=text))
    finding = next(one for one in report.findings if one.line is not None)
    assert finding.line == line_of(right, text)
    assert finding.fix is not None
    assert finding.fix.verified
    assert finding.fix.after == right


@pytest.mark.parametrize("text", [MODES, CONJUGATES])
def test_a_right_cell_is_right(text: str, tmp_path: Path) -> None:
    """A right backward of complex numbers would be accused, or said not to be followed."""
    report = gradcheck.check(cell(tmp_path, source=text))
    assert report.verdict == "right"
    assert not report.findings


@pytest.mark.lines
def test_the_convention_is_said(tmp_path: Path) -> None:
    """What a line should give would be told without the sign of its imaginary part."""
    text, right, wrong = BUGS["conjugate too much in the carry"]
    report = gradcheck.check(cell(tmp_path, (right, wrong), source=text))
    assert "as dL/dRe - i dL/dIm" in str(report)
    text, right, wrong = BUGS["conjugate forgotten in the carry"]
    assert "dL/dRe" not in str(gradcheck.check(cell(tmp_path, (right, wrong), source=text)))
