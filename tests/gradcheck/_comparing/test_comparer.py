"""Comparisons along directions: what they add up to, and at which points they are made."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gradcheck import Target
from gradcheck._comparing.comparer import Comparer
from gradcheck._comparing.comparisons import Comparison, Comparisons, root_mean_square
from gradcheck._numeric.difference import Derivative
from gradcheck._numeric.entries import Entries
from gradcheck._numeric.evaluator import Evaluator
from tests.gradcheck.networks import sine


def comparer_of(target: Target, seed: int = 0, divisor: float = 1.0) -> Comparer:
    """A comparer of what a target gives where it stands."""
    evaluator = Evaluator(target)
    return Comparer(evaluator, evaluator.raw_grads_here(), seed, divisor)


def comparison(discrepancy: float, bar: float, slope: float = 1.0, kink: float = 0.0) -> Comparison:
    """One along no direction in particular."""
    return Comparison(dict, discrepancy, bar, Derivative(slope, bar, kink))


@pytest.mark.parametrize(
    ("pairs", "verdict"),
    [([(0.5, 1.0), (-1.0, 1.0)], "right"), ([(0.5, 1.0), (3.0, 1.0)], "inconclusive"), ([(-6.0, 1.0)], "wrong")],
)
def test_comparisons_are_judged_together(pairs: list[tuple[float, float]], verdict: str) -> None:
    """One comparison that disagrees would be outvoted."""
    assert Comparisons(comparison(*pair) for pair in pairs).verdict == verdict


def test_what_comparisons_add_up_to() -> None:
    """The error of a report would not be the norm of the error vector, or its bar not the largest."""
    found = Comparisons([comparison(3.0, 0.1, slope=1.0), comparison(-4.0, 0.2, slope=7.0, kink=2.0)])
    assert found.error == pytest.approx(math.sqrt(12.5))
    assert found.slope == pytest.approx(5.0)
    assert found.bar == 0.2
    assert found.has_kink
    assert found.sensitivity > found.bar
    assert not Comparisons([comparison(0.0, 1.0)]).has_kink


def test_root_mean_square_of_large_numbers() -> None:
    """The square of a large discrepancy would overflow to an endless error."""
    assert root_mean_square([3e200, 4e200]) == pytest.approx(math.sqrt(12.5) * 1e200)


def test_the_same_names_have_the_same_directions() -> None:
    """A verdict would depend on what was asked before it."""
    first, second = comparer_of(sine(np.ones(3))), comparer_of(sine(np.ones(3)))
    second.compare(["w"], count=1)
    pairs = zip(first.compare(["w"], count=2), second.compare(["w"], count=2), strict=True)
    assert all(np.array_equal(one.direction["w"], other.direction["w"]) for one, other in pairs)
    other = comparer_of(sine(np.ones(3)), seed=1).compare(["w"], count=1)[0]
    assert not np.array_equal(first.compare(["w"], count=1)[0].direction["w"], other.direction["w"])


def test_exact_differences_need_fewer_directions() -> None:
    """A check by complex step would cost twice the evaluations, and one by real differences see too little."""
    params = {"w": np.array([0.3, 0.7])}
    real = Target(lambda: params, lambda: float(np.sin(params["w"]).sum()), lambda: {"w": np.cos(params["w"])})
    assert len(comparer_of(sine(np.array([0.3, 0.7]))).compare(["w"])) == 2
    assert len(comparer_of(real).compare(["w"])) == 4


def test_the_slope_is_that_of_the_given_gradients() -> None:
    """The slope that the gradients claim would be divided twice by a known factor, or not at all."""
    comparer = comparer_of(sine(np.zeros(2), slope=lambda w: 6 * np.cos(w)), divisor=2.0)
    assert comparer.slope({"w": np.array([1.0, 10.0])}) == 33.0


def test_a_probe_moves_a_part_and_bars_it_by_its_share() -> None:
    """An error in one entry would be looked for along entries that do not move, or drown in the bar of all."""
    slope = lambda w: np.cos(w) + np.eye(1, 100, 7)[0]  # noqa: E731
    probe = comparer_of(sine(np.linspace(0.1, 1.0, 100), slope=slope)).probe("w")
    apart, bar = probe(np.eye(1, 100, 7)[0])
    beside, _ = probe(np.eye(1, 100, 8)[0])
    assert apart == pytest.approx(1.0)
    assert abs(beside) <= bar < probe(np.ones(100))[1]


def test_the_bar_of_an_entry_is_no_smaller_than_the_usual_one() -> None:
    """An entry whose error estimate is small by luck would be called wrong."""
    comparer = comparer_of(sine(np.array([0.1, 0.2, 0.3])))
    errors = np.array([1e-30, 1e-3, 1e-3])
    bars = comparer.entry_bars("w", Entries(comparer.gradients["w"], errors, np.zeros(3)))
    assert bars[0] >= 1e-3
    assert bars.shape == (3,)


def test_another_point_has_gradients_of_its_own() -> None:
    """Gradients of this point would be compared with slopes of another."""
    comparer = comparer_of(sine(np.zeros(2)))
    there = comparer.at_point({"w": np.full(2, math.pi)})
    assert there is not None
    assert there.gradients["w"].tolist() == [-1.0, -1.0]
    assert not there.probing
    assert comparer.gradients["w"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("failure", [np.full(2, np.nan), np.ones(3), ValueError("out of the domain")])
def test_a_point_without_gradients_is_left_out(failure: Any) -> None:
    """Code that does not run at a point the user did not choose would end the check."""

    def slope(w: Any) -> Any:
        if w[0] == 0:
            return np.cos(w)
        if isinstance(failure, Exception):
            raise failure
        return failure

    comparer = comparer_of(sine(np.zeros(2), slope=slope))
    assert comparer.at_point({"w": np.ones(2)}) is None
    assert comparer.nearby() is None


def test_nearby_is_near() -> None:
    """A formula's error would change on the way, and be taken for noise."""
    nearby = comparer_of(sine(np.array([1.0, -2.0]))).nearby()
    assert nearby is not None
    moved = np.abs(nearby.evaluator.base["w"] - [1.0, -2.0])
    assert np.all((moved > 0) & (moved < 1e-4))


