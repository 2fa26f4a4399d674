"""Larger edits of an expression: masks, other scales, factors that widen, derivatives of other functions."""

from __future__ import annotations

import pytest

from gradcheck._mending.larger_edits import (
    factors,
    formed_inside,
    formed_others,
    helped,
    jacobians,
    masks,
    other_scales,
    swishes,
)
from tests.gradcheck._mending.pieces import candidates, suspect_of

ZEROS = "da, db = np.zeros_like(a), np.ones_like(b)\n"


def test_masks_and_their_opposites_are_factors(tmp_path):
    """If it fails, the derivative of relu, of dropout or of a padded step without its mask gets no fix."""
    body = f"{ZEROS}keep, column, scalar = a > 0, a[:, :1] > 0, 3\nother = np.ones(5) > 0\nda = a + b"
    suspect = suspect_of(tmp_path, body, "da = a + b")
    found = candidates(suspect, masks)
    assert {"da = (a + b) * keep", "da = (a + b) * ~keep", "da = (a + b) * column", "da = a * keep + b"} <= set(found)
    assert not [text for text in found if "other" in text or "scalar" in text]


def test_a_number_that_scales_becomes_an_array(tmp_path):
    """If it fails, a mean over all steps, in the place of each example's own length, gets no fix."""
    body = f"{ZEROS}n, each, both = 3, np.ones((2, 1)), (b, a)\nother = np.ones(7)\nda = a / n + 2 * a"
    suspect = suspect_of(tmp_path, body, "da = a / n")
    found = candidates(suspect, other_scales)
    assert {"da = a / each + 2 * a", "da = a / n + each * a", "da = a / b + 2 * a"} <= set(found)
    assert not [text for text in found if "other" in text or text.startswith("da = each")]


def test_a_tuple_of_arrays_is_no_number_that_scales(tmp_path):
    """If it fails, the search ends with an error where a statement reads a tuple of arrays of several shapes."""
    body = f"{ZEROS}both = (b, a)\nda = np.broadcast_arrays(*both)[1] * 2"
    suspect = suspect_of(tmp_path, body, "da = np.broadcast")
    assert isinstance(candidates(suspect, other_scales), list)


def test_factors_widen_what_is_smaller(tmp_path):
    """If it fails, a row that has to be spread over the batch by a factor gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}row = b * 2\nda = row", "da = row")
    found = candidates(suspect, factors)
    assert "da = a * row" in found
    assert "da = row * b" in found
    assert "da = row / b" in found


@pytest.mark.parametrize(
    "form",
    [
        "np.exp(z)", "np.exp(-z)", "1 - np.exp(-z)", "1 / z", "1 / (1 + np.exp(-z))", "2 * z", "1 / (2 * z)", "z > 0",
        "np.sign(z)", "1 - z", "z ** 2", "z * (1 - z)", "1 - z ** 2",
    ],
)  # fmt: skip
def test_derivatives_of_other_functions_are_formed(tmp_path, form):
    """If it fails, a wrong derivative of exp, log, sqrt, softplus, relu, abs or a square gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}z, w = a * 2, a ** 2\nda = a * w", "da = a * w")
    assert f"da = a * ({form})" in candidates(suspect, formed_others) or (
        f"da = a * {form}" in candidates(suspect, formed_others)
    )


@pytest.mark.parametrize("form", ["squash(z)", "squash(-z)", "1 - squash(z)"])
def test_helpers_are_called_with_values_and_their_negatives(tmp_path, form):
    """If it fails, sigmoid(-x), which is one less sigmoid(x), gets no fix where only x was kept."""
    head = "\ndef squash(x):\n    return 1 / (1 + np.exp(-x))\n"
    suspect = suspect_of(tmp_path, f"{ZEROS}z, w = a * 2, a ** 2\nda = a * w", "da = a * w", head=head)
    found = candidates(suspect, helped)
    assert f"da = a * {form}" in found or f"da = a * ({form})" in found


def test_a_form_of_a_part_stands_for_what_it_is_a_part_of(tmp_path):
    """If it fails, 1 / (1 + z), where the slope of z / (1 + z) is meant in another form, gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}z = a * a\nda = a * (1 / (1 + z))", "da = a * (1")
    found = candidates(suspect, formed_inside)
    assert "da = a * (1 - z)" in found or "da = 1 - z" in found


def test_the_derivative_of_a_logarithm_of_a_softmax_is_written(tmp_path):
    """If it fails, a log-softmax whose backward lacks the sum over the classes gets no fix."""
    body = f"{ZEROS}g, s = a * 2, np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)\nlogs = np.log(s)\nda = g * (1 - s)"
    suspect = suspect_of(tmp_path, body, "da = g")
    found = candidates(suspect, jacobians)
    assert "da = g - s * g.sum(axis=1, keepdims=True)" in found
    assert "da = g - np.exp(logs) * g.sum(axis=1, keepdims=True)" in found


def test_the_derivative_of_a_swish_is_written(tmp_path):
    """If it fails, the gate of a SwiGLU whose backward has the slope of the logistic function alone gets no fix."""
    body = f"{ZEROS}z = a * 2\ns = 1 / (1 + np.exp(-z))\nother = s * s\nda = z * (s * (1 - s))"
    found = candidates(suspect_of(tmp_path, body, "da = z"), swishes)
    assert "da = z * (s * (1 + z * (1 - s)))" in found
    assert "da = s * (1 + z * (1 - s))" in found
    assert not [text for text in found if "other *" in text or "1 + a *" in text]


@pytest.mark.parametrize(
    ("norm", "total"),
    [
        ("np.sqrt((a ** 2).mean(axis=1, keepdims=True) + 1e-6)", "mean"),
        ("np.linalg.norm(a, axis=1, keepdims=True)", "sum"),
    ],
)
def test_the_derivative_of_a_scaled_normalisation_is_written(norm, total, tmp_path):
    """If it fails, a root mean square normalisation, or one to unit length, that is divided back only, gets no fix."""
    body = f"{ZEROS}g, r = a ** 3, {norm}\nn, half = a / r, a / r / 2\nda = g / r"
    found = candidates(suspect_of(tmp_path, body, "da = g"), jacobians)
    assert f"da = (g - n * (g * n).{total}(axis=1, keepdims=True)) / r" in found
    assert not [text for text in found if "- half *" in text or "g.mean" in text]
