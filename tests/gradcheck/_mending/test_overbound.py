"""What is bound anew before it was read is added up, and what was read is left alone."""

from __future__ import annotations

import pytest

from gradcheck._mending.overbound import added_up, kept_beside
from tests.gradcheck._mending.rewritten_texts import rewritten_texts


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("x = a\nx = b", "x = a\nx = x + b"),
        ("x = a\ny = b\nx = b @ y", "x = a\ny = b\nx = x + b @ y"),
        ("x += a\nx = b - y", "x += a\nx = x + (b - y)"),
        ("self.x = a\nself.x = b", "self.x = a\nself.x = self.x + b"),
        ("x = a\nx = (b if y else a)", "x = a\nx = x + (b if y else a)"),
        ("for t in r:\n    x = a\n    x = b", "for t in r:\n    x = a\n    x = x + b"),
    ],
)
def test_what_it_held_is_added(text: str, after: str) -> None:
    """Of two paths to a value the first would be lost, and a carry be invented that makes up for it."""
    assert rewritten_texts(kept_beside, text) == [after]


@pytest.mark.parametrize(
    "text",
    [
        "x = a\ny = x\nx = b",
        "x = a\nx = x * b",
        "x = a\nf(x)\nx = b",
        "x = a\nif y:\n    x = b",
        "x = a\nfor x in y:\n    f(b)\nx = b",
        "y = a\nx = b",
        "x = a\nself.x = b",
    ],
)
def test_where_it_was_read_or_stands_in_another_block_nothing_is_added(text: str) -> None:
    """Right code would be edited where a name is only used again."""
    assert rewritten_texts(kept_beside, text) == []


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("x = np.zeros(3)\nfor t in r:\n    x = a[t]", "x = np.zeros(3)\nfor t in r:\n    x += a[t]"),
        (
            "x, y = np.zeros(3), np.zeros_like(a)\nfor t in r:\n    y = a[t] @ b\nreturn_ = y",
            "x, y = np.zeros(3), np.zeros_like(a)\nfor t in r:\n    y += a[t] @ b\nreturn_ = y",
        ),
    ],
)
def test_what_begins_with_zeros_is_added_up(text: str, after: str) -> None:
    """The last round alone would count, and who reads the sum be accused."""
    assert rewritten_texts(added_up, text) == [after]


@pytest.mark.parametrize(
    "text",
    [
        "x = np.ones(3)\nfor t in r:\n    x = a[t]",
        "x = np.zeros(3)\nfor t in r:\n    b = x + 1\n    x = a[t]",
        "x = np.zeros(3)\nb = x\nfor t in r:\n    x = a[t]",
        "x = np.zeros(3)\nx = a[t]",
        "for t in r:\n    x = a[t]",
    ],
)
def test_what_is_handed_on_from_round_to_round_is_left_alone(text: str) -> None:
    """A state that begins at zero would become a sum."""
    assert rewritten_texts(added_up, text) == []
