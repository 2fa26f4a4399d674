"""One edit where a variable is bound, in the place of several where it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gradcheck._repair.forecaster import FORECASTER, NOT_BY_SCORES, mended
from tests.gradcheck._repair.spoiled import line_of


@pytest.mark.lines
def test_a_derivative_that_is_forgotten_is_one_fault(tmp_path: Path) -> None:
    """Each statement that reads what was handed on as it is would be accused, and not the one that does so."""
    text, found = mended(tmp_path, *NOT_BY_SCORES, ("dz = dh * (1 - hs[t + 1] ** 2)", "dz = dh"))
    assert found.still_wrong == ()
    assert "        dz = dh * (1 - hs[t + 1]**2)\n" in text
    assert sorted(one.line for one in found.faults if one.line is not None) == [
        line_of("dhs = np.outer(alpha", FORECASTER),
        line_of("dz = dh * (1", FORECASTER),
    ]


@pytest.mark.lines
def test_what_is_wrong_where_it_is_read_is_mended_there(tmp_path: Path) -> None:
    """A right statement would be edited, because two that read what it gives are wrong in the same way."""
    reads_dh = ('g["W"] += np.outer(dz, x[t])', 'g["W"] += np.outer(dh, x[t])')
    text, found = mended(tmp_path, reads_dh, ('dh_next = p["U"].T @ dz', 'dh_next = p["U"].T @ da'))
    assert found.still_wrong == ()
    assert text == FORECASTER
