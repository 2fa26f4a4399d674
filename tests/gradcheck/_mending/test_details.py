"""Small edits inside an expression: slices."""

from __future__ import annotations

import pytest

from gradcheck._mending.details import indices
from tests.gradcheck._mending.pieces import candidates, suspect_of

ZEROS = "da, db = np.zeros_like(a), np.ones_like(b)\n"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a[:, :n]", {"a[:, -n:]", "a[:, :-n]", "a[:, n:]", "a[:, :]", "a[:, : 2 * n]"}),
        ("a[:, -n:]", {"a[:, n:]", "a[:, :n]", "a[:, :-n]"}),
        ("a[:, -(n + 1):]", {"a[:, n + 1:]", "a[:, :n + 1]"}),
        ("a[:, :len(b)]", {"a[:, -len(b):]", "a[:, :-len(b)]"}),
        ("a[:, :n + 1]", {"a[:, -(n + 1):]", "a[:, n + 1:]"}),
    ],
)
def test_slices_end_at_the_same_distance_from_the_other_end(tmp_path, given, expected):
    """If it fails, a slice of the first entries in the place of the last, or of all but those, gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}n = 1\nrows = {given}\nda[:, :] += np.sum(rows)", "rows =")
    found = {text.replace(" ", "") for text in candidates(suspect, indices)}
    assert {f"rows={text}".replace(" ", "") for text in expected} <= found
