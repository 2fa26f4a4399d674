"""Complex values: which statement is to blame, and what its values are derivatives of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradcheck._localising import localise
from gradcheck._localising.ground import Ground
from gradcheck._localising.labels import CONJUGATE, Labels
from gradcheck._localising.standing import Standing
from tests.gradcheck._repair.modes import CONJUGATES, MODES
from tests.gradcheck._repair.spoiled import cell, line_of, taped

BOTH = pytest.mark.parametrize(("text", "lam"), [(MODES, "np.conj(lam)"), (CONJUGATES, "lam")])


@BOTH
def test_the_statement_is_the_first_suspect(text: str, lam: str, tmp_path: Path) -> None:
    """Another statement would be blamed for a wrong factor, or none, or it would not be known what it has to give."""
    run, _ = taped(cell(tmp_path, (f"ds = dlam * {lam}", "ds = dlam * 0.5"), source=text))
    first = localise(run, ["a", "w"]).alone[0]
    assert first.line == line_of(f"ds = dlam * {lam}", text)
    assert first.needed
    assert all(one.standing is Standing.FULL for one in first.needed)
    assert {one.form for one in first.needed} == ({CONJUGATE} if text is CONJUGATES else {""})


@BOTH
def test_right_values_are_derivatives(text: str, lam: str, tmp_path: Path) -> None:
    """Right values would be unknown where the backward carries conjugates, and their labels would not say so."""
    run, _ = taped(cell(tmp_path, source=text))
    standings = run.once(Ground).standings
    labels = Labels(run, standings)
    carried = [node for node in run.backward if node.place is not None and node.place.text == f"dx * {lam}"]
    assert len(carried) > 1
    for node in carried[:-1]:
        known = labels.of(np.asarray(node.value))
        assert standings.of(node) <= Standing.PARTIAL
        assert known is not None
        assert known.form == (CONJUGATE if text is CONJUGATES else "")
        assert str(known).endswith(", as dL/dRe - i dL/dIm") is (text is CONJUGATES)


def test_a_row_of_a_complex_matrix_is_no_step(tmp_path: Path) -> None:
    """One example of a batch would be called one step of several, since a complex matrix has three axes on the tape."""
    run, _ = taped(cell(tmp_path, source=MODES))
    labels = Labels(run, run.once(Ground).standings)
    whole = next(
        value
        for node, value in zip(run.nodes, run.derivatives, strict=True)
        if node.is_complex and value is not None and value.ndim == 3 and np.any(value)
    )
    assert labels.step(whole[0]) is None
