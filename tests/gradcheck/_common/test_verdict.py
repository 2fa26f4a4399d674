"""Verdicts from discrepancies and bars, and the arithmetic of what would have been missed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck._common.verdict import BEYOND_DOUBT, MISS_PROBABILITY, judge, sensitivity, why_undecided, worst_verdict


@pytest.mark.parametrize(
    ("discrepancies", "bars", "expected"),
    [
        ([0.0], [1.0], "right"),
        ([1.0, -1.0], [1.0, 1.0], "right"),
        ([0.0], [0.0], "right"),
        ([1.1], [1.0], "inconclusive"),
        ([-5.0], [1.0], "inconclusive"),
        ([0.0, 4.0], [1.0, 1.0], "inconclusive"),
        ([5.1], [1.0], "wrong"),
        ([0.0, 0.0, -5.1], [1.0, 1.0, 1.0], "wrong"),
        ([1e-300], [0.0], "wrong"),
        ([math.nan], [1.0], "inconclusive"),
        ([0.0], [math.nan], "inconclusive"),
        ([math.nan, 9.0], [1.0, 1.0], "wrong"),
        ([7.0], [math.inf], "right"),
        ([math.inf], [1.0], "wrong"),
    ],
)
def test_judge(discrepancies: list[float], bars: list[float], expected: str) -> None:
    """Within a bar would not be right, far beyond it not wrong, or a number that is none would be taken for proof."""
    assert judge(discrepancies, bars) == expected


@given(st.floats(0, 1e9), st.floats(1e-9, 1e9), st.floats(1e-12, 1e12))
def test_judge_knows_no_scale(discrepancy: float, bar: float, scale: float) -> None:
    """A tolerance that does not come from the bar would have crept in."""
    ratio = discrepancy / bar
    if min(abs(ratio - 1), abs(ratio - BEYOND_DOUBT)) > 1e-9:
        assert judge([discrepancy * scale], [bar * scale]) == judge([discrepancy], [bar])


@given(st.integers(1, 30), st.floats(1e-12, 1e3))
def test_sensitivity_is_the_error_that_is_missed_once_in_a_million(directions: int, bar: float) -> None:
    """The printed sensitivity would not be what it is said to be."""
    missed = math.erf(bar / (math.sqrt(2) * sensitivity(bar, directions))) ** directions
    assert missed == pytest.approx(MISS_PROBABILITY, rel=1e-3)


def test_sensitivity_against_counting() -> None:
    """The formula for one Gaussian direction would not describe Gaussian directions."""
    rng = np.random.default_rng(0)
    error = rng.normal(size=7)
    shows = np.abs(rng.standard_normal((200_000, 7)) @ error)
    size = float(np.linalg.norm(error))
    bar = 0.3 * size
    expected = math.erf(bar / (math.sqrt(2) * size))
    assert np.mean(shows <= bar) == pytest.approx(expected, abs=5 * math.sqrt(expected / 200_000))


def test_more_directions_see_more() -> None:
    """Asking more often would promise less."""
    seen = [sensitivity(1.0, directions) for directions in (1, 2, 4, 8, 16)]
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], "right"),
        (["right", "right"], "right"),
        (["right", "vacuous"], "vacuous"),
        (["vacuous", "inconclusive", "right"], "inconclusive"),
        (["inconclusive", "wrong", "vacuous"], "wrong"),
    ],
)
def test_the_whole_is_as_bad_as_its_worst_part(verdicts: list, expected: str) -> None:
    """One bad block would be outvoted by good ones."""
    assert worst_verdict(verdicts) == expected


@pytest.mark.parametrize(
    ("kinked", "bar", "told"),
    [
        (True, 0.5, "kink"),
        (False, math.inf, "not finite beside"),
        (False, 0.5, "5e-01"),
        (False, 1e-9, "a little more"),
    ],
)
def test_the_reason_is_told(kinked: bool, bar: float, told: str) -> None:
    """A block would be left unjudged for a reason that is not its own."""
    assert told in why_undecided(kinked, bar)
