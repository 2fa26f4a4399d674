"""Helpers that are the derivatives of others are not to blame."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from gradcheck._repair.right_helpers import is_right_helper


def cube(z: Any) -> Any:
    """A function of the module's own."""
    return z**3


def dcube(z: Any) -> Any:
    """Its derivative."""
    return 3 * z**2


def dtanh(z: Any) -> Any:
    """The derivative of tanh, told from the pre-activation."""
    return 1 - np.tanh(z) ** 2


def dsigmoid(z: Any) -> Any:
    """That of the logistic function."""
    s = 1 / (1 + np.exp(-z))
    return s * (1 - s)


def activated(y: Any) -> Any:
    """The derivative of tanh told from what it gave: of nothing that stands here."""
    return 1 - y**2


def spoiled(z: Any) -> Any:
    """No derivative of anything."""
    return 1 - np.tanh(z)


def keeps(z: Any) -> Any:
    """What changes something is not run."""
    kept.append(z)
    return 3 * z**2


kept: list[Any] = []


@pytest.mark.parametrize("helper", [dcube, dtanh, dsigmoid])
def test_derivatives_are_right(helper: Any) -> None:
    """The helper would be edited, and the calls that hand it the wrong value never told."""
    assert is_right_helper(helper.__code__)


@pytest.mark.parametrize("helper", [activated, spoiled, cube, keeps])
def test_all_else_can_be_wrong(helper: Any) -> None:
    """A mistake in a helper would be told nowhere, or a helper with effects would be called."""
    assert not is_right_helper(helper.__code__)
    assert kept == []


def swish(z: Any) -> Any:
    """A function that `swish_slope` is named after."""
    return z / (1 + np.exp(-z))


def swish_slope(z: Any) -> Any:
    """The derivative of the logistic function, not of the one in its name."""
    s = 1 / (1 + np.exp(-z))
    return s * (1 - s)


def test_a_helper_is_the_derivative_of_what_it_is_named_after() -> None:
    """`swish_slope` that returns the logistic function's slope would be taken for right, and its caller be edited."""
    assert not is_right_helper(swish_slope.__code__)


def spectrum(z: Any) -> Any:
    """Complex numbers."""
    return z * np.exp(1j * z)


def test_helpers_that_give_complex_numbers_are_no_derivatives_and_nothing_is_said() -> None:
    """NumPy would warn in the middle of a report that imaginary parts are thrown away."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with warnings.catch_warnings(record=True) as told:
            assert not is_right_helper(spectrum.__code__)
    assert not told
