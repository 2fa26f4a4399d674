"""Mistakes in the derivatives of activations: each told from its ratios, none from other ratios."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck import target
from gradcheck._symptoms.activations import MISTAKES, SHIFTS, Mistake, fit
from gradcheck._targets.factory import TargetFactory
from tests.gradcheck.networks import Rnn


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.formula)
@pytest.mark.parametrize("a", [-2.5, -0.7, 0.1, 1.3])
def test_each_is_told_from_its_ratios(mistake: Mistake, a: float) -> None:
    """A mistake would go by the name of another, or by none."""
    found = fit(mistake.ratio(a + SHIFTS))
    assert found is not None
    assert found[0] is mistake


@pytest.mark.parametrize("seed", range(20))
def test_other_ratios_are_none(seed: int) -> None:
    """A ratio that no activation explains would be given a name: noise, a constant, another slope, nearly one."""
    rng = np.random.default_rng(seed)
    a = rng.normal() + SHIFTS
    near = MISTAKES[seed % len(MISTAKES)].ratio(a) * (1 + 1e-5 * rng.normal(size=len(a)))
    for ratios in (rng.normal(size=len(a)), np.exp(0.3 * a), 1.7 / np.cosh(a) ** 2, np.sin(a), near):
        assert fit(ratios) is None


def test_sizes_that_a_parameter_has_no_part_in_are_one() -> None:
    """The ratios would be taken where several time steps or examples mix them; or at a single unit."""

    @target
    def made(rng, *, T=3, B=2, D=5, H=4):
        return Rnn(rng, T, B, D, H).target()

    assert made.sizes_without_reuse_of(0, "b") == {"T": 1, "B": 1, "D": 1, "H": 4}
    assert made.sizes_without_reuse_of(0, "h0") == {"T": 1, "B": 2, "D": 1, "H": 4}
    assert TargetFactory(made.make, pinned={"T": 2}).sizes_without_reuse_of(0, "b")["T"] == 2
