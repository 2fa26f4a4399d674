"""Modules of torch: the loss as the module gives it, the gradients as ``loss.backward()`` leaves them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gradcheck._common.errors import TargetError
from gradcheck._common.libraries import as_numpy, is_tensor
from gradcheck._common.surely import surely
from gradcheck._targets.problems import InPlaceProblem, asked
from gradcheck._targets.validation import describe


class ModuleProblem(InPlaceProblem):
    """The parameters of a module that take part in its graph, and other tensors beside them.

    The module is as it was after each call: buffers such as running means, the mode, `.grad` and `requires_grad`.
    """

    def __init__(
        self,
        module: Any,
        loss: Callable[[], Any],
        also: Mapping[str, Any] | None = None,
        inputs: Any = None,
        reset: Callable[[], object] | None = None,
    ) -> None:
        self._module = _module(module)
        super().__init__(_trained(module, also or {}), loss, self._differentiated, inputs, reset)

    def functions(self) -> list[object]:
        return [self.loss, self._reset, *self.tensors().values()]

    def run_loss(self) -> Any:
        """The loss by the module, without a graph."""
        with self._module_kept(), _torch().no_grad():
            return super().run_loss()

    def run_grads(self) -> Any:
        """The gradients that a backward through the graph of the loss leaves; zeros where it leaves none."""
        tensors = self.tensors()
        with self._module_kept(), self._gradients_apart(tensors):
            self.grads()
            return {name: as_numpy(_gradient(tensor)) for name, tensor in tensors.items()}

    def _differentiated(self) -> None:
        """The loss, and the backward through its graph."""
        with _torch().enable_grad():
            value = asked("loss()", self.loss)
            if not is_tensor(value) or not value.requires_grad:
                raise TargetError(
                    f"loss() returned {_in_words(value)}: return the tensor itself, with its graph, as in "
                    "loss=lambda: module(x).pow(2).sum(), without .item(), .detach() or torch.no_grad()"
                )
            if value.numel() == 1:  # of any other shape a law tells
                asked("loss().backward()", value.reshape(()).backward)

    @contextmanager
    def _gradients_apart(self, tensors: dict[str, Any]) -> Iterator[None]:
        """Every parameter takes part in the graph and has no gradient; the user's are put back."""
        before = {name: (tensor.requires_grad, tensor.grad) for name, tensor in tensors.items()}

        def put_back() -> None:
            for name, tensor in tensors.items():
                requires_grad, tensor.grad = before[name]
                tensor.requires_grad_(requires_grad)

        try:
            for tensor in tensors.values():
                tensor.requires_grad_(True)
                tensor.grad = None
            yield
        finally:
            surely(put_back)

    @contextmanager
    def _module_kept(self) -> Iterator[None]:
        """Buffers, such as running means, and the mode are as they were at the end."""
        modes = [(one, one.training) for one in self._module.modules()]
        buffers = [(one, one.detach().clone()) for one in self._module.buffers()]

        def put_back() -> None:
            for one, mode in modes:
                one.training = mode
            for buffer, contents in buffers:
                buffer.detach().copy_(contents)

        try:
            yield
        finally:
            surely(put_back)


def _torch() -> Any:
    """The library: who has a module has imported it."""
    return sys.modules["torch"]


def _module(value: Any) -> Any:
    if not hasattr(value, "named_parameters") or "torch" not in sys.modules:
        raise TargetError(
            f"module is {describe(value)}: expected a torch.nn.Module, as in "
            "Target.from_module(net, lambda: net(x).pow(2).sum())"
        )
    return value


def _trained(module: Any, also: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors whose gradients are checked, by name."""
    found = {name: tensor for name, tensor in module.named_parameters() if tensor.requires_grad}
    for name, tensor in also.items():
        if not is_tensor(tensor) or not tensor.is_leaf:
            raise TargetError(
                f"also[{name!r}] is {describe(tensor)}: expected a tensor that the loss reads and nothing calculates, "
                "such as an input"
            )
        if name in found:
            raise TargetError(f"also: {name!r} is a parameter of the module already; use another name")
    found |= dict(also)
    if not found:
        raise TargetError(
            f"{type(module).__name__} has no parameter with requires_grad: unfreeze one, name a tensor as in "
            'also={"x": x}, or, where the backward is written by hand, use Target(dict(module.named_parameters()), '
            "loss, grads)"
        )
    return found


def _gradient(tensor: Any) -> Any:
    return _torch().zeros_like(tensor) if tensor.grad is None else tensor.grad


def _in_words(value: Any) -> str:
    return "a tensor without a graph" if is_tensor(value) else describe(value)
