"""Python in colour."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.report.markup import escape
from gradcheck.report.syntax import coloured
from tests.gradcheck.report.html.html_tree import parse


@pytest.mark.parametrize(
    ("code", "tokens"),
    [
        ("return dW  # done", [("keyword", "return"), ("comment", "# done")]),
        ("x2 = 1e-3 * a[0]", [("number", "1e-3"), ("number", "0")]),
        ("d[\"W#\"] = f'{x}'", [("string", '"W#"'), ("string", "f'{x}'")]),
        ("forward = island", []),
    ],
)
def test_each_token_has_its_class(code: str, tokens: list[tuple[str, str]]) -> None:
    """Code would be grey, or a name be coloured for the keyword in it."""
    spans = parse(coloured(code)).all("span")
    assert [(one.classes[0].removeprefix("code-"), one.text) for one in spans] == tokens


@given(st.text())
def test_no_character_is_lost_or_let_through(code: str) -> None:
    """A character of the source would be missing, or be read as markup."""
    assert parse(coloured(code)).text == parse(escape(code)).text
