"""What is shown of text that is the user's: nothing that a terminal obeys, nothing that no encoding has."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from gradcheck._common.printable import made_printable, printable


class Pair(NamedTuple):
    """A record as reports have them."""

    name: str
    rest: tuple[object, ...]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("W\x1b[31m", r"W\x1b[31m"),
        ("a\x9b2Jb\x07", r"a\x9b2Jb\x07"),
        ("a\rb\x7f", r"a\rb\x7f"),
        ("\udc80", r"\udc80"),
        ("right\u202egnorw", r"right\u202egnorw"),
        ("größe 网络 ✓ dL/d(W)\n\tb", "größe 网络 ✓ dL/d(W)\n\tb"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    """A name would clear the screen, colour the rest of the log, or say another verdict than there is."""
    assert printable(text) == shown


def test_records_are_copied_with_all_that_is_in_them() -> None:
    """A name inside a list inside a record would be forgotten; or a gradient would hide behind another's name."""
    found = made_printable({"a\x1b": Pair("b\x1b", ("c\x1b", ["d\x1b", 1.5, None]))})
    assert found == {r"a\x1b": Pair(r"b\x1b", (r"c\x1b", [r"d\x1b", 1.5, None]))}
    assert isinstance(found[r"a\x1b"], Pair)
    assert len(made_printable({r"a\x1b": 1, "a\x1b": 2})) == 2
