"""Whether the tape is believed: only where its gradients are the slope of the loss."""

from __future__ import annotations

from typing import Any

import numpy as np

import gradcheck
from gradcheck._tape import TapedRun, tape_target
from gradcheck._tape.belief import is_believed


def run() -> TapedRun:
    """Two weights, on the tape."""
    w: dict[str, Any] = {"a": np.array([0.3, -0.7]), "b": np.array([1.1])}
    target = gradcheck.Target(
        w,
        lambda: float(np.sum(np.sin(w["a"])) + w["b"][0] ** 2),
        lambda: {"a": np.cos(w["a"]), "b": 2 * w["b"]},
    )
    return tape_target(target, target.values())


def test_a_tape_that_agrees_with_the_slope_is_believed() -> None:
    """The tape would never be used."""
    assert is_believed(run())


def test_a_tape_that_is_wrong_is_not_believed() -> None:
    """Lines would be accused by derivatives that are none."""
    found = run()
    assert not is_believed(found.expecting({**found.true_gradients, "b": 1.001 * found.true_gradients["b"]}))


def test_what_is_undecided_does_not_count() -> None:
    """A kink in one parameter would keep the tape from the others."""
    found = run()
    assert is_believed(found.expecting({**found.true_gradients, "b": 2 * found.true_gradients["b"]}), {"b"})


def test_the_parameters_are_as_they_were() -> None:
    """Weights would stay perturbed."""
    found = run()
    before = {name: array.copy() for name, array in found.target.values().items()}
    is_believed(found)
    assert all(np.array_equal(array, before[name]) for name, array in found.target.values().items())
