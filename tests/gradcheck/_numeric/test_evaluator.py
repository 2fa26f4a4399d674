"""Numbers out of a target: the probe of complex steps, the fallback, counting, silence, precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck import Target, UserCodeError, check
from gradcheck._common.arrays import as_complex, inner_product
from gradcheck._numeric.evaluator import Evaluator
from gradcheck._numeric.scheme import Scheme
from tests.gradcheck.networks import Rnn, sine


def evaluator(loss: Callable[[Any], Any], w: Any = None) -> Evaluator:
    """An evaluator of this loss of three numbers."""
    params = {"w": np.array([0.3, -0.4, 0.8]) if w is None else w}
    made = Evaluator(Target(params, lambda: loss(params["w"]), dict))
    made.loss_value = as_complex(made.raw_loss()).real
    return made


def along(found: Evaluator) -> dict[str, Any]:
    """A direction in which no two entries move alike."""
    return {"w": np.linspace(1.0, 2.0, found.base["w"].size).reshape(found.base["w"].shape)}


ANALYTIC = {
    "square": lambda w: (w * w).sum(),
    "softmax": lambda w: np.log(np.exp(w).sum()) - w[0],
    "maximum taken out": lambda w: np.log(np.exp(w - w.real.max()).sum()) + w.real.max() - w[0],
    "matrix": lambda w: np.tanh(np.outer(w, w) @ w).sum(),
}

NOT_ANALYTIC = {
    "abs": lambda w: np.abs(w * w).sum(),
    "real": lambda w: (w * w).real.sum(),
    "float()": lambda w: float((w * w).sum()),
    "norm": lambda w: np.linalg.norm(w),
    "conjugate": lambda w: np.vdot(w, w),
    "real buffer": lambda w: np.add(w, w, out=np.empty(3)).sum(),
    "assigned to a real array": lambda w: [a := np.zeros(3), a.__setitem__(0, w[0]), a.sum()][-1],
    "astype": lambda w: (w * w).astype(float).sum(),
    "item by item": lambda w: math.fsum(math.sin(v) for v in w),
    "imaginary part overflows": lambda w: np.sum(1 / (1 + np.exp(-(w - 900)))) + (w * w).sum(),
}


@pytest.mark.parametrize("name", ANALYTIC)
def test_analytic_code_gets_complex_steps(name: str) -> None:
    """Code that could be differentiated exactly would be differenced."""
    found = evaluator(ANALYTIC[name])
    exact = found.derivative(along(found), confirm=True)
    assert found.scheme is Scheme.COMPLEX
    assert found.scheme_in_words == "complex step"
    real = found.real_difference(along(found))
    assert abs(exact.value - real.value) <= real.error


@pytest.mark.parametrize("name", NOT_ANALYTIC)
def test_code_that_is_not_analytic_gets_real_differences(name: str) -> None:
    """A complex step through abs, .real or float() would be believed, and correct code accused."""
    found = evaluator(NOT_ANALYTIC[name])
    with np.errstate(all="ignore"):
        derivative = found.derivative(along(found), confirm=True)
        true = (NOT_ANALYTIC[name](found.base["w"] + 1e-6 * along(found)["w"]) - found.loss_value) / 1e-6
    assert found.scheme is Scheme.REAL
    assert found.scheme_in_words == "Richardson"
    assert derivative.value == pytest.approx(float(np.real(true)), rel=1e-4)


def test_a_complex_step_that_fails_later_falls_back() -> None:
    """Code whose other branch takes no complex numbers would be reported as code that raises."""
    found = evaluator(lambda w: float((w * w).sum()) if w[0].real > 1 else (w * w).sum())
    found.derivative(along(found), confirm=True)
    assert found.scheme is Scheme.COMPLEX
    far = found.at_point({"w": found.base["w"] + 5.0})
    assert far.derivative(along(found)).value == pytest.approx(2 * inner_product(far.base, along(found)), rel=1e-9)


def test_params_that_the_loss_does_not_read_through_the_mapping() -> None:
    """A mapping beside the model's own arrays would be given complex values that reach nothing: a slope of zero."""
    w = np.array([0.5, 1.0])
    found = Evaluator(Target({"w": w}, lambda: (w * w).sum(), dict))
    found.loss_value = 1.25
    assert found.derivative({"w": np.ones(2)}, confirm=True).value == pytest.approx(3.0, rel=1e-9)
    assert found.scheme is Scheme.REAL


