"""Complex steps and real differences: whether they agree, and when the one cannot judge the other."""

from __future__ import annotations

import math

import pytest

from gradcheck._numeric.difference import Derivative
from gradcheck._numeric.scheme import Agreement, Scheme, compare_schemes


@pytest.mark.parametrize(
    ("exact", "real", "expected"),
    [
        (Derivative(1.0, 1e-15), Derivative(1.0, 1e-9), Agreement.AGREES),
        (Derivative(1.0, 1e-15), Derivative(1.0 + 2e-9, 1e-9), Agreement.AGREES),
        (Derivative(1.0, 1e-15), Derivative(1.0 + 3e-9, 1e-9), Agreement.DIFFERS),
        (Derivative(0.0, 0.0), Derivative(2.0, 1e-9), Agreement.DIFFERS),
        (Derivative(1.0, 1e-15), Derivative(1.0, 1e-2), Agreement.CANNOT_TELL),
        (Derivative(1.0, 1e-15), Derivative(1.0, 1e-9, kink=0.1), Agreement.CANNOT_TELL),
        (Derivative(1.0, 1e-15), Derivative(math.nan, math.inf), Agreement.CANNOT_TELL),
        (Derivative(1.0, 1e-15), Derivative(0.0, 1.0), Agreement.CANNOT_TELL),
        (Derivative(0.0, 0.0), Derivative(0.0, 0.0), Agreement.AGREES),
    ],
)
def test_what_a_real_difference_says_of_a_complex_step(
    exact: Derivative, real: Derivative, expected: Agreement
) -> None:
    """A complex step would be believed that nothing confirms, or be given up for noise."""
    assert compare_schemes(exact, real, 1e-3) is expected


def test_single_precision_may_confirm_with_fewer_digits() -> None:
    """Code in single precision would never get complex steps."""
    exact, real = Derivative(1.0, 1e-7), Derivative(1.01, 0.02)
    assert compare_schemes(exact, real, 1e-3) is Agreement.CANNOT_TELL
    assert compare_schemes(exact, real, 0.1) is Agreement.AGREES


def test_the_schemes_are_named_as_reports_name_them() -> None:
    """The report would name another scheme than the documentation, or one before any derivative was taken."""
    assert [scheme.value for scheme in Scheme] == ["complex step", "Richardson", ""]
