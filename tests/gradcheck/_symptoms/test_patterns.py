"""Wrong gradients with a name."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck._symptoms.patterns import match_pattern

RNG = np.random.default_rng(0)
TRUE = {"W": RNG.standard_normal((3, 8)), "V": RNG.standard_normal((3, 8)), "b": RNG.standard_normal(6)}
IN, FORGET, CELL, OUT = np.split(TRUE["W"], 4, axis=1)


@pytest.mark.parametrize(
    ("name", "analytic", "kind", "said"),
    [
        ("W", TRUE["V"], "exchanged", "that of V"),
        ("W", np.hstack([IN, FORGET, OUT, CELL]), "permuted", "4 parts along axis 1 in the order 1, 2, 4, 3"),
        ("W", np.hstack([CELL, OUT, IN, FORGET]), "permuted", "in the order"),
        ("b", np.full(6, TRUE["b"].sum()), "reduced", "summed over too many axes"),
        ("W", np.clip(TRUE["W"], -0.5, 0.5), "clipped", "cut off at ±0.5, where 14 of 24 entries are"),
        ("W", RNG.standard_normal((3, 8)), "gradient", "not the slope of the loss"),
        ("b", -TRUE["b"], "sign", "wrong sign"),
        ("b", 0 * TRUE["b"], "missing", "zero"),
    ],
)
def test_what_fits_is_named(name, analytic, kind, said):
    """A wrong gradient would go by another name, or by none."""
    found = match_pattern(name, analytic, TRUE)
    assert found[0] == kind
    assert said in found[1]


@pytest.mark.parametrize("seed", range(20))
def test_what_does_not_fit_is_not_named(seed):
    """A pattern would be seen in noise."""
    rng = np.random.default_rng(seed)
    assert match_pattern("W", rng.standard_normal((3, 8)), TRUE)[0] == "gradient"
    near = np.hstack([IN, FORGET, OUT, CELL]) * (1 + 1e-4 * rng.standard_normal((3, 8)))
    assert match_pattern("W", near, TRUE)[0] == "gradient"


def test_the_evidence_is_given():
    """Nobody could tell how well a pattern fits."""
    assert "to within" in match_pattern("W", TRUE["V"] * (1 + 1e-12), TRUE)[1]


def test_one_entry_at_a_bound_is_no_clip():
    """Any gradient whose largest entry is too small would be called clipped."""
    bound = np.sort(np.abs(TRUE["W"]).ravel())[-2] * 1.01
    assert match_pattern("W", np.clip(TRUE["W"], -bound, bound), TRUE)[0] == "gradient"
    two = np.clip(TRUE["W"], -0.5, 0.5)
    two[0, 0] *= 0.9
    assert match_pattern("W", two, TRUE)[0] == "gradient"
