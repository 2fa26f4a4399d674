"""Code as it is found is checked without a wrapper, and is left as it was found."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import StubOptimizer, Target, TargetError
from gradcheck._targets.adapters import selected
from tests.gradcheck._targets import found_code
from tests.gradcheck._targets.found_targets import ALL, of_call


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_right_code_is_right(make: Any) -> None:
    """Somebody with right code would have to write a wrapper, or be told that it is wrong."""
    report = gradcheck.check(make())
    assert report.ok, str(report)
    assert report.scheme == "complex step"


def test_code_that_prints_is_heard_once_at_each_size(capsys: pytest.CaptureFixture[str]) -> None:
    """A loss that prints would fill the terminal, or a user would miss what it says."""
    report = gradcheck.check(of_call())
    assert capsys.readouterr().out.count("loss") == len(report.trials) < report.evaluations


def test_what_a_call_prints_is_silenced(capsys: pytest.CaptureFixture[str]) -> None:
    """A search for lines would print every loss that it tries."""
    found_code.Wx = found_code.Wh = np.eye(2)
    target = Target.from_call(
        lambda: found_code.in_one_function(np.ones((3, 2)), np.zeros(2), np.zeros(2)),
        {"Wx": found_code.Wx.copy(), "Wh": np.eye(2)},
    )
    target.loss_at(target.values())
    assert capsys.readouterr().out == ""


# -- from_call ---------------------------------------------------------------------------------------------------------


def square(*extra: Any, order: str = "loss first") -> Any:
    """A function of w = [1, 2] and b = [3] that returns loss and gradients, and its parameters."""
    params = {"w": np.array([1.0, 2.0]), "b": np.array([3.0])}

    def f() -> Any:
        loss, dw, db = float(sum((one**2).sum() for one in params.values())), 2 * params["w"], 2 * params["b"]
        return {
            "loss first": (loss, dw, db, *extra),
            "mapping": (loss, {"w": dw, "b": db}, *extra),
            "list": (loss, [dw, db], *extra),
            "gradients first": ({"b": db, "w": dw}, loss, *extra),
            "all by key": {"loss": loss, "dw": dw, "db": db},
            "too few": (loss, dw),
            "loss alone": loss,
        }[order]

    return f, params


@pytest.mark.parametrize(
    ("f", "selectors"),
    [
        (square(), {}),
        (square("state", "cache"), {}),
        (square(order="mapping"), {}),
        (square("state", order="mapping"), {}),
        (square("state", order="list"), {}),
        (square("state", order="gradients first"), {"loss": 1, "grads": 0}),
        (square("state", order="gradients first"), {"loss": 1}),
        (square(order="all by key"), {"loss": "loss", "grads": ["dw", "db"]}),
        (square("state"), {"grads": slice(1, 3)}),
        (square(), {"loss": lambda all_: all_[0], "grads": lambda all_: {"w": all_[1], "b": all_[2]}}),
    ],
)
def test_loss_and_gradients_are_found_in_what_one_call_returns(f: Any, selectors: dict[str, Any]) -> None:
    """A function that returns all at once would need a wrapper."""
    target = Target.from_call(*f, **selectors)
    values = {"w": np.array([1.0, -1.0]), "b": np.array([0.5])}
    assert target.loss_at(values) == 2.25
    found = target.grads_at(values)
    assert {name: found[name].tolist() for name in found} == {"w": [2.0, -2.0], "b": [1.0]}


@pytest.mark.parametrize(
    ("f", "selectors", "message"),
    [
        (
            square(order="too few"),
            {},
            r"f\(\) returned 1 gradient, expected 2 in the order of params: one for each of w, b",
        ),
        (square(order="loss alone"), {}, r"f\(\) returned float 14.0, in which loss=0 picks nothing"),
        (square(order="all by key"), {}, r"in which loss=0 picks nothing: pass loss= an index, a key"),
        (square(), {"grads": "dw"}, r"f\(\) returned a tuple of 3, in which grads='dw' picks nothing"),
        ((lambda: (1.0,), {"w": np.ones(1)}), {}, r"expected \(loss, gradients\).*use Target.from_object"),
    ],
)
def test_what_a_call_returns_otherwise_is_told(f: Any, selectors: dict[str, Any], message: str) -> None:
    """The user would see an IndexError of ours."""
    target = Target.from_call(*f, **selectors)
    with pytest.raises(TargetError, match=message):
        target.grads_at(target.values())


def test_a_call_is_made_once_for_loss_and_gradients() -> None:
    """A mask drawn in the call would be another one in the gradients than in the loss."""
    calls: list[int] = []
    w = np.ones(1)
    target = Target.from_call(lambda: calls.append(1) or (1.0, 2 * w), {"w": w})
    target.grads_at(target.values())
    assert len(calls) == 1


def test_selected_takes_several() -> None:
    """Gradients that stand apart in a tuple could not be picked."""
    assert selected((1, 2, 3), (0, 2), "grads") == [1, 3]


# -- from_object -------------------------------------------------------------------------------------------------------


class Net:
    """A square with an accumulator, which is not there at first."""

    def __init__(self) -> None:
        self.w = np.array([1.0, 2.0])
        self.inner = SimpleNamespace(v=np.array([3.0]), dv=np.array([7.0]))

    def loss(self) -> float:
        """w.w + v.v."""
        return float((self.w**2).sum() + (self.inner.v**2).sum()) if self.w.dtype != complex else self._complex()

    def _complex(self) -> Any:
        return (self.w**2).sum() + (self.inner.v**2).sum()

    def backward(self) -> None:
        """Adds up."""
        self.dw = 2 * self.w
        self.inner.dv += 2 * self.inner.v


def test_accumulators_begin_at_zero_and_all_is_put_back() -> None:
    """Gradients of one call would be added to those of the last, or the user's object be left with ours."""
    net = Net()
    w, dv = net.w, net.inner.dv
    report = gradcheck.check(Target.from_object(net, ["w", "inner.v"], loss=net.loss, backward=net.backward))
    assert report.ok, str(report)
    assert net.w is w
    assert w.tolist() == [1.0, 2.0]
    assert net.inner.dv is dv
    assert dv.tolist() == [7.0]
    assert not hasattr(net, "dw")


