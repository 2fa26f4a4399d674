"""Code as it is found: one call that returns all, gradients in attributes, weights that the code updates itself.

Each kind is an `InPlaceProblem` that says how the loss is asked for, and how the gradients. What the code changes on
its way (gradients that add up, weights that it updates or binds anew) is brought back before anybody asks again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from gradcheck._common.arrays import Array, Values, owner_of
from gradcheck._common.errors import TargetError
from gradcheck._common.libraries import as_numpy, shared_with_numpy
from gradcheck._common.surely import surely
from gradcheck._common.wording import comma_separated
from gradcheck._targets.attributes import Attributes, owner_in_words
from gradcheck._targets.problems import InPlaceProblem, Params, asked, copies_of
from gradcheck._targets.structure import leaves
from gradcheck._targets.stub_optimizer import StubOptimizer
from gradcheck._targets.validation import check_callable, describe

#: picks the loss, or the gradients, from what a call returned: an index, a key, several of them, or a function
Selector: TypeAlias = int | str | slice | Sequence[int | str] | Callable[[Any], Any]


class OneCallProblem(InPlaceProblem):
    """Code that calculates the gradients whenever it is asked for the loss."""

    asks_gradients_with: str | None = None

    @contextmanager
    def placed_at(self, values: Values, *, before: Callable[[], None] = lambda: None) -> Iterator[None]:
        """As it is; but of complex values all are: a buffer like one weight takes up the gradient of another."""
        if any(array.dtype.kind == "c" for array in values.values()):
            values = {name: array.astype(np.complex128) for name, array in values.items()}
        with super().placed_at(values, before=before):
            yield


class CallProblem(OneCallProblem):
    """f() -> (loss, gradients): one call gives both."""

    def __init__(
        self,
        f: Callable[[], Any],
        params: Params,
        loss: Selector = 0,
        grads: Selector | None = None,
        inputs: Any = None,
        reset: Callable[[], object] | None = None,
    ) -> None:
        check_callable("f", f, "without arguments, f() -> (loss, gradients)")
        self._select_loss, self._select_grads = loss, grads
        self._result: Any = None
        super().__init__(params, f, f, inputs, reset)

    def run_loss(self) -> Any:
        self._result = asked("f()", self.loss)
        loss = selected(self._result, self._select_loss, "loss")
        self.note_precision(loss)
        return as_numpy(loss)

    def run_grads(self) -> Any:
        result, self._result = self._result, None
        if self._select_grads is not None:
            return self.by_name(selected(result, self._select_grads, "grads"), "f()")
        return self.by_name(_the_rest(result, self._select_loss, self._values()), "f()")


class ObjectProblem(OneCallProblem):
    """Weights and gradients that are attributes of an object, or variables of a module."""

    def __init__(
        self,
        owner: object,
        names: Sequence[str],
        loss: Callable[[], Any],
        backward: Callable[[], object] | None = None,
        grad: str = "d{}",
        zero: bool = True,
        inputs: Any = None,
        reset: Callable[[], object] | None = None,
    ) -> None:
        self._weights = Attributes(owner, names)
        self._gradients = Attributes(owner, [_gradient_name(name, grad) for name in self._weights])
        self._has_backward, self._zero, self._pattern = backward is not None, zero, grad
        super().__init__(self._weights, loss, loss if backward is None else backward, inputs, reset)
        self.asks_gradients_with = None if backward is None else "grads"

    def functions(self) -> list[object]:
        return [*super().functions(), self._gradients]

    @contextmanager
    def placed_at(self, values: Values, *, before: Callable[[], None] = lambda: None) -> Iterator[None]:
        with super().placed_at(values, before=before):
            if any(array.dtype.kind == "c" for array in values.values()) and self._gradients.is_settable:
                with self._complex_gradients():
                    yield
            else:
                yield

    @contextmanager
    def _complex_gradients(self) -> Iterator[None]:
        """Arrays that gradients are added up in take complex numbers; the user's are put back."""
        originals = {name: self._gradients.find(name) for name in self._gradients}
        arrays = {name: one for name, one in originals.items() if isinstance(one, np.ndarray) and one.dtype.kind == "f"}

        def put_back() -> None:
            for name, array in arrays.items():
                self._gradients[name] = array

        try:
            for name, array in arrays.items():
                self._gradients[name] = array.astype(np.complex128)
            yield
        finally:
            surely(put_back)

    def run_loss(self) -> Any:
        if self._zero:
            self._set_to_zero()
        return super().run_loss()

    def run_grads(self) -> Any:
        if self._has_backward:
            asked("backward()", self.grads)
        found = {}
        for name, gradient in zip(self._weights, self._gradients, strict=True):
            found[name] = self._gradients.find(gradient)
            if found[name] is None:
                owner, last = self._gradients.place(gradient)
                raise TargetError(
                    f"{owner_in_words(owner)} has no {last} when the gradients are there: grad={self._pattern!r} says "
                    f'how the gradient of {name} is called; pass the pattern of this code, as in grad="{{}}_grad"'
                )
        return self.by_name(found)

    def _set_to_zero(self) -> None:
        """Gradients begin at zero, in the arrays that hold them, so that what is added up is that of one call."""
        weights = {id(owner_of(array)) for array in self.arrays().values()}
        for name in self._gradients:
            value = self._gradients.find(name)
            if isinstance(value, (int, float)):
                self._gradients[name] = type(value)(0)
            for _, leaf in leaves(name, value):
                array = shared_with_numpy(leaf)
                if isinstance(array, np.ndarray) and array.flags.writeable and id(owner_of(array)) not in weights:
                    array[...] = 0


