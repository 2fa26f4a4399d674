"""Directions are the same whenever they are asked for, kept or drawn anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck._common.drawing import LARGE
from gradcheck._comparing.directions import Directions


def drawn(directions: Directions, number: int, size: int, names: tuple[str, ...] = ("a", "b")) -> Any:
    """One of the directions over two parameters."""
    like = {"a": np.empty(size), "b": np.empty((2, 3))}
    return directions.draw(list(names), number, like)


@pytest.mark.parametrize("size", [5, LARGE + 5])
def test_a_direction_is_the_same_in_any_order(size: int) -> None:
    """A comparison would be told of along another direction than it was made."""
    one, other = (Directions(lambda *names: np.random.default_rng([len(names), 7])) for _ in range(2))
    before = [drawn(one, number, size) for number in range(3)]
    after = {number: drawn(other, number, size, names=("b", "a")[::-1]) for number in (2, 0, 1)}
    again = [drawn(one, number, size) for number in (2, 1, 0)][::-1]
    for number in range(3):
        for name in "ab":
            assert np.array_equal(before[number][name], after[number][name])
            assert np.array_equal(before[number][name], again[number][name])
    assert not np.array_equal(before[0]["b"], before[1]["b"])


def test_of_large_ones_only_the_first_is_kept() -> None:
    """A check of many parameters would hold as many copies of them as it compares directions."""
    directions = Directions(lambda *_: np.random.default_rng(0))
    first = drawn(directions, 0, LARGE + 1)
    assert drawn(directions, 0, LARGE + 1) is not first  # not kept while the second is compared
    assert drawn(directions, 0, LARGE + 1) is drawn(directions, 0, LARGE + 1)
    assert drawn(directions, 1, LARGE + 1) is not drawn(directions, 1, LARGE + 1)
    small = Directions(lambda *_: np.random.default_rng(0))
    assert drawn(small, 1, 4) is drawn(small, 1, 4)


def test_each_set_of_parameters_has_its_own() -> None:
    """What was compared before would change what is compared now."""
    directions = Directions(lambda *names: np.random.default_rng([ord(name) for name in names]))
    alone = drawn(directions, 0, 4, names=("a",))
    assert set(alone) == {"a"}
    assert not np.array_equal(alone["a"], drawn(directions, 0, 4)["a"])
