"""What a check says without lines: at the first sizes that run, with another seed, with a common factor taken out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import Target, TargetError, check
from tests.gradcheck._checking.chain import weights
from tests.gradcheck.networks import Lstm, Rnn, factory

pytestmark = pytest.mark.lines


def test_code_that_raises_at_its_default_sizes() -> None:
    """Code that runs at other sizes would not be checked there."""
    report = check(weights("raises at 3"))
    assert report.sizes == {"T": 1}
    assert report.blocks["w"].verdict == "right"
    assert "at T=3: grads() raised IndexError" in report.laws["sizes"].message


def test_code_that_raises_at_every_size() -> None:
    """Code that never runs would get a report instead of an error."""

    @gradcheck.target
    def made(rng: Any, *, T: int = 2) -> Target:
        raise RuntimeError(f"no {rng} {T}")

    with pytest.raises(TargetError, match=r"made\(rng, T=2\) raised RuntimeError: no Generator"):
        check(made)


@pytest.mark.parametrize("model", [Rnn, Lstm])
@pytest.mark.parametrize(
    ("bug", "told"), [("sum over B", "= B times the true ones"), ("mean over T, and sign", "1/T times")]
)
def test_a_wrong_reduction_is_one_finding_and_hides_nothing(model: type[Rnn], bug: str, told: str) -> None:
    """A factor in all blocks would be as many findings, or hide a wrong sign beside it."""
    report = check(factory(model, bug))
    first, *others = report.findings
    assert first.kind == "law:reduction"
    assert told in report.laws["reduction"].message
    sign = [("sign", ("U",))] if "sign" in bug else []
    assert [(found.kind, found.blocks) for found in others] == [*sign, ("reduction", tuple(report.blocks))]
    assert others[-1].fix.verified
    factors = [block.factor for block in report.blocks.values()]
    assert factors == pytest.approx([1 / 3 if "sign" in bug else 1.0] * len(factors))


def test_a_factor_that_does_not_follow_the_size_is_no_reduction() -> None:
    """A constant factor that happens to equal a size would be called a sum for a mean."""

    class Thrice(Rnn):
        def grads(self) -> Any:
            return {name: 3 * grad for name, grad in super().grads().items()}

    report = check(factory(Thrice))
    assert report.laws["reduction"].holds
    assert [found.kind for found in report.findings] == ["factor"]
    assert "the factor 3 should not be here" in report.findings[0].message


def test_a_part_of_an_input_that_is_padding_is_excused() -> None:
    """A batch whose last step is masked with this seed would be called independent of its input."""

    @gradcheck.target
    def masked(rng: np.random.Generator) -> Target:
        first = rng.random()
        w, x = rng.normal(size=3), rng.normal(size=3)
        mask = np.array([1.0, 1.0, float(first > 0.5)])
        loss = lambda: float(np.sum(np.sin(w * 2) * mask * np.cos(x)))  # noqa: E731
        return Target({"w": w}, loss, lambda: {"w": 2 * np.cos(w * 2) * mask * np.cos(x)}, inputs={"x": x})

    draws = [np.random.default_rng(seed).random() > 0.5 for seed in range(8)]
    hidden = next(seed for seed in range(7) if not draws[seed] and draws[seed + 1])
    law = check(masked, seed=hidden).laws["dependence"]
    assert law.holds
    assert law.message.startswith(f"with seed {hidden + 1}; ")