class UpdateProblem(OneCallProblem):
    """step() updates the weights: the gradient is what they lost, or what the optimizer was handed."""

    def __init__(
        self,
        step: Callable[[], Any],
        params: Params,
        loss: Callable[[], Any] | None = None,
        rate: float = 1.0,
        optimizer: StubOptimizer | None = None,
        inputs: Any = None,
        reset: Callable[[], object] | None = None,
    ) -> None:
        check_callable("step", step, "without arguments that updates the weights")
        if not isinstance(rate, (int, float)) or not rate:
            raise TargetError(f"rate={rate!r}: expected the learning rate that step() updates with, as in rate=1.0")
        if optimizer is not None and not isinstance(optimizer, StubOptimizer):
            raise TargetError(
                f"optimizer is {describe(optimizer)}: expected the gradcheck.StubOptimizer that the code was given"
            )
        self._rate, self._optimizer = rate, optimizer
        self._is_one_call = loss is None
        self._made: Any = None
        #: told of each weight that was updated, with the gradient that follows and the rate: the tape listens
        self.on_update: Callable[[Array, Array, float], None] = lambda *_: None
        super().__init__(params, step if loss is None else loss, step, inputs, reset)
        self.asks_gradients_with = None if loss is None else "grads"

    def run_loss(self) -> Any:
        if not self._is_one_call:
            return super().run_loss()
        result, self._made = self._stepped()
        if result is None:
            raise TargetError("step() returned None: return the loss from it, or pass loss=")
        return as_numpy(result[0] if isinstance(result, tuple) else result)

    def run_grads(self) -> Any:
        made, self._made = self._made, None
        return made if self._is_one_call else self._stepped()[1]

    def _stepped(self) -> tuple[Any, Values]:
        """What step() returned, and the gradients; the weights are as they were."""
        before = copies_of(self.arrays())
        with self._put_back():
            if self._optimizer is None:
                result = asked("step()", self.grads)
                return result, self._differences(before)
            weights = self.arrays()
            self._optimizer.handed.clear()
            result = asked("step()", self.grads)
            return result, _handed_over(self._optimizer, weights)

    def _differences(self, before: Values) -> Values:
        found: Values = {}
        for name, array in self.arrays().items():
            if array.shape != before[name].shape:
                raise TargetError(f"step() made {name} an array of shape {array.shape}, it was {before[name].shape}")
            found[name] = (before[name] - array) / self._rate
            self.on_update(array, found[name], self._rate)
        return found

    @contextmanager
    def _put_back(self) -> Iterator[None]:
        """The weights are the same arrays as before at the end, with the same entries."""
        put_back = self.bring_back()
        try:
            yield
        finally:
            surely(put_back)


def selected(result: Any, selector: Selector, what: str) -> Any:
    """The part of what f() returned that a selector picks.

    Raises:
        TargetError: If there is no such part.
    """
    if callable(selector):
        return selector(result)
    try:
        if isinstance(selector, (list, tuple)):
            return [result[one] for one in selector]
        return result[selector]
    except (LookupError, TypeError) as error:
        raise TargetError(
            f"f() returned {_in_words(result)}, in which {what}={selector!r} picks nothing: "
            f"pass {what}= an index, a key, or a function of what f() returns"
        ) from error


def _the_rest(result: Any, loss: Selector, params: Mapping[str, Any]) -> Any:
    """The gradients behind the loss: one mapping or sequence of them, or as many as there are parameters."""
    if not isinstance(result, (tuple, list)) or len(result) < 2:
        raise TargetError(
            f"f() returned {_in_words(result)}: expected (loss, gradients), or (loss, dW, db, ...); if the gradients "
            "are kept in attributes, use Target.from_object"
        )
    rest = [one for i, one in enumerate(result) if not isinstance(loss, int) or i != loss % len(result)]
    first, wanted = rest[0], next(iter(params.values()))
    if isinstance(first, Mapping) and (not isinstance(wanted, Mapping) or set(first) & set(params)):
        return first
    if isinstance(first, (list, tuple)) and not (isinstance(wanted, (list, tuple)) and len(rest) >= len(params)):
        return first
    return rest[: len(params)]


def _handed_over(optimizer: StubOptimizer, weights: Values) -> Values:
    """The gradients that the optimizer was handed, by the weights that they came with."""
    found: Values = {}
    for name, array in weights.items():
        given = [
            gradient
            for weight, gradient in optimizer.handed
            if weight is array or (weight.shape == array.shape and np.may_share_memory(weight, array))
        ]
        if given:
            found[name] = given[0] if len(given) == 1 else sum(given[1:], given[0])
    if not found:
        shapes = comma_separated([str(np.shape(weight)) for weight, _ in optimizer.handed]) or "nothing"
        raise TargetError(
            f"the optimizer was handed none of {comma_separated(list(weights))}: it got {shapes}; "
            "pass it to the code, and name the arrays that the code updates in params"
        )
    return found


def _gradient_name(name: str, pattern: str) -> str:
    if not isinstance(pattern, str) or pattern.count("{}") != 1:
        raise TargetError(f'grad={pattern!r}: expected a pattern with {{}} for the weight\'s name, as in "d{{}}"')
    owner, dot, last = name.rpartition(".")
    return f"{owner}{dot}{pattern.format(last)}"


def _in_words(result: Any) -> str:
    if isinstance(result, (tuple, list)):
        return f"a {type(result).__name__} of {len(result)}"
    return describe(result)
