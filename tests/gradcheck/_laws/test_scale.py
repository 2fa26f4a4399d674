"""The law "scale": finds what is silent at the usual scale, and accuses nobody else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gradcheck import Target, check
from tests.gradcheck.networks import Lstm, Rnn


def linear(through: Any = lambda dz: dz, refuse: float = math.inf, error: type[Exception] = OverflowError) -> Target:
    """loss = sum of (tanh(x W) V)^2 / 2, with a change of the gradient inside."""
    rng = np.random.default_rng(0)
    x, params = rng.normal(size=(3, 2)), {"W": rng.normal(size=(2, 4)), "V": rng.normal(size=(4, 2))}

    def loss() -> Any:
        if np.abs(params["V"]).max() > refuse:
            raise error("too large")
        return ((np.tanh(x @ params["W"]) @ params["V"]) ** 2).sum() / 2

    def grads() -> dict[str, Any]:
        a = np.tanh(x @ params["W"])
        y = a @ params["V"]
        return {"W": x.T @ (through(y @ params["V"].T) * (1 - a**2)), "V": a.T @ y}

    return Target(params, loss, grads)


@pytest.mark.parametrize(
    "clip",
    [
        lambda dz: np.clip(dz, -100, 100),
        lambda dz: dz * min(1.0, 1e3 / np.linalg.norm(dz)),
        lambda dz: np.where(np.abs(dz) < 1e3, dz, 0.0),
    ],
)
def test_a_clip_that_is_silent_here_is_found(clip: Any) -> None:
    """A clip inside the backward would pass, as it does with every checker that looks at one point."""
    report = check(linear(clip))
    assert [block.verdict for block in report.blocks.values()] == ["right", "right"]
    law = report.laws["scale"]
    assert not law.holds
    assert "wrong where V is " in law.message
    assert "clip" in law.message
    assert report.exit_status == 1


def test_a_clip_in_a_recurrent_backward() -> None:
    """The usual place of a clip would be one where it is not found."""
    assert not check(Rnn(np.random.default_rng(0), bug="clip").target()).laws["scale"].holds


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "make",
    [
        lambda rng: Rnn(rng).target(),
        lambda rng: Rnn(rng).real_target(),
        lambda rng: Rnn(rng, T=20).real_target(),
        lambda rng: Lstm(rng, T=8).target(),
        lambda rng: Lstm(rng, scale=10.0).real_target(),
        lambda rng: Rnn(rng, dtype=np.float32).real_target(),
    ],
)
def test_correct_code_is_not_accused(make: Any, seed: int) -> None:
    """Saturation, chaos or rounding at large weights would be called a clip."""
    law = check(make(np.random.default_rng(seed))).laws["scale"]
    assert law.holds, law.message


@pytest.mark.parametrize("refuse", [10.0, 500.0])
def test_code_that_refuses_large_weights_is_not_accused(refuse: float) -> None:
    """A model that checks its range would be reported as one that raises."""
    assert check(linear(refuse=refuse)).ok


def test_code_that_raises_beside_large_weights_is_not_accused() -> None:
    """A model that raises a hair beyond the largest weights tried would end the check."""
    largest = 1024 * np.abs(linear().values()["V"]).max()
    target = linear(lambda dz: np.clip(dz, -1e5, 1e5), refuse=largest * (1 + 1e-9), error=KeyError)
    assert check(target).laws["scale"].holds
    assert not check(linear(lambda dz: np.clip(dz, -1e5, 1e5))).laws["scale"].holds


def test_the_law_is_not_asked_where_something_is_wrong_already() -> None:
    """A wrong gradient would be blamed on a clip as well."""
    assert "scale" not in check(linear(lambda dz: 2 * dz)).laws
