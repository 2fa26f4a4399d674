"""Wrong gradients with a name."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck._symptoms.patterns import match_pattern, misfit, multiple, rounded
from gradcheck.report.evidence import GradientOf
from gradcheck.report.finding_phrases import describe_symptom

RNG = np.random.default_rng(0)
TRUE = {"W": RNG.standard_normal((3, 8)), "V": RNG.standard_normal((3, 8)), "b": RNG.standard_normal(6)}
IN, FORGET, CELL, OUT = np.split(TRUE["W"], 4, axis=1)


@pytest.mark.parametrize(
    ("name", "analytic", "code", "said"),
    [
        ("W", TRUE["V"], "exchanged", "the gradient of V"),
        ("W", np.hstack([IN, FORGET, OUT, CELL]), "gates-permuted", "4 parts along axis 1 in the order 1, 2, 4, 3"),
        ("W", np.hstack([CELL, OUT, IN, FORGET]), "gates-permuted", "in the order"),
        ("b", np.full(6, TRUE["b"].sum()), "summed-too-far", "summed over too many axes"),
        ("W", np.clip(TRUE["W"], -0.5, 0.5), "clipped", "right, then clipped at ±0.5"),
        ("W", RNG.standard_normal((3, 8)), "no-pattern", ""),
        ("b", -TRUE["b"], "sign", "wrong sign"),
        ("b", 0 * TRUE["b"], "zero", "zero"),
    ],
)
def test_what_fits_is_named(name, analytic, code, said):
    """A wrong gradient would go by another name, or by none."""
    found = match_pattern(name, analytic, TRUE)
    assert found.code == code
    assert said in describe_symptom(found)


@pytest.mark.parametrize("seed", range(20))
def test_what_does_not_fit_is_not_named(seed):
    """A pattern would be seen in noise."""
    rng = np.random.default_rng(seed)
    assert match_pattern("W", rng.standard_normal((3, 8)), TRUE).code == "no-pattern"
    near = np.hstack([IN, FORGET, OUT, CELL]) * (1 + 1e-4 * rng.standard_normal((3, 8)))
    assert match_pattern("W", near, TRUE).code == "no-pattern"


def test_the_evidence_is_given():
    """Nobody could tell how well a pattern fits."""
    (evidence,) = match_pattern("W", TRUE["V"] * (1 + 1e-12), TRUE).evidence
    assert evidence == GradientOf("V", 1e-12)


def test_one_entry_at_a_bound_is_no_clip():
    """Any gradient whose largest entry is too small would be called clipped."""
    bound = np.sort(np.abs(TRUE["W"]).ravel())[-2] * 1.01
    assert match_pattern("W", np.clip(TRUE["W"], -bound, bound), TRUE).code == "no-pattern"
    two = np.clip(TRUE["W"], -0.5, 0.5)
    two[0, 0] *= 0.9
    assert match_pattern("W", two, TRUE).code == "no-pattern"


@pytest.mark.parametrize(("k", "told"), [(2.0, 2.0), (-1 + 1e-7, -1.0), (1 + 1e-7, 1.0), (1.00002, 1.00002)])
def test_a_multiple_is_told_to_six_digits(k, told):
    """Gradients that are wrong by one factor would be told one by one, since their factors differ by rounding."""
    assert multiple(k * TRUE["W"], TRUE["W"]) == told
    assert multiple(TRUE["V"], TRUE["W"]) is None


def test_numbers_are_rounded_as_they_are_told():
    """Two findings that read alike would not be alike."""
    assert rounded(0.123456789, 3) == 0.123
    assert rounded(1.6e-13, 1) == 2e-13
    assert misfit(np.array([1.0, 0.0]), np.array([1.0, 1e-9])) == 1e-9
