"""Numbers: what is a loss, norms and products that are safe at the ends of the range, typical sizes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck._common.arrays import as_complex, entry_scale, inner_product, is_float, moved, norm


class Tensor:
    """What torch hands out: detach() and then an array."""

    def detach(self) -> Any:
        """The array."""
        return np.array(2.5)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [(1.5, 1.5), (np.float32(2), 2), (np.array([3.0]), 3), (True, 1), (2 + 1j, 2 + 1j), (Tensor(), 2.5)],
)
def test_one_number_in_any_form(raw: Any, expected: complex) -> None:
    """A loss in a common form would be refused."""
    assert as_complex(raw) == expected


@pytest.mark.parametrize("raw", [None, "1.0", [1.0, 2.0], np.zeros((2, 2)), {}, np.array(["a"]), [[1.0], [1.0, 2.0]]])
def test_what_is_no_number(raw: Any) -> None:
    """Something that is not one number would be taken for a loss."""
    assert math.isnan(as_complex(raw).real)


@given(
    st.lists(st.floats(-1e3, 1e3).filter(lambda v: v == 0 or abs(v) > 1e-3), max_size=5),
    st.sampled_from([1e-300, 1.0, 1e300]),
)
def test_norm_is_safe_at_the_ends_of_the_range(values: list[float], scale: float) -> None:
    """The square of a large or small gradient would overflow or vanish."""
    array = np.array(values)
    assert norm(scale * array) == pytest.approx(scale * math.hypot(*values), rel=1e-12)


def test_inner_product_takes_the_parameters_of_the_direction() -> None:
    """Parameters that do not move would count."""
    gradient = {"a": np.array([1.0, 2.0]), "b": np.array(3.0)}
    assert inner_product(gradient, {"a": np.array([10.0, 100.0])}) == 210.0


def test_a_product_near_the_largest_float_raises_no_warning() -> None:
    """Where warnings are errors, a check of large gradients would end in one of NumPy's."""
    large = {"a": np.full(2, 1e308), "b": np.full(2, -1e308)}
    assert math.isnan(inner_product(large, {"a": np.full(2, 2.0), "b": np.full(2, 2.0)}))


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        ([0.0, 0.0], [1.0, 1.0]),
        ([3.0, 0.0], [3.0, 1.0]),
        ([1e-6, 0.0], [1e-6, 1e-6 / math.sqrt(2)]),
        ([], []),
        ([-50.0], [50.0]),
    ],
)
def test_the_scale_of_an_entry(array: list[float], expected: list[float]) -> None:
    """A step relative to an entry of zero would be no step; one beside small entries would be too long for them."""
    assert entry_scale(np.array(array)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0, True),
        (np.float32(1), True),
        (np.ones(2), True),
        (1, False),
        (True, False),
        (np.ones(2, dtype=int), False),
        (np.ones(0), False),
        (None, False),
        (1j, False),
    ],
)
def test_what_has_a_derivative(value: Any, expected: bool) -> None:
    """A derivative would be looked for of tokens, or not of a number."""
    assert is_float(value) is expected


def test_moved_values_keep_their_dtype_and_differ_everywhere() -> None:
    """An edit would be confirmed at the point where it was found, or in another precision."""
    values = {"W": np.array([1.0, -2.0, 0.0], np.float32)}
    found = moved(values, np.random.default_rng(0), scale=2.0, noise=0.1)
    assert found["W"].dtype == np.float32
    assert np.all(found["W"] != values["W"])
    assert np.allclose(found["W"], 2 * values["W"], atol=1.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_that_are_next_to_nothing_count_as_zeros(dtype: type) -> None:
    """Steps as small as they are could not be told apart, and a check of parameters of 1e-310 would divide by zero."""
    smallest = np.finfo(dtype).smallest_subnormal
    assert entry_scale(np.array([3 * smallest, 0], dtype)).tolist() == [1.0, 1.0]
    assert entry_scale(np.array([smallest, 0.5], dtype)).tolist() == pytest.approx([0.5 / np.sqrt(2), 0.5])
    assert entry_scale(np.array([1e-20], dtype)).tolist() == pytest.approx([1e-20])
