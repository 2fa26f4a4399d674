"""What a target hands to the checker, and that it hands everything back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gradcheck import Target, TargetError, UserCodeError
from tests.gradcheck.networks import Rnn, rnn_backward, rnn_forward, sine


def rng() -> np.random.Generator:
    """The same numbers in every test."""
    return np.random.default_rng(0)


def test_values_are_copies() -> None:
    """The base point of a check would move along with the perturbations."""
    w = np.ones(2)
    values = sine(w).values()
    values["w"][:] = 7.0
    assert w.tolist() == [1.0, 1.0]


def test_the_loss_is_asked_at_the_values_given() -> None:
    """A perturbation would not reach the loss."""
    target = sine(np.zeros(2))
    assert target.loss_at({"w": np.array([0.5, 1.0])}) == np.sin([0.5, 1.0]).sum()
    assert target.grads_at({"w": np.array([0.5, 1.0])})["w"].tolist() == np.cos([0.5, 1.0]).tolist()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_preserved_puts_everything_back(error: type[BaseException]) -> None:
    """A check that ends early would leave perturbed weights or other inputs behind."""
    model = Rnn(rng())
    arrays = {**model.params, **model.inputs}
    before = {name: array.tobytes() for name, array in arrays.items()}
    target = model.target()

    def spoilt() -> None:
        with target.preserved():
            target.loss_at({name: value + 1 for name, value in target.values().items()})
            model.inputs["x"][:] = 0.0
            raise error

    with pytest.raises(error):
        spoilt()
    assert {name: array.tobytes() for name, array in arrays.items()} == before
    assert all(model.params[name] is array for name, array in arrays.items() if name in model.params)


def test_complex_values_are_in_the_mapping_for_the_call_alone() -> None:
    """After a complex step the mapping would hold another array than before, or the loss would not have seen it."""
    w = np.array([1.0, 2.0])
    seen: list[Any] = []
    params = {"w": w}
    target = Target(params, lambda: seen.append(params["w"]) or params["w"].sum(), dict)
    assert target.takes_complex
    assert target.loss_at({"w": w + 1j}) == 3 + 2j
    assert seen[0].dtype == complex
    assert params["w"] is w


def test_the_mapping_is_restored_when_the_loss_refuses_complex_values() -> None:
    """Code that takes no complex numbers would be left with them."""
    w = np.array([1.0])
    params = {"w": w}
    target = Target(params, lambda: math.sin(params["w"][0].item()), dict)
    with pytest.raises(UserCodeError, match="TypeError"):
        target.loss_at({"w": w + 1j})
    assert params["w"] is w


@pytest.mark.parametrize("how", ["each", "all"])
def test_params_as_functions_follow_code_that_binds_anew(how: str) -> None:
    """A model that rebinds its weights would be perturbed in arrays that it no longer reads."""

    class Model:
        w = np.array([1.0, 2.0])

    model = Model()
    params = {"w": lambda: model.w} if how == "each" else lambda: {"w": model.w}
    target = Target(params, lambda: float((model.w**2).sum()), lambda: {"w": 2 * model.w})
    first = model.w
    assert not target.takes_complex
    with target.preserved():
        target.loss_at({"w": np.array([3.0, 4.0])})
        model.w = np.zeros(2)
        assert target.loss_at({"w": np.array([3.0, 4.0])}) == 25.0
    assert model.w.tolist() == first.tolist() == [1.0, 2.0]


def test_changed_names_what_a_call_overwrote() -> None:
    """A loss that writes into its weights or inputs would go unnoticed."""
    w, v, x = np.ones(2), np.ones(2), np.ones(3)

    def loss() -> float:
        w[0] += 1
        x[2] = 0
        return 0.0

    target = Target({"w": w, "v": v}, loss, dict, inputs={"x": x})
    target.loss_at({"w": np.ones(2), "v": np.ones(2)})
    assert target.names_changed_by_last_call() == ["w", "x"]


def test_reset_comes_before_each_loss() -> None:
    """Hidden state would carry over from one perturbation to the next, or be gone between loss() and grads()."""
    calls: list[str] = []
    target = Target(
        {"w": np.ones(1)},
        lambda: calls.append("loss") or 0.0,
        lambda: calls.append("grads") or {},
        reset=lambda: calls.append("reset"),
    )
    target.loss_at(target.values())
    target.grads_at(target.values())
    assert calls == ["reset", "loss", "reset", "loss", "grads"]


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        (None, []),
        (np.ones(2), ["inputs"]),
        ([np.ones(2), np.ones(1)], ["inputs[0]", "inputs[1]"]),
        ({"x": np.ones(2), 3: np.ones(1)}, ["x", "3"]),
    ],
)
def test_inputs_in_any_form(inputs: Any, names: list[str]) -> None:
    """Inputs handed over alone or in a list would not be looked at."""
    assert list(sine(np.ones(2), inputs=inputs).inputs()) == names


@pytest.mark.parametrize(
    "make",
    [
        lambda: Target({"w": np.ones(1)}, 3.0, dict),
        lambda: Target({"w": np.ones(1)}, lambda: 0.0, {"w": 1}),
        lambda: Target({"w": np.ones(1)}, lambda: 0.0, dict, reset=np.zeros(2)),
        lambda: Target([np.ones(1)], lambda: 0.0, dict),
        lambda: Target(lambda: np.ones(1), lambda: 0.0, dict),
        lambda: Target({}, lambda: 0.0, dict),
        lambda: Target.from_function(None, {"w": np.ones(1)}),
        lambda: Target.from_function(lambda _: None, [np.ones(1)]),
        lambda: Target.from_vjp(rnn_forward, None, [np.ones(1)]),
        lambda: Target.from_vjp(rnn_forward, rnn_backward, np.ones(1)),
        lambda: Target.from_vjp(rnn_forward, rnn_backward, []),
        lambda: sine(np.ones(1), inputs=[1, 2]),
        lambda: sine(np.ones(1), gates=4),
        lambda: sine(np.ones(1), gates=[1, 2]),
        lambda: sine(np.ones(1), inputs={"x": np.broadcast_to(1.0, 3)}),
    ],
)
def test_arguments_of_another_kind_are_refused_at_once(make: Any) -> None:
    """A wrong argument would be noticed in the middle of a check, in a place that does not name it."""
    with pytest.raises(TargetError, match=r"must|is empty|takes|read-only") as caught:
        make()
    assert "\n" not in str(caught.value)