def test_without_zero_what_adds_up_is_told() -> None:
    """A user who wants to know whether their code sets accumulators to zero would not be told."""
    net = Net()
    net.inner.dv[:] = 0
    report = gradcheck.check(Target.from_object(net, ["inner.v"], loss=net.loss, backward=net.backward, zero=False))
    assert not report.laws["statelessness"].holds


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_object_is_as_it_was_after_an_error(error: type[BaseException]) -> None:
    """Ctrl-C would leave half a gradient in the user's object."""
    net = Net()

    def backward() -> None:
        net.backward()
        net.w = np.zeros(5)
        raise error

    target = Target.from_object(net, ["w", "inner.v"], loss=net.loss, backward=backward)
    with pytest.raises((error, TargetError)), target.preserved():
        target.grads_at(target.values())
    assert net.w.tolist() == [1.0, 2.0]
    assert net.inner.dv.tolist() == [7.0]
    assert not hasattr(net, "dw")


def test_variables_of_a_module_are_weights() -> None:
    """Code with global weights, as in a script, would need a wrapper."""
    module = ModuleType("script")
    module.W, module.W_grad = np.array([2.0]), [np.zeros(1)]  # type: ignore[attr-defined]
    module.W = [module.W]

    def forward_backward() -> float:
        module.W_grad[0] += 2 * module.W[0]
        return float(module.W[0][0] ** 2)

    target = Target.from_object(module, ["W"], loss=forward_backward, grad="{}_grad")
    assert target.grads_at(target.values())["W[0]"].tolist() == [4.0]
    assert target.grads_at(target.values())["W[0]"].tolist() == [4.0]


