"""Opening a target: the same seed draws the same cotangents, and every array is put back."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck._targets.opening import cotangent_rng, opened
from gradcheck._targets.pure_problems import VjpProblem
from tests.gradcheck.networks import sine, vjp_target


def test_the_same_seed_draws_the_same_cotangents() -> None:
    """A worker, a trace and the check itself would each look at another loss."""
    drawn = []
    for seed in (3, 3, 4):
        with opened(vjp_target(), seed) as target:
            assert isinstance(target.problem, VjpProblem)
            drawn.append(target.problem.cotangents[0])
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_the_cotangents_come_from_a_stream_of_their_own() -> None:
    """A factory that draws its parameters from the same seed would draw cotangents that repeat them."""
    assert cotangent_rng(0).normal() == cotangent_rng(0).normal() != np.random.default_rng(0).normal()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_the_arrays_are_put_back(error: type[BaseException]) -> None:
    """A check that ends early would leave perturbed weights behind."""
    w = np.ones(2)

    def interrupted() -> None:
        with opened(sine(w), 0) as target:
            target.loss_at({"w": np.full(2, 7.0)})
            raise error

    with pytest.raises(error):
        interrupted()
    assert w.tolist() == [1.0, 1.0]