@pytest.mark.parametrize("kind", ["real_target", "target", "function_target"])
def test_the_three_ways_in_agree(kind: str) -> None:
    """A derivative would depend on how the parameters are handed over."""
    model = Rnn(np.random.default_rng(1))
    expected = model.grads()["U"][1, 2]
    found = Evaluator(getattr(model, kind)())
    found.loss_value = float(model.loss())
    with found.target.preserved():
        assert found.entry_derivative("U", (1, 2)).value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("error", [ValueError("math domain error"), ZeroDivisionError(), AssertionError("p > 0")])
def test_code_that_raises_outside_its_domain(error: Exception) -> None:
    """math.log near zero would end the check, though the loss is fine where the user put it."""

    def loss(w: Any) -> float:
        if w[0] <= 0.99:
            raise error
        return float(np.log(w[0] - 0.99))

    found = evaluator(loss, np.array([1.0]))
    derivative = found.derivative({"w": np.ones(1)}, confirm=True)
    assert abs(derivative.value - 100) <= derivative.error < 1e-3


def test_code_that_raises_for_another_reason_is_heard() -> None:
    """A mistake in the loss would be taken for an edge of its domain."""

    def loss(w: Any) -> float:
        if w[0] != 0.5:
            raise KeyError("h")
        return float(w[0])

    with pytest.raises(UserCodeError, match="KeyError: 'h'"):
        evaluator(loss, np.array([0.5])).derivative({"w": np.ones(1)})


def small_weights(bend: Callable[[Any], Any] = np.tanh) -> Evaluator:
    """A loss that many small weights bend much less than their sizes tell."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 400))
    return evaluator(lambda w: 2 + bend(x @ w).sum() / 100, 1e-2 * rng.normal(size=400))


def test_steps_over_many_entries_are_as_long_as_the_loss_allows() -> None:
    """Differences of a loss that is almost straight would drown in its rounding, and hide small errors."""
    short, long = small_weights(), small_weights()
    for found in (short, long):
        found.measure_noise()
    short.step_stretch = 1.0
    assert 0 < long.real_difference(along(long)).error < short.real_difference(along(short)).error / 4


def test_steps_are_no_longer_where_the_loss_bends() -> None:
    """Long steps into what bends would cost evaluations, and be believed."""
    found = small_weights(lambda z: np.sin(300 * z))
    found.measure_noise()
    before = found.evaluations
    found.real_difference(along(found))
    assert found.step_stretch == 1.0
    assert found.evaluations - before < 20


def test_the_edge_of_a_domain_is_no_noise() -> None:
    """Beside the edge of a domain the shape of the loss would be measured as noise, and hide every small error."""
    found = evaluator(lambda w: -np.log(w - 1).sum(), 1 + np.array([1e-4, 0.5, 2.0]))
    found.measure_noise()
    assert found.noise() < 1e-11


def test_the_noise_of_single_precision_is_measured() -> None:
    """Noise that losses so close together do not show would be taken for the shape of the loss."""
    found = evaluator(lambda w: float(np.sin(w.astype(np.float32)).sum()) - 2.0)
    found.measure_noise()
    assert found.noise() > 1e-8


@pytest.mark.filterwarnings("error")
def test_the_noise_of_a_very_large_loss_is_measured() -> None:
    """The square of a large difference would overflow: a warning, and an endless bar."""
    found = evaluator(lambda w: 1e200 * np.sin(w).sum())
    found.measure_noise()
    assert 0 < found.noise() < 1e187


def test_a_kink_at_the_point_is_no_noise() -> None:
    """A kink would be measured as noise, and differences across it be believed."""
    found = evaluator(lambda w: float(np.abs(w).sum()), np.array([0.0, 0.5, -1.0]))
    found.measure_noise()
    assert found.noise() < 1e-14


def test_every_loss_is_counted() -> None:
    """The report's evaluations would not be what the check costs."""
    asked, ticks = [], []
    w = np.ones(2)
    target = Target({"w": w}, lambda: asked.append(0) or float(w.sum()), dict)
    found = Evaluator(target, lambda: ticks.append(0))
    found.loss_value = 2.0
    found.derivative({"w": np.ones(2)}, confirm=True)
    far = found.at_point({"w": np.zeros(2)})
    far.raw_loss()
    assert found.evaluations == far.evaluations == len(asked) == len(ticks) > 6


