"""Each `torch.autograd.Function` of the user's that a run applies, as a case of its own.

Its forward is run as plain code, so that torch differentiates that; its backward is called with what the forward
saved. Both are run in float64, whatever the module is in.
"""

from __future__ import annotations

import inspect
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import numpy as np

from gradcheck._autodiff.case import Case
from gradcheck._autodiff.torch_library import TorchLibrary
from gradcheck._common.arrays import Array
from gradcheck._common.user_files import is_user_file
from gradcheck._usercode.profiling import run_profiled

#: applications of one function that are kept: the last ones, which have the most before them
MOST_CALLS = 4


class Context:
    """What a Function is handed in the place of torch's context."""

    def __init__(self, needs: Sequence[bool]) -> None:
        """Nothing is saved yet."""
        self.needs_input_grad = tuple(needs)
        self.saved_tensors: tuple[Any, ...] = ()
        #: identities of outputs that have no gradient
        self.without_gradient: set[int] = set()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep them."""
        self.saved_tensors = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """For a mode that is not used here."""

    def mark_dirty(self, *tensors: Any) -> None:
        """For the sake of torch's own graph."""

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """These outputs have no gradient."""
        self.without_gradient |= {id(one) for one in tensors}

    def set_materialize_grads(self, value: bool) -> None:
        """Every output is used here, so that there is nothing to materialize."""


@dataclass
class _Applied:
    """The arguments of one application."""

    function: Any
    arguments: list[Any]


@dataclass
class Rule:
    """A Function and its run: which arguments have a gradient, and the cotangents."""

    function: Any
    arguments: list[Any]
    differentiable: list[int]
    cotangents: list[Array] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """What the arguments are called that have a gradient."""
        names = _argument_names(self.function)
        return [names[i] if i < len(names) else f"argument {i + 1}" for i in self.differentiable]

    def run(self, arrays: Sequence[Any]) -> tuple[Any, list[Any]]:
        """The loss, which is the outputs contracted with cotangents, and the gradients that the backward returns."""
        torch = sys.modules["torch"]
        arguments = [one.clone() if isinstance(one, torch.Tensor) else one for one in self.arguments]
        for index, array in zip(self.differentiable, arrays, strict=True):
            arguments[index] = array * 1  # a forward may change it in place, which torch allows of no leaf
        context = Context([i in self.differentiable for i in range(len(arguments))])
        outputs = self._forward(context, arguments)
        several = outputs if isinstance(outputs, tuple) else (outputs,)
        cotangents = self._cotangents(several, context)
        loss = sum((one * ct).sum() for one, ct in zip(several, cotangents, strict=True) if ct is not None)
        handed = [torch.zeros_like(one) if ct is None else ct for one, ct in zip(several, cotangents, strict=True)]
        returned = inspect.unwrap(self.function.backward)(context, *handed)
        gradients = returned if isinstance(returned, tuple) else (returned,)
        return loss, [_or_zeros(gradients, i, array) for i, array in zip(self.differentiable, arrays, strict=True)]

    def _forward(self, context: Context, arguments: list[Any]) -> Any:
        if "setup_context" not in vars(self.function):
            return self.function.forward(context, *arguments)
        outputs = self.function.forward(*arguments)
        self.function.setup_context(context, tuple(arguments), outputs)
        return outputs

    def _cotangents(self, outputs: Sequence[Any], context: Context) -> list[Any]:
        """The same for each run, drawn at the first; None for outputs without a gradient."""
        torch = sys.modules["torch"]
        found: list[Any] = []
        rng = np.random.default_rng(2)
        for one in outputs:
            has_gradient = (
                isinstance(one, torch.Tensor) and one.is_floating_point() and id(one) not in context.without_gradient
            )
            found.append(
                torch.from_numpy(rng.standard_normal(tuple(one.shape))).to(one.dtype) if has_gradient else None
            )
        return found


