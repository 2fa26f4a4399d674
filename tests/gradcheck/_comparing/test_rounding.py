"""How exactly the gradients under test are known: their precision, their rounding error, their noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import Target
from gradcheck._comparing.comparer import Comparer
from gradcheck._comparing.rounding import GivenGradients, roundoff
from gradcheck._numeric.evaluator import Evaluator
from tests.gradcheck.networks import sine

SINGLE, DOUBLE, HALF = (float(np.finfo(dtype).eps) for dtype in (np.float32, np.float64, np.float16))


def given_by(target: Target, divisor: float = 1.0) -> GivenGradients:
    """The gradients of a target where it stands."""
    evaluator = Evaluator(target)
    return GivenGradients(evaluator, evaluator.raw_grads_here(), 0, divisor)


@pytest.mark.parametrize(
    ("gradient", "expected"),
    [
        (np.array([0.1, 0.2]), DOUBLE),
        (np.array([0.1, 0.2], np.float32), SINGLE),
        (np.array([0.1, 0.2], np.float32).astype(float), SINGLE),
        (np.array([0.1] * 99 + [0.2 + 1e-12]).astype(np.float32).astype(float), SINGLE),
        (np.r_[np.full(99, 0.1, np.float32), 0.1].astype(float), SINGLE),
        (np.r_[np.full(99, 0.1, np.float32).astype(float), 0.1], DOUBLE),
        (np.array([1.0, 0.5, 3.0]), DOUBLE),
        (np.array([1.0], np.float16), HALF),
        (np.array([1e300]), DOUBLE),
        (np.zeros(0), DOUBLE),
    ],
)
def test_the_precision_a_gradient_was_computed_in(gradient: Any, expected: float) -> None:
    """A gradient that was widened would be held to digits it has not, or an exact one be let off."""
    if gradient.size == 100 and expected == SINGLE and gradient[-1] == 0.1:
        gradient[-1] = np.float32(0.1)
    assert roundoff(gradient) == expected


def test_the_least_precise_gradient_sets_the_precision() -> None:
    """A comparison would be held to the digits of the more precise of the two."""
    params = {"w": np.array([0.3, 0.4]), "v": np.array([0.5])}
    grads = lambda: {"w": np.cos(params["w"]).astype(np.float32), "v": np.cos(params["v"])}  # noqa: E731
    given = given_by(Target(params, lambda: sum(np.sin(p).sum() for p in params.values()), grads))
    assert given.epsilon == SINGLE
    assert given.coarse == ["w"]
    assert all(gradient.dtype == np.float64 for gradient in given.values.values())


def test_a_known_factor_is_divided_out() -> None:
    """A factor that is reported already would be called an error of every gradient once more."""
    given = given_by(sine(np.zeros(2), slope=lambda w: 5 * np.cos(w)), divisor=5.0)
    assert given.values["w"].tolist() == [1.0, 1.0]
    assert given.norms["w"] == pytest.approx(2**0.5)


def test_rounding_is_at_least_the_usual_one_and_grows_with_what_is_measured() -> None:
    """A gradient that a roundoff of its parameters changes would be held to all digits, and called wrong."""
    w = np.array([0.3, -0.7])
    smooth, rough = given_by(sine(w)), given_by(sine(w, slope=lambda w: np.sin(1e8 * w)))
    assert 64 * DOUBLE * smooth.norms["w"] <= smooth.rounding("w") < 1e-12
    assert 1e-9 < rough.rounding("w") < 1e-5


def test_a_backward_with_state_is_asked_no_more() -> None:
    """Each call of an accumulating backward would spoil the next, and the difference be taken for rounding."""
    asked: list[int] = []
    given = given_by(sine(np.ones(2), slope=lambda w: asked.append(1) or np.cos(w)))
    given.stateless = False
    before = len(asked)
    assert given.at(given.jittered_by_roundoffs()) == {}
    assert given.rounding("w") < 1e-12
    assert len(asked) == before


def test_given_changes_are_taken_for_rounding() -> None:
    """The gradients that were asked for already would be asked for again, or be measured in another unit."""
    given = given_by(sine(np.zeros(2), slope=lambda w: 2 * np.cos(w)), divisor=2.0)
    given.measure_rounding({"w": np.array([2.0, 2.0 + 2e-6])})
    assert given.rounding("w") == pytest.approx(4e-6)


def test_noise_of_single_precision_is_measured_and_a_smooth_gradient_has_none() -> None:
    """float32 inside a backward would be called a formula's error, or a formula's error be called noise."""
    w = np.linspace(0.1, 1.0, 20)
    assert given_by(sine(w)).noise("w") < 1e-14
    noisy = given_by(sine(w, slope=lambda w: np.cos(w.astype(np.float32)).astype(float)))
    assert 1e-8 < noisy.noise("w") < 1e-5


def test_no_noise_is_told_where_a_gradient_is_missing() -> None:
    """Code that refuses a point nearby would end the check."""

    def slope(w: Any) -> Any:
        if w[0] != 1.0:
            raise ValueError("not there")
        return np.cos(w)

    assert given_by(sine(np.ones(2), slope=slope)).noise("w") == 0.0


def test_jitter_is_relative_to_the_parameters_and_always_the_same() -> None:
    """Large parameters would not move at all, or a check not be repeatable."""
    given = given_by(sine(np.array([1e6, -1e-3, 0.0])))
    moved, again = given.jittered(1e-3), given.jittered(1e-3)
    assert np.array_equal(moved["w"], again["w"])
    assert np.abs(moved["w"][0] - 1e6) == pytest.approx(1e3)
    assert np.all(moved["w"] != given.evaluator.base["w"])
    assert given.evaluator.base["w"][0] == 1e6


def test_jitter_of_an_array_that_is_stored_by_columns() -> None:
    """Entries would be moved by the sizes of others, where large arrays are worked on in blocks."""
    w = np.asfortranarray(np.geomspace(1.0, 1e6, 200 * 150).reshape(200, 150))
    evaluator = Evaluator(Target({"w": w}, lambda: np.sum(w), lambda: {"w": np.ones_like(w)}))
    moved = GivenGradients(evaluator, {"w": np.ones_like(w)}, 0, 1.0).jittered(1e-3)["w"]
    assert np.all(np.abs(moved - w) <= 1.001e-3 * w)
    assert 0.4 < np.mean(moved > w) < 0.6


def test_a_few_entries_that_are_zero_do_not_tell_the_precision() -> None:
    """A gradient with rows of zeros, as that of tokens that do not occur, would be looked through whole; or misread."""
    gradient = np.zeros((500, 8))
    gradient[300] = 1 / 3
    assert roundoff(gradient) == np.finfo(np.float64).eps
    gradient[300] = np.float32(1 / 3)
    assert roundoff(gradient) == np.finfo(np.float32).eps


def test_a_gradient_is_held_to_the_digits_it_has() -> None:
    """A gradient that a roundoff of its parameters changes would be held to all digits, and called wrong."""
    params = {"w": np.array([0.3, -0.7])}
    target = Target(params, lambda: np.sin(params["w"]).sum(), lambda: {"w": np.sin(1e8 * params["w"])})
    evaluator = Evaluator(target)
    evaluator.loss_value = float(target.loss_at(evaluator.base))
    bars = []
    for stateless in (True, False):
        comparer = Comparer(evaluator, target.grads_at(evaluator.base), seed=0)
        comparer.given.stateless = stateless
        bars.append(comparer.compare(["w"])[0].bar)
    assert bars[1] < 1e-10 < 1e-8 < bars[0] < 1e-5


def test_integers_of_any_size_are_no_sign_of_single_precision() -> None:
    """Counts above the largest half would loosen the bars of gradients in double precision."""
    assert roundoff(np.array([70_000.0, 123_457.0, 3.0])) == np.finfo(np.float64).eps
    assert roundoff(np.array([70_000.0, 123_457.0, 1 / 3], dtype=np.float32).astype(float)) == np.finfo(np.float32).eps


def test_integers_that_both_precisions_have_room_for_are_told_as_single() -> None:
    """docs/limits.md would say another bound, or a mend that is none."""
    counts = np.array([2.0**22 + 1, 5.0])
    assert roundoff(counts - 2) == DOUBLE
    assert roundoff(counts) == SINGLE
    assert roundoff(counts / 3) == DOUBLE


def test_one_gradient_in_single_precision_loosens_no_other() -> None:
    """A bias in float32 would hide an error of 1e-8 in the weights."""
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=20), "b": rng.normal(size=20)}

    def grads() -> dict[str, Any]:
        return {"W": np.cos(params["W"]), "b": np.cos(params["b"]).astype(np.float32)}

    report = gradcheck.check(Target(params, lambda: sum(np.sin(p).sum() for p in params.values()), grads))
    assert report.blocks["W"].error_bar < 1e-11
    assert report.blocks["b"].error_bar > 1e-8
