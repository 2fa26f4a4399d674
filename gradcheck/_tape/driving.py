"""Runs a target once, step by step, so that what goes in and out can be found on the tape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck._tape.nodes import Array
from gradcheck._target import Target, Values, _FunctionTarget, _VjpTarget, flatten


@dataclass
class Outcome:
    """What a run returned, and the arrays that were handed to it by their labels."""

    loss: Any = None
    #: outputs with the cotangents that they are contracted with, where there is no loss
    outputs: list[tuple[Array, Any]] = field(default_factory=list)
    returned: Any = None
    handed: dict[str, Array] = field(default_factory=dict)


@contextmanager
def preserved(target: Target) -> Iterator[None]:
    """Put back the target's arrays and what it remembers of the last call."""
    given = dict(target._given)
    handed = dict(getattr(target, "_handed", {}))
    try:
        with target.preserved():
            yield
    finally:
        target._given = given
        if hasattr(target, "_handed"):
            target._handed = handed


def drive(
    target: Target,
    values: Values,
    before: Callable[[Outcome], None],
    between: Callable[[Outcome], None],
    *,
    gradients: bool = True,
) -> Outcome:
    """The loss, then the gradients; `before` and `between` are called with what is known by then."""
    outcome = Outcome()
    if isinstance(target, _VjpTarget):
        _drive_vjp(target, values, before, between, outcome, gradients)
    elif isinstance(target, _FunctionTarget):
        before(outcome)
        outcome.loss, outcome.returned = target._called(values)
        outcome.handed.update(target._handed)
        between(outcome)
    else:
        with target._at(values):
            outcome.handed.update(target._live())
            outcome.handed.update(target.inputs())
            before(outcome)
            target._call_reset()
            outcome.loss = _called("loss()", target._loss)
            for name, array in target._live().items():
                outcome.handed.setdefault(name, array)
            between(outcome)
            if gradients:
                outcome.returned = _called("grads()", target._grads)
    return outcome


def _drive_vjp(
    target: _VjpTarget,
    values: Values,
    before: Callable[[Outcome], None],
    between: Callable[[Outcome], None],
    outcome: Outcome,
    gradients: bool,
) -> None:
    before(outcome)
    outputs, cache = target.run_forward(values)
    outcome.handed.update(target._handed)
    found = flatten(outputs)
    outcome.outputs = list(zip(target.cotangents, found, strict=True))
    outcome.loss = target._contracted(outputs)
    between(outcome)
    if gradients:
        outcome.returned = target._run_backward(outputs, cache, target.cotangents)
        outcome.handed.update(target._handed)


def _called(what: str, function: Callable[[], Any]) -> Any:
    from gradcheck._target import call

    return call(what, function)


def as_gradients(returned: Any) -> dict[str, Any]:
    """The gradients by name; empty where they are no mapping."""
    return {str(name): value for name, value in returned.items()} if hasattr(returned, "items") else {}


def copies(gradients: dict[str, Any]) -> dict[str, Array]:
    """Arrays of their own, of those that are numbers."""
    result: dict[str, Array] = {}
    for name, value in gradients.items():
        try:
            result[name] = np.array(value, dtype=np.result_type(np.asarray(value).dtype, np.float16))
        except (TypeError, ValueError):
            continue
    return result
