"""Code that draws from NumPy's global generator can be checked, and the generator goes on as if nothing had been."""

# ruff: noqa: NPY002 - the global generator is what this is about

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from gradcheck import Target


def state() -> bytes:
    """That of the generator."""
    return np.random.get_state(legacy=False)["state"]["key"].tobytes()  # type: ignore[call-overload,no-any-return]


def test_a_mask_that_is_drawn_in_the_loss_and_again_in_the_gradients() -> None:
    """Dropout would make a loss random, and its gradient those of another mask."""
    w = np.arange(1.0, 9.0)

    def mask() -> np.ndarray:
        return np.random.rand(8) < 0.5

    report = gradcheck.check(Target({"w": w}, lambda: (w**2 * mask()).sum(), lambda: {"w": 2 * w * mask()}))
    assert report.ok, str(report)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_the_generator_is_put_back(error: type[BaseException]) -> None:
    """A training run would go on with other numbers after a check."""
    np.random.seed(5)
    before = state()

    def loss() -> float:
        np.random.rand(700)
        raise error

    target = Target({"w": np.ones(1)}, loss, dict)
    with pytest.raises((error, gradcheck.TargetError)), target.preserved():
        target.loss_at(target.values())
    assert state() == before


def test_a_factory_that_draws_from_it_follows_the_seed() -> None:
    """The same seed would give another report each time."""

    @gradcheck.target
    def make(_rng, *, N=2):
        w = np.random.rand(N)
        return Target({"w": w}, lambda: float(w.sum()), lambda: {"w": np.ones(N)})

    before = state()
    values = [make.build(seed, {"N": 2}).values()["w"] for seed in (0, 0, 1)]
    assert (values[0] == values[1]).all()
    assert (values[0] != values[2]).all()
    assert state() == before


def test_a_generator_that_knows_no_seed_goes_on() -> None:
    """Somebody who put another one in its place could check nothing."""
    before = np.random.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(3))
    try:
        w = np.ones(1)
        assert gradcheck.check(Target({"w": w}, lambda: (w**2).sum(), lambda: {"w": 2 * w})).ok
    finally:
        np.random.set_bit_generator(before)
