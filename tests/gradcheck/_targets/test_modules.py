"""Modules of torch: the right gradients, refusals in one line, and everything as it was."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import Target, TargetError

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gradcheck[torch]'")
pytestmark = pytest.mark.oracle


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Iterator[None]:
    """A user would be shown warnings of torch's on what the checker does."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


class Twice(torch.autograd.Function):
    """y = 2 x, with a backward that may be wrong."""

    factor = 2.0

    @staticmethod
    def forward(ctx, x):  # noqa: ARG004 - as torch calls it
        return 2 * x

    @staticmethod
    def backward(ctx, dy):  # noqa: ARG004 - as torch calls it
        return Twice.factor * dy


class Net(torch.nn.Module):
    """Everything that has to be put back: running means, dropout, the mode, a frozen parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.dropout = torch.nn.Dropout(0.5)
        self.frozen = torch.nn.Parameter(torch.ones(4), requires_grad=False)

    def forward(self, x: Any) -> Any:
        self.train()
        return Twice.apply(self.dropout(self.norm(self.linear(x)))) * self.frozen


def made(seed: int = 0) -> tuple[Any, Any]:
    """A network in float64 and its input."""
    torch.manual_seed(seed)
    return Net().double(), torch.randn(5, 3, dtype=torch.float64)


def contents(net: Any) -> dict[str, Any]:
    """All numbers of a module."""
    return {name: one.detach().clone() for name, one in net.state_dict().items()}


def test_a_right_module_is_right_and_a_wrong_one_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients would be compared with a loss that draws another mask, or moves its running means."""
    net, x = made()
    report = gradcheck.check(Target.from_module(net, lambda: net(x).pow(2).sum(), also={"x": x}))
    assert {name: one.verdict for name, one in report.blocks.items() if name != "linear.bias"} == {
        "linear.weight": "right",
        "norm.weight": "right",
        "norm.bias": "right",
        "x": "right",
    }
    assert report.blocks["linear.bias"].verdict in ("vacuous", "inconclusive", "right")  # a norm takes it out again
    monkeypatch.setattr(Twice, "factor", 2.1)
    report = gradcheck.check(Target.from_module(net, lambda: net(x).pow(2).sum()))
    assert report.blocks["linear.weight"].verdict == "wrong"


@pytest.mark.parametrize("raises", [False, True], ids=["right", "raising"])
def test_all_is_as_it_was(raises: bool) -> None:
    """A check would leave a module with other weights, gradients, running means, or in another mode."""
    net, x = made()
    net.eval()
    kept = torch.ones_like(net.linear.weight)
    net.linear.weight.grad = kept
    before, state, calls = contents(net), torch.get_rng_state(), []

    def loss() -> Any:
        calls.append(1)
        if raises and len(calls) > 4:
            raise RuntimeError("half way")
        return net(x).pow(2).sum()

    target = Target.from_module(net, loss, also={"x": x})
    if raises:
        with pytest.raises(TargetError, match="half way"):
            gradcheck.check(target)
    else:
        gradcheck.check(target)
    assert all(torch.equal(one, before[name]) for name, one in net.state_dict().items())
    assert net.linear.weight.grad is kept
    assert torch.equal(kept, torch.ones_like(kept))
    assert net.linear.bias.grad is None
    assert x.grad is None
    assert (x.requires_grad, net.frozen.requires_grad, net.linear.weight.requires_grad) == (False, False, True)
    assert not any(one.training for one in net.modules())
    assert torch.equal(torch.get_rng_state(), state)


def test_parameters_are_perturbed_where_they_are() -> None:
    """The loss would not follow a copy, and every gradient be called wrong."""
    net, x = made()
    target = Target.from_module(net, lambda: net(x).sum())
    with target.preserved():
        target.move_to({name: np.zeros_like(one) for name, one in target.values().items()})
        assert not net.linear.weight.any()
    assert net.linear.weight.any()


def test_single_precision_is_told() -> None:
    """A user would take a weak check for a strong one."""
    net, x = made()
    net, x = net.float(), x.float()
    report = gradcheck.check(Target.from_module(net, lambda: net(x).pow(2).sum()))
    assert "low precision: the loss is calculated in float32; for a sharper check build the module in float64" in str(
        report.notes
    )


def test_tensors_of_a_plain_target_have_their_gradients_put_back() -> None:
    """A grads() that calls backward() would leave `.grad` behind, or add to the user's."""
    w = torch.arange(1.0, 4.0, dtype=torch.float64, requires_grad=True)
    w.grad = kept = torch.full((3,), 5.0, dtype=torch.float64)

    def grads() -> Any:
        w.grad = None
        (w**3).sum().backward()
        return [w.grad]

    report = gradcheck.check(Target({"w": w}, lambda: (w**3).sum(), grads))
    assert report.ok, report
    assert w.grad is kept
    assert kept.tolist() == [5.0] * 3
    assert w.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("module", "loss", "also", "said"),
    [
        (object(), None, None, r"expected a torch\.nn\.Module, as in Target\.from_module\(net"),
        (torch.nn.ReLU(), None, None, r"ReLU has no parameter with requires_grad.*also=\{\"x\": x\}"),
        (None, None, {"x": 3}, r"also\['x'\] is int 3: expected a tensor"),
        (None, None, {"linear.bias": torch.ones(1)}, "'linear.bias' is a parameter of the module already"),
        (None, lambda net, x: net(x).sum().item(), None, r"loss\(\) returned float .*without \.item\(\)"),
        (None, lambda net, x: net(x).detach().sum(), None, "a tensor without a graph: return the tensor itself"),
    ],
)
def test_a_refusal_says_what_was_given_and_what_to_write(module: Any, loss: Any, also: Any, said: str) -> None:
    """A user would read an error of torch's, and not what to change."""
    net, x = made()
    with pytest.raises(TargetError, match=said) as caught:
        gradcheck.check(
            Target.from_module(
                net if module is None else module,
                lambda: net(x).sum() if loss is None else loss(net, x),
                also=also,
            )
        )
    assert "\n" not in str(caught.value)


def test_a_loss_that_is_no_number_breaks_the_law() -> None:
    """torch's own error on backward() of many numbers would end the check."""
    net, x = made()
    report = gradcheck.check(Target.from_module(net, lambda: net(x)))
    assert not report.laws["scalar"].holds
