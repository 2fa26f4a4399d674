"""Whether the tape is believed: only where its gradients are the slope of the loss."""

from __future__ import annotations

from typing import Any

import numpy as np

import gradcheck
from gradcheck._tape import TapedRun, tape_target
from gradcheck._tape.belief import is_believed, why_not_believed, why_not_followed


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


def test_why_a_tape_is_not_believed() -> None:
    """A user would not know what to change."""
    found = run()
    assert why_not_believed(found) == ""
    wrong = found.expecting({**found.true_gradients, "b": 2 * found.true_gradients["b"]})
    assert why_not_believed(wrong) == "what the tape says of the loss is not its measured slope"


def test_functions_without_source_are_named() -> None:
    """Nobody would know why no line is named."""
    w, space = np.array([0.3, -0.7]), dict[str, Any]()
    exec("def twice(x): return 2 * x\ndef square(x): return float((x**2).sum())", space)
    target = gradcheck.Target({"w": w}, lambda: space["square"](w), lambda: {"w": space["twice"](w)})
    found = tape_target(target, target.values())
    assert why_not_followed(found) == "the source of square, twice is not at hand"
    assert why_not_believed(found) == ""  # it is a function like NumPy's, whose derivative differences tell


def test_calls_that_write_what_cannot_be_followed_are_named() -> None:
    """A value without a derivative would be taken for a constant, and nobody be told."""
    w, rng = np.linspace(0.3, 0.9, 9), np.random.default_rng(0)

    def grads() -> dict[str, Any]:
        dw = 2 * w
        rng.shuffle(dw)
        return {"w": dw}

    target = gradcheck.Target({"w": w}, lambda: float((w**2).sum()), grads)
    assert why_not_followed(tape_target(target, target.values())) == "the tape cannot follow Generator.shuffle"


def test_the_parameters_are_as_they_were() -> None:
    """Weights would stay perturbed."""
    found = run()
    before = {name: array.copy() for name, array in found.target.values().items()}
    is_believed(found)
    assert all(np.array_equal(array, before[name]) for name, array in found.target.values().items())
