"""Values written by what is at hand."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from gradcheck._mending import Budget, MendSearch
from gradcheck._mending.library import values_at
from gradcheck._mending.naming import Names
from tests.gradcheck._mending.pieces import suspect_of

BODY = (
    "da, db = np.zeros_like(a), np.ones_like(b)\nfor t in range(2):\n    s = 1 / (1 + np.exp(-a * (1 + t)))\n"
    "    keep, row = np.ones((2, 1)) * (0.5 + t), b * (1 + t)\n    d = 0.3 * a * s\n    da = da + d"
)


@pytest.fixture
def names(tmp_path: Path) -> Names:
    """What is at hand at a statement that is executed twice."""
    suspect = suspect_of(tmp_path, BODY, "d =")
    return Names(next(one for one in MendSearch(suspect.run, suspect.statement, [], Budget()).places if one.floats))


def written(node: ast.expr | None) -> str | None:
    """As it is written."""
    return None if node is None else ast.unparse(node)


def values_of(names: Names, text: str) -> list[np.ndarray]:
    """Of an expression, at both executions."""
    found = values_at(names.place, ast.parse(text, mode="eval").body)
    assert found is not None
    return found


@pytest.mark.parametrize("text", ["s", "s * (1 - s)", "1 - s", "a.T"])
def test_what_is_at_hand_is_named(names: Names, text: str) -> None:
    """A derivative would be written out though it, or its slope, has a name."""
    assert written(names.named(values_of(names, text))) == text


def test_what_is_equal_at_one_execution_only_is_another_value(names: Names) -> None:
    """An edit would be right at the first step, and wrong at all others."""
    first, second = values_of(names, "s")
    assert names.named([first, second + 1e-3]) is None
    assert written(names.named([first, np.full_like(second, np.nan)])) == "s"  # 0 / 0 tells nothing


def test_a_slope_is_told_from_what_broadcasts_to_it(names: Names) -> None:
    """A mask with one entry for each example would be no factor."""
    wide = [np.broadcast_to(one, (2, 3)) for one in values_of(names, "keep")]
    assert names.named(wide) is None
    assert written(names.slope_named(wide)) == "keep"


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("row[:, None]", "row[:, None]"),
        ("row[None, :]", "row[None, :]"),
        ("s[:, :, None]", "s[:, :, None]"),
        ("s[:, None, :]", "s[:, None, :]"),
        ("s.T[:, :, None]", None),
    ],
)
def test_an_axis_of_length_one_is_named_where_it_is_wanted(names: Names, wanted: str, text: str | None) -> None:
    """A batch of columns, to which the derivatives of a product of batches come back, would have no name."""
    assert written(names.named(values_of(names, wanted))) == text
