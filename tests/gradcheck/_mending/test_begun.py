"""A term where its variable is begun."""

from __future__ import annotations

import ast

import pytest

from gradcheck._mending.begun import added_where_begun
from gradcheck._mending.outside import Edit, apply_edits
from tests.gradcheck._mending.test_idle import function

LOOP = """\
def backward(dy, T):
    d = dy * 2
    for t in range(T):
        d = {value}
        e = d + 1
    return e
"""
VALUE = "a * b"


def with_term(inserted, value=VALUE):
    """What the function becomes in the place of this statement behind its loop's last; None if nothing does."""
    made, text = function(LOOP.format(value=value))
    more = Edit((6, 0), (6, 0), f"{inserted}\n")
    ast.parse(apply_edits(text, [more]))
    edit = added_where_begun([made], more)
    return None if edit is None else apply_edits(text, [edit])


@pytest.mark.parametrize(
    ("inserted", "value"),
    [
        ("d = d + x", "a * b + x"),
        ("d += x * y", "a * b + x * y"),
        ("d = d - x", "a * b - x"),
        ("d = d - (x - y)", "a * b - (x - y)"),
        ("d -= x + y", "a * b - (x + y)"),
        ("d -= f(x, y)", "a * b - f(x, y)"),
    ],
)
def test_what_is_added_further_down_becomes_a_term(inserted, value):
    """If it fails, a missing term is told as a missing line; or it takes away what it should add."""
    assert with_term(f"        {inserted}") == LOOP.format(value=value)


@pytest.mark.parametrize(
    ("inserted", "value"),
    [
        ("d += x * y", "x * y"),
        ("d += f(x)", "f(x)"),
        ("d += x", "np.zeros_like(a) + x"),
        ("d -= x * y", "np.zeros_like(a) - x * y"),
    ],
)
def test_what_is_begun_with_nothing_begins_with_the_term(inserted, value):
    """If it fails, zeros are added to; or a variable becomes another name of an array, which it then writes into."""
    assert with_term(f"        {inserted}", "np.zeros_like(a)") == LOOP.format(value=value)


@pytest.mark.parametrize("line", [4, 5])
def test_what_is_added_at_the_end_of_a_line_becomes_a_term(line):
    """If it fails, this is so only where the statement is inserted before the line that follows."""
    made, text = function(LOOP.format(value=VALUE))
    end = line, len(text.splitlines()[line - 1])
    edit = added_where_begun([made], Edit(end, end, "\n        d = d + x"))
    assert edit is not None
    assert apply_edits(text, [edit]) == LOOP.format(value="a * b + x")


def test_the_block_of_the_statement_tells_which_line_gets_the_term():
    """If it fails, a term that is added once after a loop is added in each of its rounds."""
    assert with_term("    d = d + x") == LOOP.format(value=VALUE).replace("dy * 2", "dy * 2 + x")


@pytest.mark.parametrize(
    ("inserted", "value"),
    [
        ("        d = x", VALUE),
        ("        d *= x", VALUE),
        ("        d = e + x", VALUE),
        ("        f = f + x", VALUE),
        ("        d[0] += x", VALUE),
        ("        e = e + x\n        d = d + x", VALUE),
        ("        d = d + x", "a if b else c"),
        ("        d = d + x", "a or b"),
        ("        d = d + x", "lambda: b"),
    ],
)
def test_other_statements_stay_where_they_are(inserted, value):
    """If it fails, an edit is run that means something else, such as `a if b else c + x`."""
    assert with_term(inserted, value) is None


def test_what_another_block_begins_is_none():
    """If it fails, a term is added in each round of a loop that is added once, or once for all rounds."""
    made, _ = function("def f(a):\n    for c in a:\n        d = a * b\n    e = 1\n    return e\n")
    assert added_where_begun([made], Edit((5, 0), (5, 0), "    d = d + x\n")) is None
    made, _ = function("def f(a):\n    d = a * b\n    for t in a:\n        e = 1\n    return e\n")
    assert added_where_begun([made], Edit((5, 0), (5, 0), "        d = d + x\n")) is None
    made, _ = function("def f(a):\n    for c in a:\n        d = a * b\n    for t in a:\n        e = 1\n    return e\n")
    assert added_where_begun([made], Edit((6, 0), (6, 0), "        d = d + x\n")) is None
