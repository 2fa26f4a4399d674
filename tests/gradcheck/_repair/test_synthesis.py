"""Expressions found by their value."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from gradcheck._common.arrays import Array
from gradcheck._repair.synthesis import expressions_with_value, synthesise
from gradcheck._usercode.scope import Scope
from gradcheck._usercode.source import apply_edits

RNG = np.random.default_rng(0)
A, B, C = RNG.standard_normal((3, 2, 3))
SCOPE = Scope({"a": A, "b": B, "c": C, "x": A[:, 0]}, {"np": np, "tanh": np.tanh}, helpers=["tanh"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (A * B, "a * b"),
        (A * B * C, "a * b * c"),
        (A @ B.T, "a @ b.T"),
        (A * (1 - B**2), "a * (1 - b ** 2)"),
        ((A - B) * C, "c * (a - b)"),
        ((A + B) * C, "c * (a + b)"),
        (np.outer(A[:, 0], A[:, 0]), "np.outer(x, x)"),
        (A * np.tanh(B), "a * np.tanh(b)"),
    ],
)
def test_a_product_is_found_by_its_value(value: Array, text: str) -> None:
    """A line of which a whole factor is missing would go without a fix."""
    assert text in list(expressions_with_value(value, SCOPE))


@pytest.mark.parametrize("value", [np.zeros((2, 3)), np.ones(1), RNG.standard_normal((2, 3))])
def test_nothing_is_found_by_chance(value: Array) -> None:
    """A wrong expression would be offered for a value that nothing in the scope is."""
    assert list(expressions_with_value(value, SCOPE)) == []


def texts(before: str, needed: Array) -> list[str]:
    """What an expression becomes that should have a value."""
    node = ast.parse(before, mode="eval").body
    return [apply_edits(before, [edit]) for edit in synthesise(node, needed, SCOPE)]


@pytest.mark.parametrize(
    ("before", "needed", "after"),
    [
        ("a * c", A * B, "a * (b)"),
        ("a - c", A - A * B, "a - (a * b)"),
        ("a", A + B * C, "(a + b * c)"),
        ("c", A @ B.T, "a @ b.T"),
    ],
)
def test_a_hole_is_filled(before: str, needed: Array, after: str) -> None:
    """A wrong term or factor would be replaced with the whole line, or not at all."""
    assert after in texts(before, needed)
