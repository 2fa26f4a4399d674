"""Maps of the entries that are wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck._annotating.error_maps import MOST_COLUMNS, MOST_ROWS, maps_of


def maps(given: Any, true: Any, **more: Any) -> Any:
    """The map of one gradient."""
    return maps_of({"W": np.asarray(given, float)}, {"W": np.asarray(true, float)}, ["W"], **more)


def test_errors_are_relative_to_the_norm_of_the_gradient() -> None:
    """A small gradient would look right all over."""
    (found,) = maps([[3.0, 0.0], [0.0, 5.0]], [[3.0, 0.0], [0.0, 4.0]])
    assert found.rows == ((0.0, 0.0), (0.0, 0.2))


def test_gates_are_along_the_axis_that_they_divide() -> None:
    """Lines would be drawn between rows that are no gates."""
    (wide,) = maps(np.ones((3, 8)), np.zeros((3, 8)) + 2, gates="ifgo")
    (high,) = maps(np.ones((8, 3)), np.zeros((8, 3)) + 2, gates="ifgo")
    (none,) = maps(np.ones((3, 5)), np.zeros((3, 5)) + 2, gates="ifgo")
    (steps,) = maps(np.ones((8, 3)), np.zeros((8, 3)) + 2, gates="ifgo", sizes={"T": 8})
    found = [(len(one.gates), one.are_rows) for one in (wide, high, none, steps)]
    assert found == [(4, False), (4, True), (0, False), (0, False)]


def test_an_axis_is_called_by_the_size_that_it_has() -> None:
    """Time steps would not be told from examples."""
    (found,) = maps(np.ones((4, 2, 3)), np.zeros((4, 2, 3)) + 2, sizes={"T": 4, "B": 2, "D": 3})
    assert found.row == "T (4)"
    assert found.column.startswith("all other axes")


def test_a_large_gradient_is_shown_by_the_worst_of_each_block() -> None:
    """A page would have a million cells, or the one wrong entry be left out of it."""
    true = np.ones((100, 300))
    given = true.copy()
    given[99, 299] = 2
    (found,) = maps(given, true)
    assert len(found.rows) <= MOST_ROWS
    assert len(found.rows[0]) <= MOST_COLUMNS
    assert found.rows[-1][-1] > 0
    assert sum(value > 0 for row in found.rows for value in row) == 1


def test_what_cannot_be_compared_has_no_map() -> None:
    """A gradient of another shape would end the page in an error."""
    assert maps(np.ones(3), np.ones(4)) == ()
    assert maps(np.zeros(3), np.zeros(3)) == ()
    assert maps([np.nan, 1.0], [1.0, 1.0])[0].rows[0][0] == np.inf
