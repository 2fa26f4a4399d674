"""Runs a target once, step by step, so that what goes in and out can be found on the tape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck._common.arrays import Array, Values
from gradcheck._common.clock import look
from gradcheck._targets.adapters import UpdateProblem
from gradcheck._targets.problems import InPlaceProblem
from gradcheck._targets.pure_problems import FunctionProblem, VjpProblem, flatten
from gradcheck._targets.target import Target


@dataclass
class Outcome:
    """What a run returned, and the arrays that were handed to it by their labels."""

    loss: Any = None
    #: outputs with the cotangents that they are contracted with, where there is no loss
    outputs: list[tuple[Array, Any]] = field(default_factory=list)
    returned: Any = None
    handed: dict[str, Array] = field(default_factory=dict)


def drive(
    target: Target,
    values: Values,
    before: Callable[[Outcome], None],
    between: Callable[[Outcome], None],
    *,
    gradients: bool = True,
    updated: Callable[[Array, Array, float], None] | None = None,
) -> Outcome:
    """The loss, then the gradients; `before` and `between` are called with what is known by then.

    Where gradients are what an update took from the weights, `updated` is told of each: the weight as it is after the
    update, the gradient that follows, and the learning rate.
    """
    look()
    outcome, problem = Outcome(), target.problem
    if isinstance(problem, VjpProblem):
        _drive_vjp(problem, values, before, between, outcome, gradients)
    elif isinstance(problem, FunctionProblem):
        before(outcome)
        outcome.loss, outcome.returned = problem.loss_and_grads(values)
        outcome.handed.update(problem.handed_out())
        between(outcome)
    elif isinstance(problem, InPlaceProblem):
        listening = nullcontext() if updated is None else _told_of_updates(problem, updated)
        with listening, problem.placed_at(values, before=lambda: _begin(problem, before, outcome)):
            outcome.loss = problem.run_loss()
            for name, array in problem.arrays().items():
                outcome.handed.setdefault(name, array)
            between(outcome)
            if gradients:
                outcome.returned = problem.run_grads()
    return outcome


@contextmanager
def _told_of_updates(problem: InPlaceProblem, told: Callable[[Array, Array, float], None]) -> Iterator[None]:
    if not isinstance(problem, UpdateProblem):
        yield
        return
    before, problem.on_update = problem.on_update, told
    try:
        yield
    finally:
        problem.on_update = before


def _begin(problem: InPlaceProblem, before: Callable[[Outcome], None], outcome: Outcome) -> None:
    outcome.handed.update(problem.handed_out())
    before(outcome)


def _drive_vjp(
    problem: VjpProblem,
    values: Values,
    before: Callable[[Outcome], None],
    between: Callable[[Outcome], None],
    outcome: Outcome,
    gradients: bool,
) -> None:
    before(outcome)
    outputs, cache = problem.run_forward(values)
    outcome.handed.update(problem.handed_out())
    outcome.outputs = list(zip(problem.cotangents, flatten(outputs), strict=True))
    outcome.loss = problem.dot_cotangents(outputs)
    between(outcome)
    if gradients:
        outcome.returned = problem.run_backward(outputs, cache, problem.cotangents)
        outcome.handed.update(problem.handed_out())


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