def test_a_loss_that_prints_is_heard_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A print in the loss would fill the screen, or what the user prints would never be seen."""
    found = evaluator(lambda w: print("loss!") or (w * w).sum())
    found.derivative(along(found), confirm=True)
    print("after")
    assert capsys.readouterr().out == "loss!\nafter\n"


def test_a_step_is_taken_in_the_parameters_own_precision() -> None:
    """A float32 model would silently be checked as a float64 one, or be given steps it cannot resolve."""
    w = np.array([1.0, 2.0], dtype=np.float32)
    seen = []
    target = Target({"w": w}, lambda: seen.append(w.dtype) or float((w * w).sum()), dict)
    found = Evaluator(target)
    found.loss_value = 5.0
    derivative = found.real_difference({"w": np.ones(2)})
    assert set(seen) == {np.dtype(np.float32)}
    assert abs(derivative.value - 6.0) <= derivative.error < 1e-3


def test_a_direction_of_zeros_costs_nothing() -> None:
    """A division by zero would end the check of a direction that does not move."""
    found = evaluator(lambda w: w.sum())
    before = found.evaluations
    assert found.real_difference({"w": np.zeros(3)}).value == 0.0
    assert found.evaluations == before


def test_the_shortest_step_is_long_enough_for_rounding() -> None:
    """The last word on a steep loss would be rounding noise."""
    target = sine(np.array([0.3, 1.0]))
    found = Evaluator(target)
    found.loss_value = float(np.sin([0.3, 1.0]).sum())
    slope = float(np.cos([0.3, 1.0]).sum())
    for change in (1e-3 * slope, slope, 1e3 * slope):
        assert abs(found.slope_at_shortest_step({"w": np.ones(2)}, change) - slope) < 0.1 * change


@pytest.mark.parametrize(
    "penalty", [lambda w: np.linalg.norm(w) ** 2, lambda w: np.sum(np.abs(w) ** 2), lambda w: np.sum(np.real(w) ** 2)]
)
@pytest.mark.parametrize("weight", [1e-3, 1e-6, 1e-8])
def test_a_part_of_the_loss_that_does_not_follow_complex_numbers(penalty: Any, weight: float) -> None:
    """A complex step would not see weight decay, and neither does a backward that forgets it: they would agree."""
    rng = np.random.default_rng(1)
    params = {"W": rng.normal(size=(4, 5))}
    x, r = rng.normal(size=(6, 4)), rng.normal(size=(6, 5))

    def target(forgotten: float) -> Target:
        def grads() -> dict[str, Any]:
            slope = x.T @ (r * (1 - np.tanh(x @ params["W"]) ** 2))
            return {"W": slope + (1 - forgotten) * 2 * weight * params["W"]}

        return Target(params, lambda: np.sum(r * np.tanh(x @ params["W"])) + weight * penalty(params["W"]), grads)

    report = check(target(forgotten=1.0), explain=False)
    assert not report.ok or (report.blocks["W"].sensitivity or 0.0) > weight
    assert check(target(forgotten=0.0)).ok
