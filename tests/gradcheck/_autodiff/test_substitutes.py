"""What is put in the place of an expression: what the scope offers, of the right shape."""

from __future__ import annotations

import ast
from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck._autodiff import substitutes
from gradcheck._autodiff.substitutes import Family
from gradcheck._usercode.scope import Scope
from gradcheck._usercode.source import apply_edits

SCOPE = Scope(
    {
        "a": np.ones((2, 3)),
        "b": np.full((2, 3), 2.0),
        "row": np.ones(3),
        "B": 2,
        "w": {"U": np.ones((3, 3)), "V": np.ones((3, 3))},
        "net": SimpleNamespace(W=np.ones((3, 3)), dW=np.ones((3, 3))),
    },
    {"np": np},
)


def made(family: Family, text: str) -> list[str]:
    """What a family makes of an expression."""
    node = ast.parse(text, mode="eval").body
    return [apply_edits(text, [edit]) for edit in family(node, SCOPE)]


@pytest.mark.parametrize(
    ("family", "before", "after"),
    [
        (substitutes.other_names, "a", "b"),
        (substitutes.other_names, "w['U']", "w['V']"),
        (substitutes.other_names, "net.W", "net.dW"),
        (substitutes.other_arrays, "a", "row"),
        (substitutes.other_arrays, "B", "a"),
        (substitutes.use_activation_derivative, "df(a)", "(a * (1 - a))"),
        (substitutes.use_activation_derivative, "df(a)", "(1 - b ** 2)"),
        (substitutes.use_activation_derivative, "a * (1 - a)", "(1 - a ** 2)"),
        (substitutes.wrapped, "a", "a.copy()"),
        (substitutes.wrapped, "f(a)", "f(a) ** 2"),
        (substitutes.transpose_sum_or_scale, "a + b", "(a + b).T"),
        (substitutes.transpose_sum_or_scale, "a", "a.sum(0, keepdims=True)"),
        (substitutes.transpose_sum_or_scale, "a", "(a / B)"),
        (substitutes.add_factor, "a", "(a * row)"),
        (substitutes.add_factor, "a", "(a * (1 - b ** 2))"),
        (substitutes.add_term, "a", "(a - b)"),
    ],
)
def test_a_substitute_is_tried(family: Family, before: str, after: str) -> None:
    """A mistake of this kind would go without a fix."""
    assert after in made(family, before)


def test_another_name_has_the_same_shape() -> None:
    """Edits that cannot be right would use up what may be tried."""
    assert "row" not in made(substitutes.other_names, "a")
    assert made(substitutes.other_names, "B") == []


def test_a_display_is_not_scaled() -> None:
    """A tuple divided by a number would be tried."""
    assert made(substitutes.transpose_sum_or_scale, "(a, b)") == []
