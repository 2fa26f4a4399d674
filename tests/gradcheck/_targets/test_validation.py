"""What a target can be made of, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck import Target, TargetError
from gradcheck._targets.validation import (
    check_callable,
    check_inputs,
    check_parameters,
    describe,
    name_gates,
    name_inputs,
)

W = np.ones((2, 3))


def read_only(array: Any) -> Any:
    """The array, not to be written."""
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({}, "params is empty: name at least one array"),
        ({"w": [1.0, 2.0]}, "params['w'] is list [1.0, 2.0]: expected a floating-point ndarray"),
        ({"w": np.arange(2)}, "params['w'] has dtype int64: expected floating point; convert it with .astype"),
        ({"w": np.ones(2, complex)}, "params['w'] has dtype complex128"),
        ({"w": np.array([1.0, np.nan])}, "params['w'] is not finite at 1 of 2 entries, the first nan at (1,)"),
        ({"w": read_only(np.ones(2))}, "params['w'] is read-only"),
        ({"a": W, "b": W[1]}, "params['a'] and params['b'] share memory"),
        ({"a": W, "c": np.ones(1), "b": W.T}, "params['a'] and params['b'] share memory"),
    ],
)
def test_parameters_that_cannot_be_perturbed_are_refused(arrays: Any, told: str) -> None:
    """The check would end in the middle, or change two parameters where it means one."""
    with pytest.raises(TargetError) as caught:
        check_parameters(arrays)
    assert told in str(caught.value)


@pytest.mark.parametrize("arrays", [{"a": W[:, :1], "b": W[:, 1:]}, {"w": np.ones((), np.float32)}, {"w": np.ones(0)}])
def test_parameters_of_any_shape_are_taken(arrays: Any) -> None:
    """Slices of one fused array, scalars or empty arrays would be refused."""
    check_parameters(arrays)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"x": [1, 2]}, "x must be an ndarray that the loss reads, got list [1, 2]"),
        ({"x": read_only(np.ones(2))}, "x is read-only, and the checker changes it in place"),
    ],
)
def test_inputs_that_cannot_be_changed_are_refused(inputs: Any, told: str) -> None:
    """Whether the loss reads an input could not be told, and this would not be said."""
    with pytest.raises(TargetError) as caught:
        check_inputs(inputs)
    assert told in str(caught.value)


def test_a_function_is_what_can_be_called() -> None:
    """A result handed over in place of the function would be noticed in the middle of a check."""
    check_callable("loss", float, "without arguments")
    with pytest.raises(TargetError, match=r"^loss must be a function without arguments, got float 3\.0$"):
        check_callable("loss", 3.0, "without arguments")


def test_inputs_are_named_in_any_form() -> None:
    """Inputs without names would not be looked at."""
    x, y = np.ones(1), np.ones(2)
    assert name_inputs(None) == {}
    assert name_inputs({3: x}) == {"3": x}
    assert list(name_inputs([x, y])) == ["inputs[0]", "inputs[1]"]
    assert name_inputs(x)["inputs"] is x


def test_gates_are_letters_or_names() -> None:
    """Gates named by a string would be one gate of a long name."""
    assert name_gates("ifgo") == ("i", "f", "g", "o")
    assert name_gates(["reset", "update"]) == ("reset", "update")
    with pytest.raises(TargetError, match="gates must be the names of the gates in their order"):
        name_gates([1, 2])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.zeros((2, 3), np.float32), "an array of dtype float32 and shape (2, 3)"),
        (None, "NoneType None"),
        ("a" * 50, "str '" + "a" * 36 + "..."),
        ("a" * 38, "str '" + "a" * 38 + "'"),
    ],
)
def test_a_value_in_a_few_words(value: Any, expected: str) -> None:
    """A message would hold a whole array, or cut what would fit."""
    assert describe(value) == expected


@pytest.mark.parametrize("where", ["params", "inputs"])
def test_names_that_are_the_same_as_text_are_refused(where: str) -> None:
    """One of the two would never be checked."""
    two = {1: np.ones(2), "1": np.ones(3)}
    params = {"params": two}.get(where, {"w": np.ones(2)})
    with pytest.raises(TargetError, match="1 and '1' are both called '1'"):
        Target(params, lambda: 0.0, dict, inputs={"inputs": two}.get(where))
