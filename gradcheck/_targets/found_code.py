"""Targets of code as it is found: one call for all, gradients in attributes, weights updated by it, modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from gradcheck._targets.adapters import CallProblem, ObjectProblem, Selector, UpdateProblem
from gradcheck._targets.attributes import Attributes
from gradcheck._targets.clipping import Clip
from gradcheck._targets.modules import ModuleProblem
from gradcheck._targets.problems import Params, Problem
from gradcheck._targets.stub_optimizer import StubOptimizer


class FoundCode:
    """The ways to make a `Target` that need no change of the code."""

    @classmethod
    def _of(cls, problem: Problem, name: str | None, gates: Sequence[str], clip: Clip | None = None) -> Self:
        target = cls.__new__(cls)
        target._take(problem, name, gates, clip)
        return target

    def _take(self, problem: Problem, name: str | None, gates: Sequence[str], clip: Clip | None = None) -> None:
        raise NotImplementedError

    @classmethod
    def from_call(
        cls,
        f: Callable[[], Any],
        params: Params | Sequence[str],
        *,
        loss: Selector = 0,
        grads: Selector | None = None,
        of: object = None,
        inputs: Any = None,
        reset: Callable[[], object] | None = None,
        name: str | None = None,
        gates: Sequence[str] = (),
        clipped: float | None = None,
        clipped_norm: float | None = None,
    ) -> Self:
        """A target from ``f() -> (loss, gradients)`` that reads the arrays of `params` where they are.

        Args:
            f: Called without arguments, once for each loss with its gradients.
            params: As those of `Target`; or, with `of`, the names of attributes, as in `from_object`.
            loss: Where the loss is in what `f` returns: an index, a key, or a function of it. The first, if not said.
            grads: Where the gradients are: an index, a key, several of them, a slice, or a function. If not said: a
                mapping or sequence behind the loss, or as many arrays as there are parameters, in their order. What
                follows (hidden states, caches) is left aside.
            of: The object, or the module, whose attributes the weights are.
            inputs: As those of `Target`; so are `reset`, `name`, `gates`, `clipped` and `clipped_norm`.

        Raises:
            TargetError: If the parameters cannot be perturbed; in a check, if `f` returns something else.
        """
        clip = Clip.declared(clipped, clipped_norm)
        problem = CallProblem(f, _arrays_of(params, of), loss, grads, inputs, reset)
        return cls._of(problem, name or getattr(f, "__name__", "").replace("<lambda>", ""), gates, clip)

    @classmethod
    def from_object(
        cls,
        obj: object,
        names: Sequence[str],
        *,
        loss: Callable[[], Any],
        backward: Callable[[], object] | None = None,
        grad: str = "d{}",
        zero: bool = True,
        inputs: Any = None,
        reset: Callable[[], object] | None = None,
        name: str | None = None,
        gates: Sequence[str] = (),
        clipped: float | None = None,
        clipped_norm: float | None = None,
    ) -> Self:
        """A target from weights and gradients that are attributes of an object, or variables of a module.

        Args:
            obj: An object, or a module.
            names: The attributes that hold the weights: arrays, or lists of arrays. "lstm.W" and "layers[0].W" lead to
                inner objects. They may be bound anew by the code.
            loss: ``loss() -> float``.
            backward: Called after ``loss()``, what it returns is left aside; None where `loss` does both.
            grad: What the attribute beside each weight is called that holds its gradient: "d{}", "{}_diff".
            zero: Set the gradients to zero before each loss, so that what the code adds up is that of one call.
            inputs: As those of `Target`; so are `reset`, `name`, `gates`, `clipped` and `clipped_norm`.

        Raises:
            TargetError: If there is no such attribute, or it cannot be perturbed; in a check, if a gradient is missing.
        """
        clip = Clip.declared(clipped, clipped_norm)
        problem = ObjectProblem(obj, names, loss, backward, grad, zero, inputs, reset)
        return cls._of(problem, name, gates, clip)

    @classmethod
    def from_update(
        cls,
        step: Callable[[], Any],
        params: Params | Sequence[str],
        *,
        loss: Callable[[], Any] | None = None,
        of: object = None,
        rate: float = 1.0,
        optimizer: StubOptimizer | None = None,
        inputs: Any = None,
        reset: Callable[[], object] | None = None,
        name: str | None = None,
        gates: Sequence[str] = (),
        clipped: float | None = None,
        clipped_norm: float | None = None,
    ) -> Self:
        """A target from code that updates its own weights: the gradient is what they lost. They are put back.

        Args:
            step: ``step()``: the forward, the backward and the update, with plain gradient descent.
            params: As those of `Target`; or, with `of`, the names of attributes, as in `from_object`.
            loss: ``loss() -> float`` before the update; if not given, `step` returns it, alone or first in a tuple.
            of: The object, or the module, whose attributes the weights are: for code that binds them anew.
            rate: The learning rate that `step` updates with. With 1.0 the least is lost to rounding.
            optimizer: A `StubOptimizer` that the code hands its gradients to; these are taken, and no difference.
            inputs: As those of `Target`; so are `reset`, `name`, `gates`, `clipped` and `clipped_norm`.

        Raises:
            TargetError: If the parameters cannot be perturbed; in a check, if no gradient can be told.
        """
        clip = Clip.declared(clipped, clipped_norm)
        problem = UpdateProblem(step, _arrays_of(params, of), loss, rate, optimizer, inputs, reset)
        return cls._of(problem, name, gates, clip)

    @classmethod
    def from_module(
        cls,
        module: Any,
        loss: Callable[[], Any],
        *,
        also: Mapping[str, Any] | None = None,
        inputs: Any = None,
        reset: Callable[[], object] | None = None,
        name: str | None = None,
        gates: Sequence[str] = (),
        clipped: float | None = None,
        clipped_norm: float | None = None,
    ) -> Self:
        """A target from a `torch.nn.Module`, for the backward of a `torch.autograd.Function` inside it.

        The loss is asked for without a graph, the gradients are those that ``loss().backward()`` leaves. Module,
        `.grad` and `requires_grad` are as they were after each call.

        Args:
            module: Its parameters that require a gradient are checked, where they are in memory; in float64 if
                possible: ``module.double()``.
            loss: ``loss() -> tensor`` of one number, with its graph: ``lambda: module(x).pow(2).sum()``.
            also: Other tensors whose gradients are checked, by name: inputs, initial states.
            inputs: As those of `Target`, tensors too; so are `reset`, `name`, `gates`, `clipped` and `clipped_norm`.

        Raises:
            TargetError: If it is no module, no parameter requires a gradient, or one is not in the memory of the CPU;
                in a check, if `loss` returns no tensor with a graph.
        """
        clip = Clip.declared(clipped, clipped_norm)
        problem = ModuleProblem(module, loss, also, inputs, reset)
        return cls._of(problem, name, gates, clip)


def _arrays_of(params: Any, of: object) -> Any:
    return params if of is None else Attributes(of, params)
