"""Trials at other sizes: what shows there alone, what is refused, and the smallest sizes that fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import Target, check
from gradcheck._checking import other_sizes
from tests.gradcheck._checking.chain import weights
from tests.gradcheck.networks import Lstm, Rnn, factory

SMALLEST = {
    (Rnn, "assigned"): {"T": 2, "B": 1, "D": 1, "H": 1},
    (Rnn, "no carry"): {"T": 1, "B": 1, "D": 1, "H": 1},
    (Rnn, "not transposed"): {"T": 1, "B": 1, "D": 1, "H": 2},
    (Rnn, "transposed"): {"T": 1, "B": 1, "D": 1, "H": 2},
    (Rnn, "scalar bias"): {"T": 1, "B": 1, "D": 1, "H": 2},
    (Rnn, "sum over B"): {"T": 1, "B": 2, "D": 1, "H": 1},
    (Rnn, "sign"): {"T": 1, "B": 1, "D": 1, "H": 1},
    (Lstm, "forget gate"): {"T": 1, "B": 1, "D": 1, "H": 1},
    (Lstm, "cell not carried"): {"T": 1, "B": 1, "D": 1, "H": 1},
}


@pytest.mark.parametrize(("model", "bug"), SMALLEST)
def test_the_smallest_size_that_fails(model: type[Rnn], bug: str) -> None:
    """The reader would be sent to a larger example than it takes, or to one at which the bug does not show."""
    report = check(factory(model, bug))
    assert report.verdict == "wrong"
    assert report.smallest == SMALLEST[model, bug]
    assert check(factory(model, bug).with_sizes(**report.smallest), explain=False).verdict == "wrong"


@pytest.mark.parametrize(("bug", "smallest"), [("T > 1", 2), ("T == 1", 1), ("T > 3", 4)])
def test_a_bug_at_some_sizes_only(bug: str, smallest: int) -> None:
    """A defect that is invisible at T=1, or visible there alone, or in long sequences, would pass or be misplaced."""
    report = check(weights(bug))
    assert report.verdict == "wrong"
    assert report.smallest == {"T": smallest}
    assert report.blocks["w"].verdict == "wrong"
    assert f"smallest failing size: T={smallest}" in report.findings[0].message
    assert ("right at the default sizes" in report.blocks["w"].message) == (bug != "T > 1")
    wrong = {trial.sizes["T"] for trial in report.trials if trial.verdict == "wrong"}
    assert wrong == {"T > 1": {2, 3, 4}, "T == 1": {1}, "T > 3": {4}}[bug]


def test_code_that_raises_at_another_size() -> None:
    """Code that is right at its default sizes and crashes at T=1 would pass, or end the check."""
    report = check(weights("raises at 1"))
    assert report.verdict == "wrong"
    assert report.blocks["w"].verdict == "right"
    assert not report.laws["sizes"].holds
    assert "at T=1: grads() raised IndexError: list index out of range" in report.laws["sizes"].message
    assert report.smallest == {"T": 1}


def test_a_factory_may_refuse_a_size() -> None:
    """A ValueError of the factory, which says that there is no such target, would be called a failure."""
    report = check(weights("refuses 1"))
    assert report.ok
    assert [trial.sizes["T"] for trial in report.trials] == [3, 2, 4]


def drawn(raises: str, wrong: bool) -> gradcheck.TargetFactory:
    """A factory that NumPy refuses a draw at T=1, and the loss of which may raise at T=2 and its gradient be wrong."""

    @gradcheck.target
    def picks(rng: np.random.Generator, *, T: int = 3) -> Target:
        w, start = rng.uniform(0.5, 1.5, 4), rng.integers(0, T - 1)

        def loss() -> Any:
            if raises == "loss" and T == 2:
                raise IndexError("list index out of range")
            return (T + start) * np.sum(w**2)

        return Target({"w": w}, loss, lambda: {"w": (3 if wrong else 2) * (T + start) * w})

    return picks


def test_sizes_at_which_a_factory_cannot_be_built_tell_nothing() -> None:
    """Right gradients would be called wrong, for a draw that NumPy refuses; or be called right at sizes not tried."""
    report = check(drawn("", wrong=False))
    assert report.verdict == "inconclusive"
    assert report.blocks["w"].verdict == "right"
    assert not report.laws["sizes"].holds
    assert "not tested at T=1: picks(rng, T=1) raised ValueError: " in report.laws["sizes"].message


def test_a_factory_that_cannot_be_built_hides_nothing_else() -> None:
    """A loss that raises, or a wrong gradient, would be excused by sizes at which there is no target."""
    report = check(drawn("loss", wrong=False))
    assert report.verdict == "wrong"
    assert report.laws["sizes"].message.startswith("at T=2: loss() raised IndexError")
    assert report.smallest == {"T": 2}
    report = check(drawn("", wrong=True))
    assert report.verdict == "wrong"
    assert report.smallest == {"T": 2}


def test_a_law_broken_at_another_size_is_told() -> None:
    """A misshapen gradient at one size would leave a failed check without a finding."""

    @gradcheck.target
    def squeezed(rng: np.random.Generator, *, B: int = 2) -> Target:
        w = {"w": rng.normal(size=(B, 3))}
        return Target(w, lambda: np.sin(w["w"]).sum(), lambda: {"w": np.squeeze(np.cos(w["w"]))})

    report = check(squeezed)
    assert report.verdict == "wrong"
    assert report.smallest == {"B": 1}
    assert "at B=1: w: its gradient has shape (3,)" in report.laws["shapes"].message
    assert [finding.kind for finding in report.findings] == ["law:shapes", "structure"]


def test_what_is_vacuous_here_is_judged_elsewhere() -> None:
    """A block that is zero at the default sizes alone would leave the whole check undecided."""

    @gradcheck.target
    def masked(rng: np.random.Generator, *, T: int = 2) -> Target:
        w = {"w": rng.normal(size=3), "u": rng.normal(size=3)}
        on = float(T > 2)
        return Target(
            w,
            lambda: np.sin(w["w"]).sum() + on * np.sin(w["u"]).sum(),
            lambda: {"w": np.cos(w["w"]), "u": on * np.cos(w["u"])},
        )

    report = check(masked)
    assert report.ok
    assert report.blocks["u"].message == "both gradients are zero here; judged at T=3"
    assert check(masked.with_sizes(T=1)).verdict == "vacuous"


def test_pinned_sizes_are_not_varied() -> None:
    """A check of one size would be made at others."""
    report = check(weights("T == 1").with_sizes(T=3))
    assert report.ok
    assert [trial.sizes for trial in report.trials] == [{"T": 3}]


def test_what_would_take_long_is_left_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check of right code would take a minute for one sequence of 17 steps; or say nothing of what it left out."""

    @gradcheck.target
    def steps(rng: np.random.Generator, *, T: int = 3) -> Target:
        w, x = rng.normal(size=2), rng.normal(size=(T, 2))
        return Target({"w": w}, lambda: float(np.sum(np.sin(x @ w))), lambda: {"w": np.cos(x @ w) @ x})

    report = check(steps)
    assert {"T": 17} in [trial.sizes for trial in report.trials]
    assert report.notes == ()
    monkeypatch.setattr(other_sizes, "FAR_SECONDS", 0.0)
    report = check(steps)
    assert {"T": 17} not in [trial.sizes for trial in report.trials]
    assert report.notes == ("not tried, since it would take long: T=17",)
