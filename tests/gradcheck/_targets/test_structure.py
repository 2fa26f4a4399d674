"""Arrays in lists, tuples and mappings: what they are called, and which gradient belongs to which."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import Target, TargetError
from gradcheck._targets.structure import gradients_by_name, is_structure, leaves, rebuilt, slots

ONE = np.ones(1)
Layer = namedtuple("Layer", ["W", "b"])
NESTED = {"layers": [{"W": ONE}, {"W": 2 * ONE, "b": ONE}], "W": (ONE, None, ONE), "last": Layer(ONE, 3 * ONE)}


def test_names_lead_to_the_arrays() -> None:
    """A report would name an array in a way in which nobody finds it."""
    names = [slot.name for slot in slots(NESTED)]
    assert names == ["layers[0].W", "layers[1].W", "layers[1].b", "W[0]", "W[2]", "last.W", "last.b"]
    assert all(isinstance(slot.container[slot.key], np.ndarray) for slot in slots(NESTED))


def test_a_list_without_arrays_is_none() -> None:
    """A list of numbers that was meant as an array would be refused for its first number."""
    assert not is_structure([1.0, 2.0])
    assert list(leaves("w", [1.0, 2.0])) == [("w", [1.0, 2.0])]


def test_a_structure_is_built_again() -> None:
    """A pure function would be handed another structure than its own."""
    arrays = {slot.name: 10 * slot.container[slot.key] for slot in slots(NESTED)}
    again = {name: rebuilt(name, value, arrays) for name, value in NESTED.items()}
    assert again["layers"][1]["W"].tolist() == [20.0]
    assert again["W"][1] is None
    assert again["last"].b.tolist() == [30.0]


@pytest.mark.parametrize(
    "given",
    [
        [ONE, 2 * ONE, 3 * ONE],
        (ONE, 2 * ONE, 3 * ONE),
        {"a": ONE, "b": 2 * ONE, "c": 3 * ONE}.values(),
        {"c": 3 * ONE, "b": 2 * ONE, "a": ONE},
    ],
)
def test_gradients_in_the_order_of_params(given: Any) -> None:
    """Code that returns dW, dU, db would need a dictionary around it."""
    found = gradients_by_name(given, {"a": ONE, "b": ONE, "c": ONE})
    assert {name: found[name].item() for name in found} == {"a": 1.0, "b": 2.0, "c": 3.0}


@pytest.mark.parametrize(
    "given",
    [
        {"W": [ONE, 2 * ONE], "b": (3 * ONE, 4 * ONE)},
        {"W": np.array([[1.0], [2.0]]), "b": [3 * ONE, 4 * ONE]},
        ([ONE, 2 * ONE], [3 * ONE, 4 * ONE]),
        [ONE, 2 * ONE, 3 * ONE, 4 * ONE],
    ],
)
def test_gradients_of_the_same_structure(given: Any) -> None:
    """A list a layer would need a loop around it."""
    found = gradients_by_name(given, {"W": [ONE, ONE], "b": [ONE, ONE]})
    assert {name: found[name].item() for name in found} == {"W[0]": 1.0, "W[1]": 2.0, "b[0]": 3.0, "b[1]": 4.0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            [ONE],
            r"grads\(\) returned 1 gradient, expected 4 in the order of params: .* W\[0\], W\[1\], b\.x, v",
        ),
        ({"W": [ONE]}, r"the gradient of W is 1 gradient, expected 2: one for each of W\[0\], W\[1\]"),
        ({"W": 0.0}, r"the gradient of W is float, expected 2"),
        ({"b": [ONE]}, r"the gradient of b is list, expected a mapping"),
    ],
)
def test_gradients_of_another_structure_are_told(given: Any, message: str) -> None:
    """The gradient of one layer would be compared with that of another."""
    with pytest.raises(TargetError, match=message):
        gradients_by_name(given, {"W": [ONE, ONE], "b": {"x": ONE}, "v": ONE})


def test_one_array_is_the_gradient_of_one_parameter() -> None:
    """An array would be taken for a sequence of its rows."""
    assert gradients_by_name(np.ones((2, 1)), {"w": np.ones((2, 1))})["w"].shape == (2, 1)


def test_layers_are_checked_in_place_and_put_back() -> None:
    """A complex step would leave its array in the user's list."""
    W = [np.array([1.0]), np.array([2.0])]
    before = list(W)
    target = Target({"W": W}, lambda: sum((w**2).sum() for w in W), lambda: [2 * w for w in W])
    report = gradcheck.check(target)
    assert report.ok, str(report)
    assert report.scheme == "complex step"
    assert all(now is then for now, then in zip(W, before, strict=True))


def test_a_tuple_is_perturbed_in_place() -> None:
    """A complex step would look for a place in a tuple."""
    W = (np.array([1.0]), np.array([2.0]))
    target = Target({"W": W}, lambda: float(sum((w**2).sum() for w in W)), lambda: [2 * w for w in W])
    assert not target.takes_complex
    assert gradcheck.check(target).ok


def test_a_pure_function_of_layers() -> None:
    """JAX-style parameters would have to be flat."""

    def f(params: Any) -> Any:
        return sum((w**2).sum() for w in params["W"]), {"W": [2 * w for w in params["W"]]}

    report = gradcheck.check(Target.from_function(f, {"W": [np.array([1.0]), np.array([2.0])]}))
    assert report.ok, str(report)
    assert list(report.blocks) == ["W[0]", "W[1]"] or set(report.blocks) == {"W[0]", "W[1]"}


def test_two_arrays_of_one_name_are_refused() -> None:
    """One of the two would not be checked."""
    with pytest.raises(TargetError, match=r"two arrays are both called 'W\[0\]'"):
        Target({"W": [ONE.copy()], "W[0]": ONE.copy()}, lambda: 0.0, dict)
