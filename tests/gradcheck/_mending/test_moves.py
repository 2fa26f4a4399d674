"""Statements are moved past those that they have to do with, and only to where all that they read is bound."""

from __future__ import annotations

import ast

import pytest

from gradcheck._mending.moves import moves
from gradcheck._mending.outside import apply_edits
from gradcheck._mending.syntax import Code


def moved(body: str) -> list[str]:
    """What the body of a function becomes with each move."""
    text = "import numpy as np\n\n\ndef back(dc, do, f, g, w, G, self):\n" + "".join(
        f"    {line}\n" if line else "\n" for line in body.split("\n")
    ) + "    return dc, do, f, G, self, di, df\n"  # fmt: skip
    code = Code.of(text)
    function = next(one for one in code.tree.body if isinstance(one, ast.FunctionDef))
    after = [apply_edits(text, one.edits) for one in moves(code, function)]
    for one in after:
        assert sorted(map(str.strip, one.split("\n"))) == sorted(map(str.strip, text.split("\n")))
    return ["\n".join(line[4:] for line in one.split("\n")[4:-2]) for one in after]


def test_what_is_added_too_late_is_moved_up() -> None:
    """The carry would be read before the peephole's part is in it, and no line be told."""
    after = moved("di = dc * g\ndc += do * w\ndf = dc * f")
    assert "dc += do * w\ndi = dc * g\ndf = dc * f" in after
    assert "di = dc * g\ndf = dc * f\ndc += do * w" in after


def test_a_comment_in_its_line_goes_with_it() -> None:
    """The comment would stand beside another statement."""
    assert "dc += do * w  # peephole\ndi = dc * g" in moved("di = dc * g\ndc += do * w  # peephole")


def test_what_stands_at_the_edge_of_a_loop_is_moved_over_it() -> None:
    """A statement that is indented too far, or not far enough, would be told as anything but that."""
    inside = "for t in range(3):\n    dc = dc * f\n    dc = dc * g"
    behind = "for t in range(3):\n    dc = dc * f\ndc = dc * g"
    assert behind in moved(inside)
    assert inside in moved(behind)


def test_what_is_written_into_memory_may_be_read_by_another_name() -> None:
    """A buffer that several names share would be taken for one that nobody reads."""
    assert "di = dc * w\nw[...] = do" in moved("w[...] = do\ndi = dc * w")


@pytest.mark.parametrize(
    "body",
    [
        "di = dc * g\ndf = do * f",  # they have nothing to do with each other
        "di = dc * g\nG = di * w",  # the second reads what only the first binds
        "G += dc * g\nG += do * w",  # a sum can be added to in any order
        "di = dc * g; df = di * f",  # two in one line
        "w = w * f\ndi = dc * w",  # behind what reads it, it may as well be left out
    ],
)
def test_where_the_order_does_not_matter_or_cannot_be_another_nothing_is_moved(body: str) -> None:
    """Runs would be spent on code that gives the same, or ends in a NameError."""
    assert moved(body) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("f[...] = dc * f", "dc *= f"),
        ("self.dc += do", "di = self.dc * g"),
        ("np.multiply(dc, f, out=dc)", "di = dc * g"),
        ("np.add.at(G, [0, 0], do)", "dc = dc * G"),
        ("dc, do = do, dc", "di = dc * g"),
        ("for t in range(3):\n        dc = dc * f", "di = dc * g"),
    ],
)
def test_whatever_changes_a_value_is_seen(first: str, second: str) -> None:
    """A buffer that is overwritten before it is read, or an attribute, would hide that the order matters."""
    assert f"{second}\n{first.replace('        ', '    ')}" in [
        one.replace("        ", "    ") for one in moved(f"{first}\n{second}")
    ]
