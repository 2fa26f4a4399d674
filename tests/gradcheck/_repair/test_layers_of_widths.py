"""Layers of several widths that share their code, and arrays with all time steps side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.by_tape import find_by_tape
from tests.gradcheck._repair.spoiled import cell, line_of
from tests.gradcheck._repair.stack import STACK

SIZES = {"T": 4, "B": 2, "D": 3, "H": 5, "J": 4}
BELOW = {"V1", "R1", "V2", "R2"}


def test_right_code_has_no_fault(tmp_path: Path) -> None:
    """All that follows would say nothing."""
    assert find_by_tape(cell(tmp_path, source=STACK), 0, SIZES, BELOW) is None


@pytest.mark.lines
@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("    inner = inner - n * (g * n).mean(axis=0)\n", "", BELOW),
        ("        gstates = gstates + gk @ ps[\"K\"].T\n", "", BELOW),
        ("gout = np.sign(out - y)", "gout = np.ones_like(out - y)", BELOW | {"K", "q", "P"}),
        ("zip(reversed(trace), gs[::-1])", "zip(reversed(trace), gs)", BELOW),
    ],
    ids=["a term of a normalisation", "a use of all states", "the sign of an error", "a sequence not turned round"],
)  # fmt: skip
def test_what_is_wrong_in_shared_code_is_mended(tmp_path: Path, old: str, new: str, wrong: set[str]) -> None:
    """What runs at several widths, or on all steps at once, would not be mended: no product of two would fit there."""
    found = find_by_tape(cell(tmp_path, (old, new), source=STACK), 0, SIZES, wrong)
    assert found is not None
    assert found.still_wrong == ()
    (fault,) = found.faults
    assert abs(fault.line - line_of(old.strip(), STACK)) <= 1
