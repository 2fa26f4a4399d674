"""How far edits are from the source."""

from __future__ import annotations

import pytest

from gradcheck._mending.distance import distance
from gradcheck._mending.outside import Edit

TEXT = "x = a * b\ny = c\n"


def test_a_token_more_is_nearer_than_a_token_exchanged() -> None:
    """A longer edit would be shown where a shorter one does."""
    more = distance(TEXT, [Edit((1, 4), (1, 5), "-a")])
    other = distance(TEXT, [Edit((1, 4), (1, 5), "c")])
    assert more < other


def test_all_edits_count() -> None:
    """Two changes would be as near as one."""
    one = distance(TEXT, [Edit((1, 4), (1, 5), "c")])
    two = distance(TEXT, [Edit((1, 4), (1, 5), "c"), Edit((2, 4), (2, 5), "d")])
    assert two > one


def test_what_is_no_python_by_itself_has_a_distance() -> None:
    """A part of a statement over several lines would end the search."""
    assert distance("f(a,\n  b)\n", [Edit((1, 2), (1, 3), "c")]) > 0


def test_a_second_sign_is_farther_than_one() -> None:
    """`a + -b` would be shown where `a - b` does, because it keeps the sign that stands there."""
    text = "x = a + b\n"
    less, negative = (distance(text, [Edit((1, 6), (1, 9), new)]) for new in ("- b", "+ -b"))
    assert less < negative
    beside = [Edit((1, 4), (1, 5), "c")]
    assert distance("x = a + -b\n", beside) == pytest.approx(distance(text, beside), abs=0.1)
