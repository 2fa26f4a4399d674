"""How names, sizes, numbers and paths are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradcheck._common.wording import comma_separated, describe_not_finite, format_apart, format_sizes, shown_path


def test_names_and_sizes() -> None:
    """Names would be printed as Python's lists."""
    assert comma_separated(["W", "U", "b"]) == "W, U, b"
    assert comma_separated([]) == ""
    assert format_sizes({"T": 2, "B": 1}) == "T=2, B=1"
    assert format_sizes({}) == ""


def test_what_is_not_finite_is_counted_and_placed() -> None:
    """The user would look for NaN in an array that has none, or at another index."""
    assert describe_not_finite(np.ones(3)) == ""
    assert describe_not_finite(np.zeros(0)) == ""
    assert describe_not_finite(np.array([1e300, -1e300])) == ""  # but not its squares
    bad = np.array([[1.0, np.inf], [np.nan, 2.0]])
    assert describe_not_finite(bad) == "is not finite at 2 of 4 entries, the first inf at (0, 1)"


@pytest.mark.parametrize(
    ("analytic", "numerical", "expected"),
    [
        (1.0, 2.0, ("1", "2")),
        (0.123456789, 0.123456781, ("0.12345679", "0.12345678")),
        (1.0, 1.0 + 2.0**-52, ("1", "1.0000000000000002")),
        (1 / 3, 1 / 3, ("0.33333333333333331", "0.33333333333333331")),
    ],
)
def test_two_values_are_told_apart(analytic: float, numerical: float, expected: tuple[str, str]) -> None:
    """A wrong entry would be printed as two equal numbers."""
    assert format_apart(analytic, numerical) == expected


def test_a_path_is_shown_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A patch would not apply where it was made; or the path of a file that lies elsewhere be cut."""
    monkeypatch.chdir(tmp_path)
    assert shown_path(str(tmp_path / "models" / "lstm.py")) == "models/lstm.py"
    assert shown_path("/elsewhere/lstm.py") == "elsewhere/lstm.py"
