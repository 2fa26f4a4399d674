"""Gaps between statements, and what is put there."""

from __future__ import annotations

import ast

import pytest

from gradcheck._mending.gaps import Idle, beginnings, has_idle_place, left_unused
from gradcheck._mending.idle import Held, Known, idle_statements
from gradcheck._mending.outside import apply_edits
from tests.gradcheck._mending.test_idle import function


def test_what_is_filled_is_python():
    """If it fails, the edit cannot be made at the end of a file, before a function or behind a decorator."""
    text = """
        def f(da):
            'What it does.'
            if da:
                g(da)
            @cached
            def inner():
                return da
            return da
        """
    made, text = function(text)
    known = Known({"da": Held(0, True)}, {})
    for gap, idle in idle_statements(made, known).items():
        edited = apply_edits(text, [gap.filled(*(one.text for one in idle))])
        assert ast.parse(edited)
        assert edited.splitlines()[gap.line - 1].strip() == idle[0].text


def test_what_is_never_read_is_told_with_its_place():
    """If it fails, what was calculated for a statement that is missing is not tried in its place."""
    made, _ = function("def f(x):\n    np.multiply(x, 2, out=buffer)\n    dz = x\n    pass\n    return buffer2\n")
    assert [(gap.line, name) for gap, name in left_unused(made)] == [(4, "buffer"), (4, "dz")]


@pytest.mark.parametrize("text", ["x = x", "x = y"])
def test_other_statements_stay_as_they_are(text):
    """If it fails, an assignment is written as another one."""
    assert Idle("x").written(text) == text


def test_a_function_begins_behind_its_docstring_and_where_nothing_is_done():
    """If it fails, the statement stands before the docstring, or reads what is not there yet."""
    made, _ = function("def f(a):\n    'Text.'\n    b = a\n    pass\n    return b\n")
    assert [(gap.line, bound) for gap, bound in beginnings(made)] == [(3, {"a"}), (4, {"a", "b"})]


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("a = x\n    pass\n    return a", True),
        ("a = x\n    b = a\n    return a", False),
        ("if x:\n        pass\n    return x", False),
    ],
)
def test_what_does_nothing_keeps_a_place(body, kept):
    """If it fails, a statement that is missing is looked for last where its place is kept, or first in other code."""
    assert has_idle_place(function(f"def f(x):\n    {body}\n")[0]) is kept
