"""Derivatives along a line: against known ones, and whether the error bar tells the truth."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gradcheck._numeric.difference import MOST_LEVELS, Derivative, Tableau, complex_step, confirmation, richardson

EPSILON = 2.0**-52

Function = Callable[[complex], complex]

#: name -> phi(t) and phi'(0), for two parameters
SMOOTH: dict[str, tuple[Callable[[float, float], Function], Callable[[float, float], float]]] = {
    "sine": (lambda a, b: lambda t: cmath.sin(a * t + b), lambda a, b: a * math.cos(b)),
    "exponential": (lambda a, b: lambda t: cmath.exp(a * t + b), lambda a, b: a * math.exp(b)),
    "tanh": (lambda a, b: lambda t: cmath.tanh(a * t + b), lambda a, b: a / math.cosh(b) ** 2),
    "logistic": (lambda a, b: lambda t: 1 / (1 + cmath.exp(a * t + b)), lambda a, b: -a / (4 * math.cosh(b / 2) ** 2)),
    "cubic": (lambda a, b: lambda t: a * t**3 - b * t**2 + a * t + b, lambda a, _: a),
    "pole": (lambda a, b: lambda t: 1 / (a * t + 4 + b), lambda a, b: -a / (4 + b) ** 2),
}

smooth = st.tuples(st.sampled_from(sorted(SMOOTH)), st.floats(-3, 3), st.floats(-3, 3))


def real(phi: Function) -> Callable[[float], float]:
    """The function of a real variable."""
    return lambda t: phi(t).real


def differenced(phi: Callable[[float], float], step: float = 0.02, noise: float | None = None) -> Derivative:
    """Its derivative by real differences, from the usual step and the usual noise."""
    at_zero = phi(0.0)
    return richardson(phi, at_zero, step, 2 * EPSILON * abs(at_zero) if noise is None else noise)


@given(smooth)
@settings(deadline=None, max_examples=300)
def test_a_complex_step_is_exact(drawn: tuple[str, float, float]) -> None:
    """Complex steps would lose digits, or their bar would promise digits they do not have."""
    name, a, b = drawn
    make, slope = SMOOTH[name]
    found, true = complex_step(make(a, b), EPSILON), slope(a, b)
    assert abs(found.value - true) <= 1e-14 * abs(true) + 1e-15 * abs(a) + 1e-270


@given(smooth, st.sampled_from([1e-12, 1.0, 1e12]))
@settings(deadline=None, max_examples=300)
def test_the_bar_of_a_difference_holds_its_error(drawn: tuple[str, float, float], scale: float) -> None:
    """A difference would promise more digits than it has, and correct code would be accused."""
    name, a, b = drawn
    make, slope = SMOOTH[name]
    phi = make(a, b)
    found = differenced(lambda t: scale * phi(t).real, noise=scale * 4 * EPSILON * (1 + abs(phi(0))))
    assert abs(found.value - scale * slope(a, b)) <= found.error


@given(smooth)
@settings(deadline=None, max_examples=300)
def test_the_bar_of_a_difference_is_no_excuse(drawn: tuple[str, float, float]) -> None:
    """The bar would be honest by being so wide that it hides real errors."""
    name, a, b = drawn
    make, _ = SMOOTH[name]
    phi = make(a, b)
    assert differenced(real(phi), noise=4 * EPSILON * (1 + abs(phi(0)))).error <= 1e-7 * (1 + abs(a)) * (
        1 + abs(phi(0))
    )


@pytest.mark.parametrize("noise", [1e-12, 1e-8, 1e-4])
def test_noise_widens_the_bar_and_stays_inside(noise: float) -> None:
    """A noisy loss would be differenced at steps where the noise is all there is."""

    def phi(t: float) -> float:
        return math.sin(t + 1) + noise * math.sin(1e9 * t + 1)

    found = differenced(phi, noise=noise)
    assert abs(found.value - math.cos(1)) <= found.error
    assert noise < found.error < 1e4 * noise


def test_noise_larger_than_it_is_said_to_be_stays_inside() -> None:
    """A noise that is underestimated threefold would make every tenth bar too short, and correct code be accused."""
    outside = 0
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        found = differenced(lambda t, rng=rng: math.sin(t + 1) + rng.uniform(-1, 1) * 1e-8, noise=3e-9)
        outside += abs(found.value - math.cos(1)) > found.error
    assert outside <= 10


@pytest.mark.parametrize(("left", "right"), [(-1.0, 1.0), (0.0, 1.0), (2.0, 2.5), (0.0, -3.0)])
def test_a_kink_is_recognised(left: float, right: float) -> None:
    """The mean of two one-sided slopes would be taken for the derivative at a kink."""
    found = differenced(lambda t: math.sin(t + 0.3) + (left if t < 0 else right) * t)
    assert found.kink == pytest.approx(right - left, rel=1e-6)
    assert found.error >= abs(right - left) / 2 * (1 - 1e-6)


@pytest.mark.parametrize("beside", [3e-2, 7e-3, 1.3e-3, 2e-4])
def test_a_kink_is_recognised_though_others_are_beside_it(beside: float) -> None:
    """Other kinks within the first steps would hide that at the point, whose mean slope converges at once."""
    found = differenced(lambda t: max(t, 0.0) + 0.3 * max(t - beside, 0.0), noise=EPSILON)
    assert found.kink == pytest.approx(1.0, rel=1e-3)
    assert found.error >= 0.5 * (1 - 1e-3)


@pytest.mark.parametrize("beside", [7e-3, 1.3e-3, 2e-4])
def test_kinks_that_balance_are_passed(beside: float) -> None:
    """One kink on each side, as far away, would make a mean slope that converges before the steps are shorter."""
    found = differenced(lambda t: t + max(t - beside, 0.0) + max(-beside - t, 0.0), noise=EPSILON)
    assert found.kink == 0.0
    assert abs(found.value - 1.0) <= found.error < 1e-6


@given(smooth)
@settings(deadline=None)
def test_a_smooth_function_has_no_kink(drawn: tuple[str, float, float]) -> None:
    """Curvature would be called a kink, and smooth code left unjudged."""
    name, a, b = drawn
    assert differenced(real(SMOOTH[name][0](a, b))).kink == 0.0


@pytest.mark.parametrize("distance", [1e-2, 1e-3, 1e-4])
def test_a_kink_beside_the_point_is_passed(distance: float) -> None:
    """A ReLU that switches within the first step would spoil the slope at a point where it does not."""
    found = differenced(lambda t: math.sin(t) + 5 * abs(t - distance))
    assert abs(found.value - (1 - 5)) <= found.error < 1e-6
    assert found.kink == 0.0


@pytest.mark.parametrize("edge", [1e-2, 1e-3])
def test_steps_shrink_until_they_are_inside_the_domain(edge: float) -> None:
    """A logarithm near zero would be given up, or differenced across its edge."""
    found = differenced(lambda t: math.log(edge + t) if edge + t > 0 else math.nan)
    assert abs(found.value - 1 / edge) <= found.error < 1e-6 / edge


@pytest.mark.parametrize("outside", [math.nan, math.inf, -math.inf])
def test_a_point_on_the_edge_of_the_domain_has_no_derivative(outside: float) -> None:
    """A one-sided function would be given a slope with a finite bar."""
    found = differenced(lambda t: t if t <= 0 else outside)
    assert math.isnan(found.value)
    assert found.error == math.inf


@pytest.mark.parametrize("power", [1, 3, 5])
def test_three_levels_are_exact_to_the_sixth_order(power: int) -> None:
    """The extrapolation would leave a term of the error that it is there to remove, and pay for it in evaluations."""
    asked = []

    def phi(t: float) -> float:
        asked.append(t)
        return 2 * t + t**power + t**6

    found = richardson(phi, 0.0, 0.5, EPSILON)
    assert found.value == pytest.approx(2 + (power == 1), rel=1e-14)
    assert len(asked) <= 2 * 4


def test_a_constant_has_slope_zero_and_no_more_than_rounding_for_a_bar() -> None:
    """An unused parameter would be inconclusive instead of certainly without influence."""
    found = differenced(lambda _: 3.0)
    assert found.value == found.kink == 0.0
    assert found.error < 1e-11


@example(8)
@given(st.integers(1, 12))
def test_evaluations_are_few_for_what_is_smooth(power: int) -> None:
    """Every real difference would cost more than it has to: three levels of two, and a few more."""
    asked = []

    def phi(t: float) -> float:
        asked.append(t)
        return (1 + t / 4) ** power

    richardson(phi, 1.0, 0.02, EPSILON)
    assert 2 * 3 <= len(asked) <= 2 * 8


def test_a_difference_that_overflows_has_an_endless_bar() -> None:
    """A loss near the largest float would end the check with a division by zero."""
    found = richardson(lambda t: math.copysign(1.7e308, t), 0.0, 0.5, EPSILON)
    assert found.error == math.inf


def test_a_tableau_halves_its_step_and_quarters_it_outside_the_domain() -> None:
    """Values would be added to the tableau at another step than they were asked for."""
    tableau = Tableau(0.0, 1.0, 1e-16)
    tableau.add(1.0, -1.5)
    assert tableau.step == 0.5
    tableau.add(math.nan, 1.0)
    assert tableau.step == 0.125
    assert not tableau.finished


def test_a_tableau_finishes_at_the_step_of_its_last_level() -> None:
    """The noise over the last step would be taken for that over half of it, and kinks be seen where none are."""
    tableau = Tableau(0.0, 1.0, 1e-12)
    while not tableau.finished:
        tableau.add(tableau.step, -tableau.step)
    assert tableau.step == 0.25
    found = tableau.derivative()
    assert found.value == 1.0
    assert found.kink == 0.0


def test_a_tableau_ends() -> None:
    """A loss that is finite nowhere beside the point would be asked for without end."""
    tableau = Tableau(0.0, 1.0, 1e-16)
    for _ in range(MOST_LEVELS):
        assert not tableau.finished
        tableau.add(math.nan, math.nan)
    assert tableau.finished
    assert tableau.derivative().error == math.inf


@pytest.mark.parametrize(("bend", "losses"), [(0.0, 3), (1e5, 4)])
def test_a_fourth_loss_is_asked_for_where_three_are_too_few(bend: float, losses: int) -> None:
    """What confirms a slope would take a loss more than it needs, or take its own error for one of the slope."""
    asked = []

    def phi(t: float) -> float:
        asked.append(t)
        return 2 + 3 * t - t**2 + 5 * t**3 + bend * t**4

    found = confirmation(phi, 2.0, 2.0**-10, 2 * EPSILON, 3.0)
    assert len(asked) == losses
    assert found <= 2**10 * 24 * EPSILON


def test_no_other_slope_is_confirmed() -> None:
    """A wrong slope would be confirmed to the rounding of the losses."""
    step, noise = 2.0**-8, EPSILON
    assert confirmation(math.sin, 0.0, step, noise, 1 + 1e-6) > 1e-6 > 100 * confirmation(math.sin, 0.0, step, noise, 1)


def test_the_noise_of_each_loss_is_allowed_for() -> None:
    """Three losses, whose roundings count for more, would promise as much as four."""
    rng, noise, step = np.random.default_rng(0), 1e-12, 2.0**-8
    asked: list[float] = []

    def phi(t: float) -> float:
        asked.append(t)
        return float(1 + t + noise * rng.uniform(-1, 1))

    for _ in range(1000):
        asked.clear()
        found = confirmation(phi, 1.0, step, noise, 1.0)
        assert found >= 8 * noise / step * (4 / 3 if len(asked) == 3 else 1)
