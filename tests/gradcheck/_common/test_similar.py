"""A wrong word and the one that was meant."""

from __future__ import annotations

import pytest

from gradcheck._common.similar import did_you_mean


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("lstn", ["lstm", "gru"], ": did you mean lstm?"),
        ("LSTM", ["lstm"], ": did you mean lstm?"),
        ("net_a", ["net_b", "net_c", "other"], ": did you mean net_c or net_b?"),
        ("missing", ["raising", "right"], ""),
        ("x", [], ""),
    ],
)
def test_only_what_is_similar_is_suggested(word: str, known: list[str], said: str) -> None:
    """A reader would be sent to something that has nothing to do with it, or get no hint."""
    assert did_you_mean(word, known) == said
