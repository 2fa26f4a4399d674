"""The kinds of problem: fresh arrays for pure functions, cotangents that stay fixed, gradients in any form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck import Target, TargetError
from gradcheck._targets.problems import InPlaceProblem, copies_of
from gradcheck._targets.pure_problems import VjpProblem, flatten, own_arrays, unflatten
from tests.gradcheck.networks import rnn_backward, rnn_forward, vjp_target


def rng() -> np.random.Generator:
    """The same numbers in every test."""
    return np.random.default_rng(0)


def cotangents_of(target: Target) -> list[Any]:
    """Those that a target contracts its outputs with."""
    assert isinstance(target.problem, VjpProblem)
    return target.problem.cotangents


# -- in place ----------------------------------------------------------------------------------------------------------


def test_the_live_arrays_are_the_users_own() -> None:
    """A perturbation would be written into a copy that the loss never reads."""
    w = np.ones(2)
    problem = InPlaceProblem({"w": w}, lambda: float(w.sum()), dict)
    assert problem.arrays()["w"] is w
    assert problem.loss_at({"w": np.array([2.0, 5.0])}) == 7.0


def test_many_losses_see_the_other_parameters_at_the_values() -> None:
    """Copies of one parameter would be judged beside perturbed values of the others."""
    params = {"a": np.zeros(1), "b": np.zeros(1)}
    problem = InPlaceProblem(params, lambda: 0.0, dict, batched=lambda _, copies: copies[:, 0] + params["b"])
    losses = problem.losses_at({"a": np.zeros(1), "b": np.full(1, 5.0)}, "a", np.array([[1.0], [2.0]]))
    assert losses.tolist() == [6.0, 7.0]


def test_copies_are_apart_and_a_list_is_left_for_the_validation() -> None:
    """The user's arrays would be handed out themselves, or a list be taken for an array in silence."""
    w = np.ones(2)
    copy = copies_of({"w": w})["w"]
    copy[:] = 7.0
    assert w.tolist() == [1.0, 1.0]
    own = own_arrays({0: w, "list": [1.0]})
    assert own["0"] is not w
    assert own["list"] == [1.0]


# -- from_function -----------------------------------------------------------------------------------------------------