def test_a_gradient_that_is_its_weight_does_not_make_the_weight_zero() -> None:
    """Setting the gradients to zero would change the point that is checked."""
    net = SimpleNamespace(w=np.array([2.0]), dw=None)

    def backward() -> None:
        net.dw = net.w

    target = Target.from_object(net, ["w"], loss=lambda: float(net.w[0] ** 2), backward=backward)
    target.grads_at(target.values())
    assert target.loss_at(target.values()) == 4.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ["ww"]}, "the Net has no attribute 'ww'; did you mean w?"),
        ({"names": "w"}, r'names must be a list of attributes, as in \["W", "b"\], got str'),
        ({"names": ["w.."]}, "'w..' names no attribute"),
        ({"names": ["w"], "grad": "dw"}, "grad='dw': expected a pattern with {} for the weight's name"),
        ({"names": ["inner.v[3]"]}, "is not there"),
    ],
)
def test_names_that_lead_nowhere_are_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    """The user would learn of a slip in a name from a traceback of ours."""
    net = Net()
    with pytest.raises(TargetError, match=message):
        Target.from_object(net, loss=net.loss, backward=net.backward, **arguments)


def test_a_gradient_of_another_name_is_told() -> None:
    """The user would be told that a gradient is missing, and not how to name it."""
    net = Net()
    target = Target.from_object(net, ["w"], loss=net.loss, backward=net.backward, grad="{}_grad")
    with pytest.raises(TargetError, match=r'the Net has no w_grad .* grad=\'{}_grad\' says .* grad="{}_grad"'):
        target.grads_at(target.values())


# -- from_update -------------------------------------------------------------------------------------------------------


def updating(rate: float, *, anew: bool) -> Any:
    """An object that descends, in place or with arrays of its own."""
    net = SimpleNamespace(w=np.array([1.0, 2.0]))

    def step() -> float:
        loss = float((net.w**2).sum())
        if anew:
            net.w = net.w - rate * 2 * net.w
        else:
            net.w -= rate * 2 * net.w
        return loss

    return net, step


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("rate", [1.0, 0.25])
def test_the_gradient_is_what_the_weights_lost(rate: float, anew: bool) -> None:
    """Code that updates its own weights could not be checked, or would go on descending."""
    net, step = updating(rate, anew=anew)
    w = net.w
    target = Target.from_update(step, ["w"], of=net, rate=rate)
    values = {"w": np.array([0.5, -1.0])}
    with target.preserved():
        assert target.loss_at(values) == 1.25
        assert target.grads_at(values)["w"].tolist() == [1.0, -2.0]
        assert target.names_changed_by_last_call() == []
    assert net.w is w
    assert w.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_weights_are_put_back_when_a_step_fails(error: type[BaseException]) -> None:
    """The user's network would have taken a step."""
    net, step = updating(1.0, anew=True)

    def failing() -> float:
        step()
        raise error

    target = Target.from_update(failing, ["w"], of=net)
    w = net.w
    with pytest.raises((error, TargetError)), target.preserved():
        target.loss_at({"w": np.array([0.5, -1.0])})
    assert net.w is w
    assert w.tolist() == [1.0, 2.0]


def test_an_optimizer_that_only_keeps_takes_arrays_lists_and_mappings() -> None:
    """Code that hands its optimizer all weights at once would need another stub."""
    a, b = np.ones(1), np.ones(2)
    stub = StubOptimizer()
    assert stub.update([a, b], [2 * a, 3 * b])[0] is a
    stub({"a": a}, {"a": 4 * a})
    stub(b, 5 * b, "name", 0.1)
    assert [(weight is a, gradient.tolist()) for weight, gradient in stub.handed] == [
        (True, [2.0]), (False, [3.0, 3.0]), (True, [4.0]), (False, [5.0, 5.0]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 0}, "rate=0: expected the learning rate"),
        ({"optimizer": object()}, "expected the gradcheck.StubOptimizer that the code was given"),
    ],
)
def test_update_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    """A gradient would be divided by zero, or never arrive."""
    net, step = updating(1.0, anew=False)
    with pytest.raises(TargetError, match=message):
        Target.from_update(step, ["w"], of=net, **arguments)


def test_a_step_without_a_loss_and_an_optimizer_without_gradients_are_told() -> None:
    """Everything would be vacuous, without a reason."""
    net, step = updating(1.0, anew=False)
    target = Target.from_update(lambda: None, ["w"], of=net)
    with pytest.raises(TargetError, match=r"step\(\) returned None: return the loss from it, or pass loss="):
        target.loss_at(target.values())
    target = Target.from_update(step, ["w"], of=net, optimizer=StubOptimizer())
    with pytest.raises(TargetError, match="the optimizer was handed none of w: it got nothing"):
        target.grads_at(target.values())
