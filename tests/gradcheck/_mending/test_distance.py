"""How far edits are from the source."""

from __future__ import annotations

import pytest

from gradcheck._mending.distance import distance, reads_known_item
from gradcheck._mending.outside import Edit
from gradcheck._mending.syntax import Code

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


@pytest.mark.parametrize(
    ("edit", "is_known"),
    [
        (Edit((2, 12), (2, 13), ":n - 1"), True),
        (Edit((2, 12), (2, 13), ":n-1"), True),
        (Edit((2, 10), (2, 14), "s[:n - 1]"), True),
        (Edit((2, 12), (2, 13), ":m"), False),  # stands nowhere
        (Edit((2, 10), (2, 14), "c[1:]"), False),  # of another array
        (Edit((2, 10), (2, 14), "s"), False),
        (Edit((2, 12), (2, 13), "("), False),
    ],
)
def test_an_item_that_the_file_reads_is_told_from_others(edit, is_known):
    """Of slices that are equal at the target's sizes the shortest would be proposed, and not the one that is meant."""
    code = Code("dV = f(e, s[:n - 1]) + c[1:]\ndW = f(d, s[t])\n")
    assert reads_known_item(code, [edit]) is is_known
