"""Products of vectors, and sums over all entries, solved for in small programs."""

from __future__ import annotations

import pytest

from gradcheck._mending.products import at_hand, products
from tests.gradcheck._mending.pieces import candidates, suspect_of

#: vectors and a matrix of all sizes that are asked for; b has three entries, a is (2, 3)
PARTS = "u, w = a.sum(axis=1), a[0] * a[1]\nda, db = a, np.ones_like(b)\n"


@pytest.mark.parametrize(
    ("statement", "term"),
    [("da = a + np.outer(u, w)", "- np.outer(u, w)"), ("db = np.ones_like(b) + u @ a", "- a.T @ u")],
)
def test_what_is_too_much_is_taken_off(statement, term, tmp_path):
    """If it fails, a product of vectors cannot be written as a term, and code of one example at a time gets no fix."""
    found = candidates(suspect_of(tmp_path, f"{PARTS}{statement}", statement), products)
    assert any(term in one for one in found), found


def test_the_sum_of_all_entries(tmp_path):
    """If it fails, a gradient that is one number for a whole array is not found: `g += d.sum()`."""
    suspect = suspect_of(
        tmp_path, "da, total = a, np.zeros(1)\ntotal += 0 * total\ndb = np.ones(3) * (1 - b.sum() + total)", "total +="
    )
    assert "total += 0 * total + b.sum()" in candidates(suspect, at_hand)


def test_products_are_written_as_the_file_writes_them(tmp_path):
    """If it fails, a fix has `@` in a file that calls np.dot throughout."""
    body = "da, n = a, np.dot(a, b)\ndb = np.ones_like(b) + np.dot(n, a)"
    suspect = suspect_of(tmp_path, body, "db =")
    assert any("- np.dot(a.T, n)" in one for one in candidates(suspect, products))