def test_a_pure_function_gets_arrays_of_its_own() -> None:
    """A function that mutates its argument would change the caller's parameters."""
    given_params = {"w": np.ones(2)}

    def f(params: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        params["w"] *= 0
        return 0.0, {}

    target = Target.from_function(f, given_params)
    target.loss_at(target.values())
    assert target.names_changed_by_last_call() == ["w"]
    assert given_params["w"].tolist() == [1.0, 1.0]
    assert target.name == "f"


@pytest.mark.parametrize("result", [1.0, (1.0,), [1.0, {}], (1.0, {}, None)])
def test_a_function_that_returns_no_pair(result: Any) -> None:
    """A function of another form would end in an unpacking error of ours."""
    target = Target.from_function(lambda _: result, {"w": np.ones(2)})
    with pytest.raises(TargetError, match=r"must return a pair \(loss, grads\), got"):
        target.loss_at(target.values())


# -- from_vjp ----------------------------------------------------------------------------------------------------------


def test_the_cotangents_are_drawn_once_for_a_check() -> None:
    """The loss would be another function at each call, or the same one under every seed."""
    target = vjp_target()
    target.draw_cotangents(np.random.default_rng(1))
    first = target.loss_at(target.values())
    assert target.loss_at(target.values()) == first
    target.draw_cotangents(np.random.default_rng(2))
    assert target.loss_at(target.values()) != first


def backward_results() -> dict[str, Any]:
    """The same gradients in every form they may come in: tokens, x, y are the inputs."""
    x, y = np.full(2, 2.0), np.full(2, 3.0)
    return {
        "in order, None for tokens": (None, x, y),
        "list": [x, y],
        "without tokens": (x, y),
        "zeros for tokens": (np.zeros(2), x, y),
        "mapping": {"y": y, "x": x},
        "mapping with tokens": {"y": y, "x": x, "tokens": None},
    }


@pytest.mark.parametrize("form", backward_results())
def test_gradients_in_any_form(form: str) -> None:
    """Gradients would be assigned to other inputs than their own."""
    inputs = {"tokens": np.array([0, 1]), "x": np.ones(2), "y": np.ones(2)}
    target = Target.from_vjp(lambda _tokens, x, y: (x * y, None), lambda *_: backward_results()[form], inputs)
    target.draw_cotangents(rng())
    found = target.grads_at(target.values())
    assert {name: grad.tolist() for name, grad in found.items()} == {"x": [2.0, 2.0], "y": [3.0, 3.0]}
    assert list(target.inputs()) == ["tokens"]


def test_a_lone_gradient_needs_no_tuple() -> None:
    """A backward of one input would have its gradient taken for a sequence of gradients."""
    target = Target.from_vjp(lambda x: (x, None), lambda dy, _: dy, [np.ones(1)])
    target.draw_cotangents(rng())
    assert list(target.grads_at(target.values())) == ["inputs[0]"]


def test_nested_outputs_get_cotangents_of_the_same_nesting() -> None:
    """A forward with several outputs, as (h, (hT, cT)), could not be checked."""
    seen: list[Any] = []

    def backward(cotangents: Any, _: Any) -> Any:
        seen.append(cotangents)
        dh, (dhT, dcT) = cotangents
        return (dh + dhT.sum() + dcT.sum(),)

    target = Target.from_vjp(lambda x: ((x, (x[:1], x[1:])), None), backward, [np.ones(3)])
    target.draw_cotangents(rng())
    target.grads_at(target.values())
    dh, (dhT, dcT) = seen[0]
    assert (dh.shape, dhT.shape, dcT.shape) == ((3,), (1,), (2,))


def test_a_backward_that_writes_into_its_cotangents_is_seen() -> None:
    """An upstream gradient mutated in place would go unnoticed, and spoil the next comparison."""

    def backward(cotangents: Any, cache: Any) -> Any:
        grads = rnn_backward(cotangents, cache)
        cotangents[0][:] = 0
        return grads

    inputs = {name: np.ones(shape) for name, shape in {"x": (2, 1, 3), "h0": (1, 2), "W": (3, 2), "U": (2, 2)}.items()}
    target = Target.from_vjp(rnn_forward, backward, {**inputs, "b": np.zeros(2)})
    target.draw_cotangents(rng())
    kept = [np.array(cotangent) for cotangent in cotangents_of(target)]
    target.grads_at(target.values())
    assert target.names_changed_by_last_call() == ["cotangent[0]"]
    assert all(np.array_equal(a, b) for a, b in zip(kept, cotangents_of(target), strict=True))


@pytest.mark.parametrize(
    ("forward", "backward", "message"),
    [
        (lambda x: x, lambda dy, _: dy, r"must return a pair \(outputs, cache\), got an array"),
        (lambda x: (x.astype(int), 0), lambda dy, _: dy, "output 0 of forward has dtype int64"),
        (lambda x: (x, 0), lambda *_: None, "must return the gradients as a tuple or a mapping, got NoneType"),
        (lambda x: (x, 0), lambda dy, _: (dy, dy), r"returned 2 gradients, expected 1: one for each of inputs\[0\]"),
    ],
)
def test_a_forward_or_backward_of_another_form(forward: Any, backward: Any, message: str) -> None:
    """A function of another form would end in an error of ours that says nothing."""
    target = Target.from_vjp(forward, backward, [np.ones(2)])
    with pytest.raises(TargetError, match=message):
        target.draw_cotangents(rng()) or target.grads_at(target.values())


def test_a_forward_that_changes_its_number_of_outputs() -> None:
    """Outputs without a cotangent would be left out of the loss in silence."""
    outputs = [(np.ones(2), np.ones(1)), (np.ones(2),)]
    target = Target.from_vjp(lambda _: (outputs.pop(0), None), lambda *_: (), [np.ones(2)])
    target.draw_cotangents(rng())
    with pytest.raises(TargetError, match="forward returned 1 outputs, and 2 the first time"):
        target.loss_at(target.values())


trees = st.recursive(st.integers(), lambda part: st.lists(part, max_size=3).map(tuple), max_leaves=8)


@given(trees)
def test_unflatten_is_the_way_back(tree: Any) -> None:
    """Cotangents would reach other outputs than their own."""
    assert unflatten(tree, flatten(tree)) == tree