def torch_cases(run: Callable[[], object]) -> list[Case]:
    """A case of each Function that a run of a loss and its gradients applies, with others at other values."""
    torch = sys.modules.get("torch")
    applied: dict[Any, deque[_Applied]] = {}
    codes = {id(code): function for code, function in _functions()}  # code of another file may be equal

    def watch(frame: FrameType, event: str, _: object) -> None:
        function = codes.get(id(frame.f_code)) if event == "call" else None
        if function is not None and torch is not None:
            call = _Applied(function, _arguments(frame, function))
            if any(isinstance(one, torch.Tensor) and one.requires_grad for one in call.arguments):
                applied.setdefault(function, deque(maxlen=MOST_CALLS)).append(call)

    if codes and torch is not None:
        run_profiled(run, watch)
    cases = [_case(list(calls)) for calls in applied.values()]
    return [case for case in cases if case is not None]


def _functions() -> Iterator[tuple[CodeType, Any]]:
    """The Functions of the user's, by the code of their forward."""
    waiting = list(sys.modules["torch"].autograd.Function.__subclasses__()) if "torch" in sys.modules else []
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        code = getattr(inspect.unwrap(one.forward), "__code__", None)
        if code is not None and is_user_file(code.co_filename):
            yield code, one


def _arguments(frame: FrameType, function: Any) -> list[Any]:
    """The arguments that a forward was called with, tensors as copies; without the context."""
    code, torch = frame.f_code, sys.modules["torch"]
    found = [frame.f_locals[name] for name in code.co_varnames[: code.co_argcount]]
    if code.co_flags & inspect.CO_VARARGS:
        found += frame.f_locals[code.co_varnames[code.co_argcount + code.co_kwonlyargcount]]
    found = found if "setup_context" in vars(function) else found[1:]
    return [_copied(one) if isinstance(one, torch.Tensor) else one for one in found]


def _copied(tensor: Any) -> Any:
    found = tensor.detach().clone()
    return found.requires_grad_(True) if tensor.requires_grad and found.is_floating_point() else found


def _argument_names(function: Any) -> list[str]:
    code = inspect.unwrap(function.forward).__code__
    names = list(code.co_varnames[: code.co_argcount])
    return names if "setup_context" in vars(function) else names[1:]


def _case(calls: Sequence[_Applied]) -> Case | None:
    """The case of the last application, which has the most behind it; the others beside it, and at moved values."""
    made = [one for call in reversed(calls) if (one := _of_call(call)) is not None]
    if not made:
        return None
    rng = np.random.default_rng(3)
    first = made[0]
    first.others = [*made[1:], _moved(first, rng)]
    return first


def _of_call(call: _Applied) -> Case | None:
    torch = sys.modules["torch"]
    tensors = [i for i, one in enumerate(call.arguments) if isinstance(one, torch.Tensor)]
    differentiable = [i for i in tensors if call.arguments[i].requires_grad]
    if not differentiable:
        return None
    arguments = [
        one.detach().double() if isinstance(one, torch.Tensor) and one.is_floating_point() else one
        for one in call.arguments
    ]
    library = TorchLibrary()
    rule = Rule(call.function, arguments, differentiable)
    inputs = [library.numpy(arguments[i]) for i in differentiable]
    backward = inspect.unwrap(call.function.backward)
    return Case(library, call.function.__name__, rule.names, inputs, rule.run, returns=backward)


def _moved(case: Case, rng: np.random.Generator) -> Case:
    """The same at other values: each moved by a tenth of its size."""
    inputs = [one * (1 + 0.1 * rng.uniform(-1, 1, one.shape)) for one in case.inputs]
    return Case(case.library, case.name, case.names, inputs, case.run, returns=case.returns)


def _or_zeros(gradients: Sequence[Any], index: int, array: Any) -> Any:
    torch = sys.modules["torch"]
    found = gradients[index] if index < len(gradients) else None
    return torch.zeros_like(array) if found is None else found
