"""A word that nobody knows, and the known one that was likely meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

#: how similar a word has to be, of 1: one letter of four may be another
LEAST = 0.75


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``: did you mean check?``, to stand behind what is wrong; empty if nothing is similar."""
    by_lower = {one.lower(): one for one in known}
    close = get_close_matches(word.lower(), by_lower, n=3, cutoff=LEAST)
    return f": did you mean {' or '.join(by_lower[one] for one in close)}?" if close else ""
