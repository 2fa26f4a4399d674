"""What a statement adds to the variable that it binds."""

from __future__ import annotations

import ast

import pytest

from gradcheck._usercode.sums import going_on


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("x += y", ("x", "+", "y", None)),
        ("x -= y * z", ("x", "-", "y * z", None)),
        ("x = x + y", ("x", "+", "y", 0)),
        ("x = y + x", ("x", "+", "y", 1)),
        ("x = x - y", ("x", "-", "y", 0)),
        ("g['W'] = g['W'] + y", ("g['W']", "+", "y", 0)),
        ("self.dW = y @ z + self.dW", ("self.dW", "+", "y @ z", 1)),
    ],
)
def test_what_goes_on_is_told_with_its_term(statement: str, told: tuple[object, ...]) -> None:
    """If it fails, a sum that is written in this form gets other edits, or other lines, than the same in another."""
    found = going_on(ast.parse(statement).body[0])
    assert found is not None
    assert (ast.unparse(found.target), found.sign, ast.unparse(found.term), found.operand) == told


@pytest.mark.parametrize("statement", ["x = y + z", "x = y - x", "x *= y", "x = x * y", "x = z = x + y", "x", "x = x"])
def test_what_begins_anew_does_not_go_on(statement: str) -> None:
    """If it fails, what a statement binds anew is taken for a part of what it held."""
    assert going_on(ast.parse(statement).body[0]) is None
