"""Sums and products get their terms and factors in other brackets."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._mending import MendSearch
from gradcheck._mending.regrouped import regrouped
from gradcheck._repair.likeliest_mend import SMALL_BUDGET
from tests.gradcheck._mending.pieces import candidates, run_of, suspect_of

ZEROS = "da, db = np.zeros_like(a), np.ones_like(b)\n"
#: a sum and factors of the shape of `a`
VALUES = "d, c, f, g = a + 1, a ** 2, a ** 3, a - 2\n"


def brackets(folder: Path, expression: str) -> list[str]:
    """What an expression could become."""
    suspect = suspect_of(folder, f"{ZEROS}{VALUES}da = {expression}", f"da = {expression}")
    return [text.removeprefix("da = ") for text in candidates(suspect, regrouped)]


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("d * f + c", "(d + c) * f"),
        ("d * f - c", "(d - c) * f"),
        ("c + d * f", "(c + d) * f"),
        ("c - d * f", "(c - d) * f"),
        ("d * f * g + c", "(d + c) * f * g"),
        ("d * f * g + c", "(d * f + c) * g"),
        ("f * d + c", "(d + c) * f"),
    ],
)
def test_a_factor_goes_with_all_terms(tmp_path: Path, narrow: str, wide: str) -> None:
    """What is carried and added after the slope, in the place of before it, would get no fix."""
    assert wide in brackets(tmp_path, narrow)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("(d + c) * f", {"d * f + c", "d + c * f"}),
        ("(d - c) * f", {"d * f - c", "d - c * f"}),
        ("f * (d + c)", {"f * d + c", "d + f * c"}),
    ],
)
def test_a_factor_goes_with_one_term_alone(tmp_path: Path, wide: str, narrow: set[str]) -> None:
    """A gate that multiplies what it should not, because of brackets, would get no fix."""
    assert narrow <= set(brackets(tmp_path, wide))


@pytest.mark.parametrize("expression", ["d + c", "d * f", "(d + c) / f", "d / f + c", "-d"])
def test_where_there_is_no_sum_with_a_product_nothing_is_regrouped(tmp_path: Path, expression: str) -> None:
    """Runs would be spent on expressions that mean the same, or something that nobody meant."""
    assert brackets(tmp_path, expression) == []


def test_other_brackets_mend(tmp_path: Path) -> None:
    """Other brackets would be offered and never be found to be right."""
    wrong, right = "d * f * g + c", "(d + c) * f * g"
    run = run_of(tmp_path, f"{ZEROS}d, f, g = a ** 2, a + 3, a - 4\nc = a / f / g - d\nda = {wrong}")
    statement = next(one for one in run.statements if one.text == f"da = {wrong}")
    found = MendSearch(run, statement, [], SMALL_BUDGET).small()
    assert [(one.gradients, [edit.text for edit in one.edits]) for one in found] == [(("a",), [right])]
