"""Checks a written backward as any other: the target with it in the place of its gradients, by the whole check."""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck._checking.check import check
from gradcheck._common.errors import TargetError, call_user_code
from gradcheck._deriving.written import Written
from gradcheck._targets.factory import TargetFactory
from gradcheck._targets.problems import InPlaceProblem
from gradcheck._targets.pure_problems import FunctionProblem, VjpProblem, flatten
from gradcheck._targets.target import Target
from gradcheck.report.report import Report


def verify(subject: Target | TargetFactory, written: Written, seed: int) -> Report:
    """The full check of the subject with the written backward."""
    function = compiled(written)
    if isinstance(subject, Target):
        return check(with_backward(subject, written, function), full=True, explain=False, seed=seed)

    def make(rng: np.random.Generator, **sizes: int) -> Target:
        return with_backward(subject.make(rng, **sizes), written, function)

    make.__name__ = make.__qualname__ = subject.name
    factory = TargetFactory.__new__(TargetFactory)
    vars(factory).update(vars(subject))
    factory.make = make
    return check(factory, full=True, explain=False, seed=seed)


def compiled(written: Written) -> Callable[..., Any]:
    """The function that was written, as it would run in its module."""
    imports = ["import numpy as np", *written.imports]
    inner = textwrap.indent("\n".join([*imports, written.source, f"return {written.name}"]), "    ")
    space: dict[str, Any] = {}
    # the module's own names are read as they are then, and none is added to them
    exec(compile(f"def around():\n{inner}\n", f"<{written.name}>", "exec"), written.module, space)
    function: Callable[..., Any] = space["around"]()
    return function


def with_backward(target: Target, written: Written, function: Callable[..., Any]) -> Target:
    """The same target with the written backward."""
    made, problem = copy.copy(target), copy.copy(target.problem)
    made.problem = problem
    if isinstance(problem, InPlaceProblem):
        loss = problem.loss

        def grads() -> Any:
            problem._call_reset()
            return problem.by_name(call_user_code("grads()", function, **_found(written, loss)))

        problem.run_grads = grads  # type: ignore[method-assign]
    elif isinstance(problem, FunctionProblem):
        whole = problem._f
        problem._f = lambda params: (whole(params)[0], function(params, **_found(written, whole)))
    elif isinstance(problem, VjpProblem):
        forward = problem._forward
        problem._forward = lambda *arrays: (forward(*arrays)[0], arrays)
        problem.backward = lambda cotangents, arrays: function(
            *flatten(cotangents), *_taken(written, problem, arrays), **_found(written, forward)
        )
    else:
        raise TargetError(f"a backward cannot be put into a {type(problem).__name__}")
    return made


def _taken(written: Written, problem: VjpProblem, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    del problem
    return arrays[: len(written.handed)]


def _found(written: Written, begin: Any) -> dict[str, Any]:
    """The arguments that are found from the function that the derivation began with."""
    return {name: path.follow(begin) for name, path in written.paths.items()}
