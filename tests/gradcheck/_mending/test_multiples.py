"""Multiples of what is at hand, by numbers that have names."""

from __future__ import annotations

import pytest

from gradcheck._mending.multiples import multiples
from tests.gradcheck._mending.pieces import candidates, suspect_of

#: da should be a, db should be ones; c is three times a, which is three sizes long
PARTS = "rate, n = 1.5, 2\nc = rate * n * a\ndb = np.ones_like(b)\n"


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("da = np.zeros_like(a)", ["da = c / b.size", "da = n * c / a.size"]),
        ("da = 2 * a + 0 * c", ["da = 2 * a + 0 * c - c / b.size", "da = 2 * a / n"]),
    ],
)
def test_a_multiple_is_written_with_the_numbers_at_hand(statement, wanted, tmp_path):
    """If it fails, the derivative of a penalty, `lam * w / B`, cannot be written where it is left out."""
    found = candidates(suspect_of(tmp_path, PARTS + statement, statement), multiples)
    assert set(wanted) <= set(found), found


def test_nothing_is_added_to_nothing(tmp_path):
    """If it fails, the fix of `np.zeros_like(a)` keeps the zeros beside what is right."""
    found = candidates(suspect_of(tmp_path, f"{PARTS}da = np.zeros_like(a)", "da ="), multiples)
    assert found
    assert not any("zeros" in one for one in found)
