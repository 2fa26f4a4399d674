"""Edits of edited text, told as edits of the text as it was."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gradcheck._repair.edits_in_turn import moved_back
from gradcheck._usercode.source import Edit, apply_edits, split_lines

TEXT = "a = b + c\nd = e * f\n"


@pytest.mark.parametrize(
    ("before", "later", "told"),
    [
        # in another line, before and after it
        ([Edit((1, 4), (1, 5), "wide")], Edit((2, 4), (2, 5), "x"), Edit((2, 4), (2, 5), "x")),
        ([Edit((2, 4), (2, 5), "wide")], Edit((1, 4), (1, 5), "x"), Edit((1, 4), (1, 5), "x")),
        # in the same line, before and after it
        ([Edit((1, 8), (1, 9), "wide")], Edit((1, 4), (1, 5), "x"), Edit((1, 4), (1, 5), "x")),
        ([Edit((1, 4), (1, 5), "wide")], Edit((1, 11), (1, 12), "x"), Edit((1, 8), (1, 9), "x")),
        ([Edit((1, 4), (1, 5), "ü")], Edit((1, 9), (1, 10), "x"), Edit((1, 8), (1, 9), "x")),
        # right before and right after it
        ([Edit((1, 4), (1, 5), "wide")], Edit((1, 0), (1, 4), "x"), Edit((1, 0), (1, 4), "x")),
        ([Edit((1, 4), (1, 5), "wide")], Edit((1, 8), (1, 10), "x"), Edit((1, 5), (1, 7), "x")),
        # after lines that were put in, or taken out
        ([Edit((1, 0), (1, 0), "z = 0\n")], Edit((2, 4), (2, 5), "x"), Edit((1, 4), (1, 5), "x")),
        ([Edit((1, 9), (1, 9), "\na /= 2")], Edit((3, 4), (3, 5), "x"), Edit((2, 4), (2, 5), "x")),
        ([Edit((1, 4), (1, 5), "(\nwide)")], Edit((2, 8), (2, 9), "x"), Edit((1, 8), (1, 9), "x")),
        ([Edit((1, 8), (2, 4), "")], Edit((1, 8), (1, 9), "x"), Edit((2, 4), (2, 5), "x")),
        # after several
        (
            [Edit((2, 4), (2, 5), "wide"), Edit((1, 0), (1, 0), "z = 0\n"), Edit((1, 4), (1, 5), "")],
            Edit((3, 11), (3, 12), "x"),
            Edit((2, 8), (2, 9), "x"),
        ),
        # in place of all that was put there, and more
        ([Edit((1, 4), (1, 5), "wide")], Edit((1, 4), (1, 8), "x"), Edit((1, 4), (1, 5), "x")),
        ([Edit((1, 4), (1, 5), "wide")], Edit((1, 0), (1, 12), "x"), Edit((1, 0), (1, 9), "x")),
        # inside what was put there, or over its border
        ([Edit((1, 4), (1, 5), "wide")], Edit((1, 5), (1, 6), "x"), None),
        ([Edit((1, 4), (1, 5), "wide")], Edit((1, 0), (1, 6), "x"), None),
        ([Edit((1, 4), (1, 5), "wide")], Edit((1, 6), (1, 12), "x"), None),
        ([Edit((1, 9), (1, 9), "\na /= 2")], Edit((2, 5), (2, 6), "x"), None),
        # where something was inserted: after it, before it, in place of it
        ([Edit((1, 0), (1, 0), "z = 0\n")], Edit((2, 0), (2, 0), "y = 0\n"), Edit((1, 0), (1, 0), "y = 0\n")),
        ([Edit((1, 0), (1, 0), "z = 0\n")], Edit((1, 0), (1, 0), "y = 0\n"), None),
        ([Edit((1, 4), (1, 4), "wide")], Edit((1, 4), (1, 8), "x"), None),
    ],
)
def test_an_edit_is_told_of_the_text_as_it_was(before: list[Edit], later: Edit, told: Edit | None) -> None:
    """The second fault's edit would be written where the first one's has moved other text to, or into its midst."""
    assert moved_back(later, before) == told


def test_what_is_inserted_at_one_place_stands_there_in_turn() -> None:
    """Lines that two faults need before the same statement would come in the order of the alphabet."""
    first, second = Edit((1, 0), (1, 0), "z = 0\n"), Edit((1, 0), (1, 0), "y = z\n")
    assert apply_edits(TEXT, [first, second]) == "z = 0\ny = z\n" + TEXT
    assert apply_edits(TEXT, [Edit((2, 0), (2, 0), "x = 1\n"), first, second]).startswith("z = 0\ny = z\na")


LINE = st.text(alphabet="abé =", max_size=6)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A few short lines, some letters of which take two bytes."""
    return "".join(line + "\n" for line in draw(st.lists(LINE, min_size=1, max_size=4)))


def places(text: str) -> list[tuple[int, int]]:
    """All places between two letters, in order."""
    lines = [line.rstrip("\n") for line in split_lines(text)]
    return [(number, len(line[:k].encode())) for number, line in enumerate(lines, 1) for k in range(len(line) + 1)]


@st.composite
def edits_of(draw: st.DrawFn, text: str, most: int) -> list[Edit]:
    """Edits that do not overlap, none of which leaves all as it is."""
    where = places(text)
    ends = sorted(draw(st.lists(st.integers(0, len(where) - 1), min_size=2, max_size=2 * most)))
    new = st.lists(LINE, min_size=1, max_size=2).map("\n".join)
    spans = zip(ends[::2], ends[1::2], strict=False)
    return [Edit(where[first], where[last], draw(new)) for first, last in spans]


@given(st.data())
def test_both_at_once_are_as_one_after_the_other(data: st.DataObject) -> None:
    """A patch of several faults would not be the code that was found to be right."""
    text = data.draw(texts())
    before = data.draw(edits_of(text, 3))
    edited = apply_edits(text, before)
    (later,) = data.draw(edits_of(edited, 1))
    told = moved_back(later, before)
    assume(told is not None)
    assert told is not None
    kept = [one for one in before if not (told.start <= one.start < one.end <= told.end)]
    assert apply_edits(text, [*kept, told]) == apply_edits(edited, [later])
