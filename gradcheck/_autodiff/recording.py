"""One run of a case: every float value by the step that gave it, and the variables around each statement."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gradcheck._autodiff.case import Case
from gradcheck._autodiff.places import Place, float_leaves
from gradcheck._common.arrays import Array
from gradcheck._common.clock import look
from gradcheck._usercode.instrument import Program, instrumented, rewrite, tapped
from gradcheck._usercode.profiling import functions_run


class Step(NamedTuple):
    """One execution of a site: its number, and which execution, from 0."""

    site: int
    execution: int


@dataclass(frozen=True)
class Frame:
    """The variables around one execution of a statement, as they were before it; arrays are copies."""

    local: Mapping[str, Any]
    glob: Mapping[str, Any]


@dataclass
class Recording:
    """What a run calculated: float values by step, in their order; the loss and the gradients."""

    values: dict[Step, Array] = field(default_factory=dict)
    #: the variables at each execution, by the first site of a statement that gives floats
    frames: dict[int, list[Frame]] = field(default_factory=dict)
    loss: float = 0.0
    gradients: list[Array] = field(default_factory=list)

    def steps(self, place: Place) -> list[Step]:
        """The steps of a statement's values, execution by execution."""
        found = [step for step in self.values if step.site in place.sites]
        return sorted(found, key=lambda step: (step.execution, place.sites.index(step.site)))

    def frames_of(self, place: Place) -> list[Frame]:
        """The variables around each execution of a statement."""
        return next((self.frames[site] for site in place.sites if site in self.frames), [])


#: puts something in the place of a value: (step, value, the user's frame) -> value
Change: TypeAlias = Callable[[Step, Any, FrameType], Any]
#: what a statement gives instead, from the variables around it: (local, global) -> value
Override: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]


class ShapeError(Exception):
    """What is put in the place of values is no set of as many arrays of the same shapes."""


@contextmanager
def rewritten(case: Case) -> Iterator[Program]:
    """The functions of the user's that a case runs, with taps, while it is open."""

    def run() -> None:
        with case.library.differentiating():
            case.run([case.library.array(one) for one in case.inputs])

    program = rewrite(functions_run(run))
    with instrumented(program):
        yield program


def run_changed(case: Case, program: Program, arrays: Sequence[Any], change: Change) -> tuple[Any, list[Any]]:
    """The loss and the gradients, with every float value handed to `change`.

    A loss that is no array of the library is taken from the last value of one that is the same number.
    """
    look()
    count: Counter[int] = Counter()
    numbers: list[Any] = []

    def tap(number: int, value: Any) -> Any:
        if not case.library.is_float(value):
            return value
        step = Step(number, count[number])
        count[number] += 1
        changed = change(step, value, sys._getframe(2))
        if not changed.shape:
            numbers.append(changed)
        return changed

    with tapped(program, tap):
        loss, gradients = case.run(list(arrays))
    if not case.library.is_float(loss):
        loss = next((one for one in numbers[::-1] if float(case.library.numpy(one)) == float(loss)), loss)
    return loss, gradients


def record(
    case: Case, program: Program, places: Sequence[Place], overrides: Mapping[Place, Override] | None = None
) -> Recording:
    """One run as it is, or with statements that give something else."""
    found, library = Recording(), case.library
    tops = {site for place in places for site in place.sites}

    def note(step: Step, value: Any, frame: FrameType) -> Any:
        found.values[step] = library.numpy(value)
        if step.site in tops:
            local = {name: library.kept(one) for name, one in dict(frame.f_locals).items()}
            found.frames.setdefault(step.site, []).append(Frame(local, library.kept_globals(frame.f_globals)))
        return value

    with library.differentiating():
        arrays = [library.array(one) for one in case.inputs]
        loss, gradients = run_changed(case, program, arrays, overriding(case, overrides or {}, note))
        found.loss = float(np.asarray(library.numpy(loss) if library.is_float(loss) else loss))
        found.gradients = [library.numpy(one) for one in gradients]
    return found


def given_in_turn(case: Case, steps: Sequence[Step], values: Sequence[Array]) -> Override:
    """What gives these values, execution by execution."""
    executions = sorted({step.execution for step in steps})
    by_execution = [
        [case.library.array(value) for step, value in zip(steps, values, strict=True) if step.execution == one]
        for one in executions
    ]
    turn = iter(by_execution)
    return lambda *_: next(turn, [])


def overriding(case: Case, overrides: Mapping[Place, Override], change: Change) -> Change:
    """A change that first puts what the statements give instead in the place of their values."""
    by_site = {site: place for place in overrides for site in place.sites}
    given: dict[Place, list[Any]] = {}

    def put(step: Step, value: Any, frame: FrameType) -> Any:
        place = by_site.get(step.site)
        if place is not None:
            if not given.get(place):
                whole = overrides[place](dict(frame.f_locals), frame.f_globals)
                given[place] = float_leaves(whole, case.library.is_float)
            if not given[place] or tuple(given[place][0].shape) != tuple(value.shape):
                raise ShapeError(place.statement.text)
            made = given[place].pop(0)
            value = made if made.dtype == value.dtype else case.library.like(made, value)
        return change(step, value, frame)

    return put
