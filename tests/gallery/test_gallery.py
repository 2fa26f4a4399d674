"""Nothing in a correct cell is accused."""

from __future__ import annotations

from pathlib import Path

import pytest

import gradcheck
from gradcheck._files import load

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
    file, name = cell.split("::")
    source = (HERE / file).read_text(encoding="utf-8")
    assert source.count(right) == 1
    path = tmp_path / f"spoiled_{file}"
    path.write_text(source.replace(right, wrong), encoding="utf-8")
    report = gradcheck.check(getattr(load(path), name))
    line = source[: source.index(right)].count("\n") + 1
    assert [finding.line for finding in report.findings if finding.line] == [line]
    assert report.patch
