"""Larger edits of an expression: masks, other scales, factors that widen, derivatives of other functions."""

from __future__ import annotations

import pytest

from gradcheck._mending.larger_edits import (
    clipped,
    factors,
    formed_inside,
    formed_others,
    helped,
    jacobians,
    lengths,
    masks,
    mirrored_terms,
    other_scales,
    swishes,
    under_conditions,
)
from tests.gradcheck._mending.layers import NOT_ADDED, RESIDUAL
from tests.gradcheck._mending.pieces import candidates, suspect_of
from tests.gradcheck._repair.spoiled import cell, looked_for

ZEROS = "da, db = np.zeros_like(a), np.ones_like(b)\n"


def test_masks_and_their_opposites_are_factors(tmp_path):
    """If it fails, the derivative of relu, of dropout or of a padded step without its mask gets no fix."""
    body = f"{ZEROS}keep, column, scalar = a > 0, a[:, :1] > 0, 3\nother = np.ones(5) > 0\nda = a + b"
    suspect = suspect_of(tmp_path, body, "da = a + b")
    found = candidates(suspect, masks)
    assert {"da = (a + b) * keep", "da = (a + b) * ~keep", "da = (a + b) * column", "da = a * keep + b"} <= set(found)
    assert not [text for text in found if "other" in text or "scalar" in text]


def test_each_example_is_divided_by_its_own_length(tmp_path):
    """If it fails, a loss that is a mean over the steps of each example leaves that factor out for good."""
    body = f"{ZEROS}steps, other = np.array([2, 3]), np.array([1, 2, 3, 4, 5])\nda = a + b"
    found = candidates(suspect_of(tmp_path, body, "da = a + b"), lengths)
    assert {"da = (a + b) / steps[:, None]", "da = (a + b) * steps[:, None]"} <= set(found)
    assert not [text for text in found if "other" in text]


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


def test_a_square_matrix_less_its_transpose(tmp_path):
    """If it fails, the gradient of W where the forward reads W - W.T, as in an antisymmetric network, gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}square = a @ a.T\nda = square @ a", "da = square")
    found = candidates(suspect, mirrored_terms)
    assert {"da = (square - square.T) @ a", "da = (square + square.T) @ a"} == set(found)


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


def test_the_derivative_of_a_softmax_with_a_mask_is_written(tmp_path):
    """If it fails, attention that leaves padding out, whose backward lacks the sum over the scores, gets no fix."""
    masked = "e = np.exp(a) * (np.arange(a.shape[1]) > 0)\ns = e / e.sum(axis=1, keepdims=True)"
    suspect = suspect_of(tmp_path, f"{ZEROS}g = a * 2\n{masked}\nda = s * g", "da = s")
    assert "da = s * (g - (g * s).sum(axis=1, keepdims=True))" in candidates(suspect, jacobians)


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


def test_a_part_is_kept_between_a_number_and_its_negative(tmp_path):
    """If it fails, the derivative of Huber's loss without its ends gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}delta, low = 0.5, -1.0\ne = 2 * a\nda = e / len(a)", "da = e")
    found = candidates(suspect, clipped)
    assert "da = np.clip(e, -delta, delta) / len(a)" in found
    assert not [text for text in found if "low" in text]


#: what comes back through all layers but the first lacks a term
LAYERS = f"""{ZEROS}more, short = b * 0.5, np.concatenate([a[:1], a[1:] - b * 0.5])
for k in range(2):
    if k > 0:
        db = db * 1
    d = short[k] * 1
    da[k] = d"""


def test_a_term_is_added_where_a_condition_of_the_file_holds(tmp_path):
    """If it fails, what a residual connection adds in all layers but the first gets no fix."""
    suspect = suspect_of(tmp_path, LAYERS, "d = short")
    found = candidates(suspect, under_conditions)
    new, old = "short[k] * 1 + more", "short[k] * 1"
    assert {f"d = {new} if k > 0 else {old}", f"d = {old} if k > 0 else {new}"} <= set(found)


@pytest.mark.parametrize("condition", ["k >= 0", "a > k", "a.missing"])
def test_a_condition_that_never_changes_is_none(condition, tmp_path):
    """If it fails, a term is added under a condition that says nothing, or the search ends with an error."""
    text = f"db = db * 1 if {condition} else db" if "=" in condition else f"f = lambda: db if {condition} else a"
    body = LAYERS.replace("if k > 0:\n        db = db * 1", text)
    assert candidates(suspect_of(tmp_path, body, "d = short"), under_conditions) == []


def test_a_size_that_is_divided_by_becomes_a_weight(tmp_path):
    """If it fails, a mean over the batch in the place of each example's weight gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}q, y = np.ones(2), np.ones((4, 3))\nda = a / y.shape[1]", "da = a /")
    found = candidates(suspect, other_scales)
    assert "da = a * q[:, None]" in found
    assert "da = a / q[:, None]" in found


@pytest.mark.lines
@pytest.mark.parametrize(
    ("right", "wrong", "edit"),
    [
        (*NOT_ADDED, "dz @ p[f'W{k}'].T + dh if k > 0 else dz @ p[f'W{k}'].T"),
        ("dh = np.clip(err, -delta, delta)", "dh = err", "np.clip(err, -delta, delta)"),
    ],
    ids=["residual", "Huber"],
)
def test_it_is_mended_in_a_whole_backward(right, wrong, edit, tmp_path):
    """If it fails, what is offered is never found to be right where a whole backward is looked at."""
    factory = cell(tmp_path, (right, wrong), source=RESIDUAL)
    found = looked_for(factory)
    assert found.still_wrong == ()
    assert [[edit.text for edit in one.edits] for one in found.faults] == [[edit]]
