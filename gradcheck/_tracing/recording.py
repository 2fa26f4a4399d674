"""What the backward does: every value it computes, in order, with what each was computed from.

A value can be overridden on its way, which answers the question "what if this line had given the right thing?".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from gradcheck._common.arrays import Array, Values, is_float, owner_of
from gradcheck._targets.target import Target
from gradcheck._usercode.instrument import Program, tapped
from gradcheck._usercode.rewriting import Site

#: what a site gives instead, by (site, execution)
Overrides: TypeAlias = Mapping[tuple[int, int], Array]
#: called with the site, the execution and the value, in the frame of the tap
Hook: TypeAlias = Callable[[int, int, Any], None]


@dataclass
class Event:
    """One value that went through a tap; `same` if it is an object that an earlier event showed already."""

    index: int
    site: int
    execution: int
    value: Array
    inputs: tuple[int, ...]
    same: bool = False


@dataclass
class Recording:
    """One run of the backward."""

    events: list[Event] = field(default_factory=list)
    gradients: dict[str, Array] = field(default_factory=dict)
    #: the event that a returned gradient is, by name
    sinks: dict[str, int] = field(default_factory=dict)


def record(target: Target, base: Values, program: Program, overrides: Overrides, hook: Hook | None = None) -> Recording:
    """Run loss() and grads(), and record what grads() does."""
    recorder = _Recorder(program, overrides, hook)
    with tapped(program, recorder.tap), _switched_on(target, recorder):
        raw = target.grads_at(base)
    result = recorder.recording
    result.gradients = _gradients(raw)
    for name in result.gradients:
        event = recorder.known(next(gradient for key, gradient in raw.items() if str(key) == name))
        if event is not None:
            result.sinks[name] = event
    return result


def behind(recording: Recording, event: int | None) -> set[int]:
    """Everything that an event was computed from, itself included."""
    seen: set[int] = set()
    waiting = [] if event is None else [event]
    while waiting:
        i = waiting.pop()
        if i not in seen:
            seen.add(i)
            waiting += recording.events[i].inputs
    return seen


@dataclass
class PartialRun:
    """What one run with overrides gave: the values at some sites, and the gradients."""

    values: dict[tuple[int, int], Array] = field(default_factory=dict)
    gradients: dict[str, Array] = field(default_factory=dict)
    on: bool = False


def run_with_overrides(
    target: Target, base: Values, program: Program, overrides: Overrides, wanted: Collection[int]
) -> PartialRun:
    """The values at the wanted sites with these overrides: a recording without the data flow, and so much faster."""
    result = PartialRun()
    executions = [0] * len(program.sites)
    interesting = [False] * len(program.sites)
    for number in wanted:
        interesting[number] = True
    for number, _ in overrides:
        interesting[number] = True

    def tap(number: int, value: Any) -> Any:
        if not (interesting[number] and result.on):
            return value
        key = number, executions[number]
        executions[number] += 1
        if not is_float(value):
            return value
        override = overrides.get(key)
        if override is not None and np.size(override) == np.size(value):
            value = _replaced(value, override, in_place=program.sites[number].kind in ("after", "touch"))
        result.values[key] = np.array(value)
        return value

    with tapped(program, tap), _switched_on(target, result):
        result.gradients = _gradients(target.grads_at(base))
    return result


def _gradients(raw: Any) -> dict[str, Array]:
    if not isinstance(raw, Mapping):
        return {}
    return {
        str(name): np.array(gradient, dtype=float)
        for name, gradient in raw.items()
        if isinstance(gradient, (np.ndarray, np.floating, float))
    }


@contextmanager
def _switched_on(target: Target, recorder: _Recorder | PartialRun) -> Iterator[None]:
    """Record while the backward runs, where that can be told from the forward."""
    problem = target.problem
    name = problem.asks_gradients_with
    if name is None:
        recorder.on = True
        yield
        return
    original = getattr(problem, name)

    def switched(*arguments: Any) -> Any:
        recorder.on = True
        try:
            return original(*arguments)
        finally:
            recorder.on = False

    setattr(problem, name, switched)
    try:
        yield
    finally:
        setattr(problem, name, original)


class _Recorder:
    def __init__(self, program: Program, overrides: Overrides, hook: Hook | None) -> None:
        self.program = program
        self.overrides = overrides
        self.hook = hook
        self.on = False
        self.recording = Recording()
        count = len(program.sites)
        self.executions = [0] * count
        self.last: list[int | None] = [None] * count
        #: events that no expression around them has taken up yet: many, where a generator gives them
        self.pending: dict[int, list[int]] = {}
        self.by_id: dict[int, int] = {}
        self.by_owner: dict[int, int] = {}
        self.alive: list[Any] = []

    def tap(self, number: int, value: Any) -> Any:
        if not self.on:
            return value
        execution = self.executions[number]
        self.executions[number] = execution + 1
        if self.hook is not None:
            self.on = False  # what the hook calls is not part of the run
            try:
                self.hook(number, execution, value)
            finally:
                self.on = True
        if not is_float(value):
            self.last[number] = None
            return value
        override = self.overrides.get((number, execution))
        site = self.program.sites[number]
        if site.is_item_update and not (isinstance(value, np.ndarray) and value.base is None):
            self.last[number] = None
            return value
        if site.kind == "touch" and not self._changed(value):
            return value
        inputs, same = self._inputs(number, value)
        if override is not None and np.size(override) == np.size(value):
            value = _replaced(value, override, in_place=site.kind in ("after", "touch"))
            inputs, same = (), False  # it comes from nowhere
        self._add(number, execution, value, inputs, same, updated=site.kind in ("after", "touch"))
        return value

    def known(self, value: Any) -> int | None:
        """The latest event that this object, or the array that it is a view of, went through."""
        candidates = [self.by_id.get(id(value)), self.by_owner.get(id(_owner(value)))]
        return max((one for one in candidates if one is not None), default=None)

    def _changed(self, value: Any) -> bool:
        event = self.known(value)
        if event is None or self.recording.events[event].value.shape != np.shape(value):
            return False
        return not np.array_equal(self.recording.events[event].value, value)

    def _inputs(self, number: int, value: Any) -> tuple[tuple[int, ...], bool]:
        site = self.program.sites[number]
        before = self.by_id.get(id(value))
        if site.kind in ("after", "touch"):
            sites = self.program.sites
            handed = site.statement.sites if site.kind == "touch" else _whole(site.statement.sites, sites)
            around = [self.last[one] for one in handed if one != number and sites[one].kind in ("value", "load")]
            known = self.known(value)
            return tuple({one for one in [known, *around] if one is not None}), False
        if before is not None:
            return (max(before, self.by_owner.get(id(_owner(value)), before)),), True
        inner = [event for one in site.inputs for event in self.pending.pop(one, ())]
        if site.kind in ("load", "bind"):
            known = self.known(value)
            return ((known,) if known is not None else ()) + tuple(inner), False
        return tuple(inner), False

    def _add(self, number: int, execution: int, value: Any, inputs: tuple[int, ...], same: bool, updated: bool) -> None:
        index = len(self.recording.events)
        self.recording.events.append(Event(index, number, execution, np.array(value), inputs, same))
        self.last[number] = index
        self.pending.setdefault(number, []).append(index)
        self.alive.append(value)
        self.by_id[id(value)] = index
        if updated or _owner(value) is value:
            self.by_owner[id(_owner(value))] = index


def _whole(numbers: list[int], sites: list[Site]) -> list[int]:
    return [one for one in numbers if sites[one].is_statement_value]


def _owner(value: Any) -> Any:
    return owner_of(value) if isinstance(value, np.ndarray) else value


def _replaced(value: Any, override: Array, *, in_place: bool) -> Any:
    if not isinstance(value, np.ndarray):
        return type(value)(np.asarray(override).reshape(()).item())
    shaped = np.array(override, dtype=value.dtype).reshape(value.shape)
    if not in_place:
        return shaped
    value[...] = shaped
    return value
