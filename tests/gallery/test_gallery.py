"""Nothing in a correct cell is accused."""

from __future__ import annotations

from pathlib import Path

import pytest

import gradcheck
from gradcheck._common.files import load

HERE = Path(__file__).parent
CELLS = ["peephole.py::peephole", "layer_norm.py::layer_norm", "columns.py::columns", "fused.py::cell"]
CELLS += ["fused.py::sequence"]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("cell", CELLS)
def test_a_correct_cell_is_right(cell, seed):
    """Correct code would be accused."""
    file, name = cell.split("::")
    report = gradcheck.check(getattr(load(HERE / file), name), seed=seed)
    assert report.ok, str(report)
    assert report.findings == ()


@pytest.mark.parametrize(
    ("cell", "right", "wrong"),
    [
        ("peephole.py::peephole", '+ dzo * w["po"]', ""),
        ("peephole.py::peephole", "dc * c * f * (1 - f)", "dc * g * f * (1 - f)"),
        ("layer_norm.py::layer_norm", "dbias += dz.sum", "dbias = dz.sum"),
        ("layer_norm.py::layer_norm", "draw @ self.U.T", "draw @ self.U.T * 2"),
        ("columns.py::columns", "(1 - hs[t] * hs[t]) * dh", "(1 - dh * dh) * dh"),
        ("columns.py::columns", "hs[t - 1].T", "hs[t].T"),
    ],
)
def test_a_spoiled_line_is_named_and_mended(tmp_path, cell, right, wrong):
    """A bug in code of another style would be found on another line, or not be mended."""
    factory, lines = _spoiled(tmp_path, cell, [(right, wrong)])
    report = gradcheck.check(factory)
    assert [finding.line for finding in report.findings if finding.line] == lines
    assert report.patch


@pytest.mark.parametrize(
    ("cell", "bugs"),
    [
        # neither of two halves that are put side by side makes anything right by itself
        ("layer_norm.py::layer_norm", [("dh * (h - g)", "dh * (h + g)"), ("* (1 - u) * (1 - g", "* (1 + u) * (1 - g")]),
        # what is carried back is wrong as well, so that no edit of the first line is right at every step
        ("layer_norm.py::layer_norm", [("(1 - g * g)", "(1 - t * g)"), ("dh * u + draw @ self.U.T", "dh * u")]),
        ("layer_norm.py::layer_norm", [("dU += h.T", "dU = h.T"), ("dstates[t] + carried", "dstates[t] + h")]),
        # one gives no derivative at all, the other a part at every step, and no gradient is behind one alone
        ("peephole.py::peephole", [("dc * c * f * (1 - f)", "c * f * (1 - f)"), ('+ dzo * w["po"]', "")]),
    ],
)
def test_two_spoiled_lines_are_both_named_and_mended(tmp_path, cell, bugs):
    """Of two bugs at once one would be blamed for both, or hide the other."""
    factory, lines = _spoiled(tmp_path, cell, bugs)
    report = gradcheck.check(factory.with_sizes(**factory.sizes))  # at one size: others are what one bug is tried at
    assert sorted(finding.line for finding in report.findings if finding.line) == sorted(lines)
    assert all(finding.fix is not None for finding in report.findings if finding.line)


def _spoiled(folder, cell, bugs):
    """A cell with some of its text replaced, and the lines on which that is."""
    file, name = cell.split("::")
    source = (HERE / file).read_text(encoding="utf-8")
    spoiled, lines = source, []
    for right, wrong in bugs:
        assert source.count(right) == 1
        lines.append(source[: source.index(right)].count("\n") + 1)
        spoiled = spoiled.replace(right, wrong)
    path = folder / f"spoiled_{file}"
    path.write_text(spoiled, encoding="utf-8")
    return getattr(load(path), name), lines