def test_the_shortest_step_has_the_last_word_on_a_steep_loss() -> None:
    """A loss that turns within every usual step would have its right gradient called wrong."""
    params = {"w": np.array([0.3])}

    def steep(factor: float) -> Comparer:
        gradient = lambda: {"w": factor * 1e8 * np.cos(1e8 * params["w"])}  # noqa: E731
        return comparer_of(Target(params, lambda: float(np.sin(1e8 * params["w"]).sum()), gradient))

    direction, apart = {"w": np.ones(1)}, 1e8 * math.cos(0.3e8)
    assert steep(1.0).is_confirmed_by_shortest_step(direction, apart)
    assert not steep(2.0).is_confirmed_by_shortest_step(direction, apart)


@pytest.mark.parametrize(
    ("one", "far"),
    [
        (comparison(0.5, 1e-6), True),
        (comparison(2e-3, 1e-6), True),
        (comparison(5e-4, 1e-9), False),  # it may be noise
        (comparison(0.5, 0.1), False),  # the slope itself is hardly known
        (comparison(0.5, 1e-6, kink=1.0), False),
        (comparison(0.5, math.inf), False),
        (comparison(0.5, 1e-6, slope=0.0), False),  # the loss does not move
    ],
)
def test_what_is_far_apart(one: Comparison, far: bool) -> None:
    """A gradient would be called wrong from one comparison that an excuse explains, or compared again for nothing."""
    assert Comparisons([one]).are_far_apart is far
    assert not Comparisons([one, comparison(0.0, 1e-6)]).are_far_apart


def test_a_rough_comparison_takes_few_losses() -> None:
    """What is known to be wrong would cost as much at each size as what is not."""
    w = np.ones(3)
    comparer = comparer_of(Target({"w": w}, lambda: float(np.sin(w).sum()), lambda: {"w": np.cos(w) + 1.0}))
    comparer.compare_roughly("w")  # by now it is known how to difference
    before = comparer.evaluator.evaluations
    rough = comparer.compare_roughly("w")
    assert comparer.evaluator.evaluations - before <= 6
    assert rough.are_far_apart
    exact = comparer.compare(["w"], count=1)
    assert rough[0].discrepancy == pytest.approx(exact[0].discrepancy, rel=1e-5)
