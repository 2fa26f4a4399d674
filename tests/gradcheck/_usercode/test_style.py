"""Edits in the style of the file: what they do not change looks as before."""

from __future__ import annotations

import ast

import pytest

from gradcheck._usercode.patching import replace_expression
from gradcheck._usercode.source import Edit, Source, span_of
from gradcheck._usercode.style import in_file_style, rendered, styled_edit


def value_of(source: Source) -> ast.expr:
    """The value of the last statement."""
    statement = source.tree.body[-1]
    assert isinstance(statement, (ast.Assign, ast.AugAssign, ast.Expr))
    return statement.value


def mended(text: str, new: str) -> str:
    """The last statement of a file after its value was replaced."""
    source = Source("x.py", text)
    statement = source.tree.body[-1]
    edit = styled_edit(statement, replace_expression(value_of(source), new), source)
    return source.edited_segment(statement, edit)


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        ('g[f"d{name}"] * ct**2', "ct ** 2 * g[f'd{name}']", 'ct**2 * g[f"d{name}"]'),
        ('f(a,b, k = "x")', "f(b, a, k='x')", 'f(b,a, k = "x")'),
        ("dh*f", "dh * f * i", "dh*f*i"),
        ("dh*(a+b)", "dh / (a + b)", "dh/(a+b)"),
        ("a@b", "b @ a", "b@a"),
        ("1e-3*a", "0.001 * a.T", "1e-3*a.T"),
        ("a[: , 0]", "a[:, 1]", "a[: , 1]"),
        ("a[1:]", "a[:1]", "a[:1]"),
        ("a + b", "(-(a + b))", "-(a + b)"),
        ("c * (1 - a) ** 2", "c * (1 - a ** 2)", "c * (1 - a ** 2)"),
        ("(a + b) * c", "a * c", "a * c"),
        ("a * (1 - b)", "a * (1 - b) + c", "a * (1 - b) + c"),
        ("(a\n    * (1 - b))", "a + c", "(a\n    + c)"),
        ("(a + b) * c", "(a - b) * c", "(a - b) * c"),
        ("f(a) * c", "f(b) / c", "f(b) / c"),
        ("a - b", "(a + b)", "a + b"),
        ("a < b", "a >= b", "a >= b"),
        ("f(a)", "(a * (1 - a))", "a * (1 - a)"),
        ("[a,\n     b]", "[b, a]", "[b,\n     a]"),
        ("f(a,  # first\n      b)", "f(b, a)", "f(b,  # first\n      a)"),
        ("a * b.sum( 0 )", "a * b.sum(0) / n", "a * b.sum( 0 ) / n"),
        ("{'a': x, \"b\": y}", "{'a': y, 'b': x}", "{'a': y, \"b\": x}"),
    ],
)
def test_only_what_changes_looks_different(before: str, new: str, after: str) -> None:
    """A fix would change the user's quotes, spaces, numbers or comments beside the mistake."""
    assert mended(f"y = {before}\n", new) == f"y = {after}"


@pytest.mark.parametrize(
    ("file", "new", "after"),
    [
        ("a=b*c+d*e\n", "(x + a * b)", "x+a*b"),
        ("a = b * c\n", "(x + a * b)", "x + a * b"),
        ("a = b**2 + c\n", "(1 - x ** 2)", "1 - x**2"),
        ('a = g["b"]\n', "(x * g['W'])", 'x * g["W"]'),
        ("a = g['b']\n", "(x * g['W'])", "x * g['W']"),
        ("a = f(b,c)\n", "f(x, a)", "f(x,a)"),
    ],
)
def test_what_is_new_looks_like_the_rest_of_the_file(file: str, new: str, after: str) -> None:
    """A fix would stand out in the user's file."""
    assert mended(f"{file}y = x\n", new) == f"y = {after}"


def test_parentheses_stay_where_they_mean_something() -> None:
    """A fix would compute something else than what was verified."""
    source = Source("x.py", "y = a * b\n")
    statement = source.tree.body[0]
    value = value_of(source)
    assert isinstance(value, ast.BinOp)
    edit = styled_edit(statement, replace_expression(value.right, "(b + c)"), source)
    assert source.edited([edit]) == "y = a * (b + c)\n"
    edit = styled_edit(statement, replace_expression(value.left, "(a * c)"), source)
    assert source.edited([edit]) == "y = a * c * b\n"


@pytest.mark.parametrize(
    ("before", "sign", "after"),
    [("dW  = x", " += ", "dW  += x"), ("dW+=x", " -= ", "dW-=x"), ("dW += x", " = ", "dW = x")],
)
def test_another_assignment_keeps_its_spaces(before: str, sign: str, after: str) -> None:
    """A column of assignments would lose its alignment."""
    source = Source("x.py", before)
    statement = source.tree.body[0]
    assert isinstance(statement, (ast.Assign, ast.AugAssign))
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    edit = Edit(span_of(target)[1], span_of(statement.value)[0], sign)
    assert source.edited([styled_edit(statement, edit, source)]) == after


def test_an_assignment_in_the_place_of_an_update_keeps_the_rest() -> None:
    """A planted bug would be shown with other changes."""
    source = Source("x.py", 'g["W"] += (a*b)\n')
    statement = source.tree.body[0]
    edit = Edit(*span_of(statement), "g['W'] = a * b")
    assert source.edited([styled_edit(statement, edit, source)]) == 'g["W"] = (a*b)\n'


@pytest.mark.parametrize("text", ["(dc, dh)", "dc, dh"])
def test_a_tuple_without_parentheses_gets_none(text: str) -> None:
    """A fix of what is returned would put it in parentheses."""
    source = Source("x.py", "dh,dc = f(x)\n")
    statement = source.tree.body[0]
    edit = styled_edit(statement, Edit((1, 0), (1, 5), text), source)
    assert source.edited([edit]) == "dc,dh = f(x)\n"
    assert mended("y = a, b\n", "(b, a, c)") == "y = b, a, c"
    assert mended("y = (a, b)\n", "(b, a)") == "y = (b, a)"


def test_what_is_no_statement_is_left_as_it_is() -> None:
    """An edit that was verified as it is would become another one."""
    source = Source("x.py", "y = a\n")
    edit = replace_expression(value_of(source), "b +")
    assert styled_edit(source.tree.body[0], edit, source) == edit


def test_an_expression_is_rendered_with_the_parts_of_another() -> None:
    """Fixes that are written anew would have nothing of the user's style."""
    source = Source("x.py", "y = f( a ) * g['b']\n")
    new = ast.parse("g['b'] - f(a) ** 2", mode="eval").body
    assert rendered(new, value_of(source), source) == "g['b'] - f( a ) ** 2"


def test_a_minus_sign_is_no_operator_with_two_sides() -> None:
    """-x would be counted, and written, as a difference."""
    source = Source("x.py", "a = -b\nc = (-d)\ne = f - g\nh = [-i, -j]\n")
    assert in_file_style("a - -b * (-c)", source) == "a - -b * (-c)"
