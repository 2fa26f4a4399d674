"""Integers that repeat, whatever the range is that they are drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import Target
from gradcheck._targets.repeating import repeating_rng


def test_integers_repeat_and_are_in_their_range() -> None:
    """Of a large vocabulary no token would occur twice, or there would be one that nobody has."""
    for draw in (lambda rng: rng.integers(5, 10**6, (17, 2)), lambda rng: rng.choice(10**6, (17, 2)) + 5):
        drawn = draw(repeating_rng(0))
        assert drawn.shape == (17, 2)
        assert 1 < len(np.unique(drawn)) < 10
        assert drawn.min() >= 5
        assert np.array_equal(drawn, draw(repeating_rng(0)))


def test_other_numbers_are_as_they_are() -> None:
    """Other parameters would be checked than with the usual generator, or what must differ would repeat."""
    rng, usual = repeating_rng(3), np.random.default_rng(3)
    assert np.array_equal(rng.standard_normal(5), usual.standard_normal(5))
    assert rng.integers(10) == usual.integers(10)
    assert np.array_equal(rng.permutation(9), usual.permutation(9))
    assert len(set(rng.choice(50, 20, replace=False).tolist())) == 20


def embedding(right: bool, *, by_batch: bool) -> gradcheck.TargetFactory:
    """A factory of an embedding of a thousand symbols; the tokens are no inputs."""

    @gradcheck.target
    def make(rng: Any, *, T: int = 4, B: int = 2) -> Target:
        params = {"E": rng.normal(size=(1000, 3))}
        tokens, r = rng.integers(0, 1000, (B, T)), rng.normal(size=(B, T, 3))

        def grads() -> dict[str, Any]:
            found, d = np.zeros_like(params["E"]), r * np.cos(params["E"][tokens])
            for one, part in zip(tokens.T, d.swapaxes(0, 1), strict=True) if by_batch else ((tokens, d),):
                if right:
                    np.add.at(found, one, part)
                else:
                    found[one] += part
            return {"E": found}

        return Target(params, lambda: np.sum(r * np.sin(params["E"][tokens])), grads)

    return make


@pytest.mark.parametrize("by_batch", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_some_trial_repeats_tokens_that_are_no_inputs(by_batch: bool, seed: int) -> None:
    """A sum over repeated tokens would be forgotten unseen wherever a vocabulary is large."""
    assert gradcheck.check(embedding(True, by_batch=by_batch), seed=seed).ok
    report = gradcheck.check(embedding(False, by_batch=by_batch), seed=seed, explain=False)
    assert report.verdict == "wrong"
