"""Maps of wrong entries where there is no tape."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from gradcheck import Target
from gradcheck._annotating import measured
from gradcheck._annotating.measured import measured_maps


@gradcheck.target
def squares(rng: np.random.Generator, *, N: int = 3, M: int = 4) -> Target:
    """A row of its gradient is wrong."""
    w = rng.standard_normal((N, M))

    def grads() -> dict[str, np.ndarray]:
        dw = 2 * w
        dw[1] *= 2
        return {"w": dw}

    return Target({"w": w}, lambda: float(np.sum(w**2)), grads)


def test_the_wrong_entries_are_those_of_the_map() -> None:
    """The author of a kernel would see a map of other entries than those that are wrong, or none."""
    (found,) = measured_maps(squares, 0, ["w"])
    assert (found.row, found.column) == ("N (3)", "M (4)")
    assert [max(row) > 1e-3 for row in found.rows] == [False, True, False]


def test_a_large_gradient_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page would take hours."""
    monkeypatch.setattr(measured, "MOST_ENTRIES", 11)
    assert measured_maps(squares, 0, ["w"]) == ()


def test_code_that_raises_has_no_map() -> None:
    """A page would not be written because of one target in it."""

    def fails() -> float:
        raise RuntimeError("no loss")

    assert measured_maps(Target({"w": np.ones(2)}, fails, dict), 0, ["w"]) == ()


def test_when_the_time_is_up_no_other_gradient_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that takes a second would keep the page back for an hour."""
    monkeypatch.setattr(measured, "LIMIT", -1.0)
    assert measured_maps(squares, 0, ["w"]) == ()
