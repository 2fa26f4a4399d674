"""Derivatives that no gradient depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._localising.lost import lost_derivatives
from tests.gradcheck._repair.forecaster import FORECASTER
from tests.gradcheck._repair.lists import LISTS
from tests.gradcheck._repair.spoiled import HEAD, cell, line_of, taped


def lost(folder: Path, *bugs: tuple[str, str], source: str = FORECASTER) -> list[tuple[str, int, bool]]:
    """What is lost: the variable, where it is bound, and whether always."""
    run, _ = taped(cell(folder, *bugs, source=source))
    return [(one.name, one.statement.line, one.is_always) for one in lost_derivatives(run)]


def test_the_last_of_a_carry_that_nobody_takes_on_is_told(tmp_path: Path) -> None:
    """A decoder's first state would come from nowhere in the backward, and nothing would say so."""
    bug = ("pool_backward(p, ds_next, alpha", "pool_backward(p, np.ones_like(ds_next), alpha")
    line = line_of('ds_next = p["R"].T @ da', FORECASTER)
    assert lost(tmp_path, bug) == [("ds_next", line, False)]


def test_what_is_calculated_and_never_read_is_told(tmp_path: Path) -> None:
    """A line that a person wrote and then forgot would be passed over."""
    bug = ("dz = dh * (1 - hs[t + 1] ** 2)", "dz_ = dh * (1 - hs[t + 1] ** 2); dz = np.ones_like(dh)")
    assert ("dz_", line_of("dz = dh * (1", FORECASTER), True) in lost(tmp_path, bug)


@pytest.mark.parametrize("source", [FORECASTER, LISTS, HEAD])
def test_what_comes_back_to_a_state_of_zeros_is_nobodys(tmp_path: Path, source: str) -> None:
    """Right code would be asked to use what goes nowhere."""
    assert lost(tmp_path, source=source) == []
