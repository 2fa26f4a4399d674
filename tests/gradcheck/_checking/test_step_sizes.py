"""Central differences from long steps to short ones."""

from __future__ import annotations

import numpy as np

from gradcheck import Target
from gradcheck._checking.step_sizes import MOST_CURVES, STEPS, step_curves


def cubes(factor: float = 1.0) -> Target:
    """A loss whose differences are wrong by the square of the step."""
    w = np.arange(1.0, 4.0)
    return Target({"w": w}, lambda: float(np.sum(w**3)), lambda: {"w": factor * 3 * w**2})


def test_of_a_right_gradient_the_distance_falls_with_the_square_of_the_step() -> None:
    """The picture would not show what its words say."""
    (curve,) = step_curves(cubes(), 0, ["w"])
    distance = dict(curve.points)
    assert [step for step, _ in curve.points] == [*STEPS]
    assert 0.99 < distance[1e-1] / distance[1e-2] / 100 < 1.01
    assert min(distance.values()) < 1e-9
    assert distance[STEPS[-1]] > 1e-7


def test_of_a_wrong_gradient_it_stays() -> None:
    """A wrong gradient would look like one that only needs a shorter step."""
    (curve,) = step_curves(cubes(2.0), 0, ["w"])
    assert all(0.4 < distance < 0.6 for step, distance in curve.points if 1e-10 < step < 1e-1)


def test_a_step_out_of_the_domain_is_left_out() -> None:
    """A logarithm would end the page in an error, or leave it without a curve."""
    w = np.array([0.1, 0.2])

    def loss() -> float:
        if np.any(w <= 0):
            raise ValueError("only positive")
        return float(np.sum(np.log(w)))

    (curve,) = step_curves(Target({"w": w}, loss, lambda: {"w": 1 / w}), 0, ["w"])
    assert 0 < len(curve.points) < len(STEPS)


def test_only_a_few_gradients_are_measured_and_only_those_that_are_there() -> None:
    """A page would take longer than the check, or a gradient that is missing end it."""
    params = {name: np.ones(2) for name in "abcde"}
    target = Target(
        params, lambda: float(sum(np.sum(p**2) for p in params.values())), lambda: {n: 2 * params[n] for n in "bcde"}
    )
    assert [one.name for one in step_curves(target, 0, "abcde")] == ["b", "c", "d"]
    assert MOST_CURVES == 3


def test_code_that_raises_has_no_curve() -> None:
    """A page would not be written because of one target in it."""

    def fails() -> float:
        raise RuntimeError("no loss")

    assert step_curves(Target({"w": np.ones(2)}, fails, dict), 0, ["w"]) == ()
