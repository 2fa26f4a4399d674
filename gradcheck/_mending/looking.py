"""The variables around a place, in a run in which some values are others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradcheck._mending.enclosing import made_in, place_around
from gradcheck._mending.frames import Frame
from gradcheck._tape import Place, TapedRun
from gradcheck._tape.expressions import TEMPORARY
from gradcheck._tape.nodes import Array
from gradcheck._tape.replay import Replayer, _replaced, _run, copied


def frames_at(run: TapedRun, place: Place) -> list[Frame]:
    """The variables at each execution of a place, as it is; each asker remembers values of its own expressions."""
    frames, _ = run.once(looked_at, place)
    return [Frame(one.local, one.glob) for one in frames]


def looked_at(
    run: TapedRun, place: Place, values: Mapping[tuple[Place, int], Any] | None = None
) -> tuple[list[Frame], dict[str, Array]]:
    """The variables at each execution of a place, and the gradients, where places have these values."""
    by_number = {(one.number, execution): value for (one, execution), value in (values or {}).items()}
    augmented = {one.number for one, _ in values or {} if one.kind == "augment"}
    frames: dict[int, Frame] = {}
    around = run.once(place_around, place)
    outer: list[dict[str, Any]] = []

    def seen(number: int, execution: int, value: Any, frame: Any) -> Any:
        if around is not None and number == around.number:
            outer.append(dict(frame.f_locals))
        if number == place.number:
            memo: dict[int, Any] = {}
            own = frame.f_locals
            variables = {**own, **made_in(frame, outer), **own}  # its own come first, and count
            local = {name: copied(one, memo) for name, one in variables.items() if not name.startswith(TEMPORARY)}
            frames[execution] = Frame(local, {name: copied(one, memo) for name, one in frame.f_globals.items()})
        new = by_number.get((number, execution))
        return value if new is None else _replaced(value, new, number in augmented)

    watched = {place.number, *(number for number, _ in by_number)}
    hooks = Replayer(watched if around is None else watched | {around.number}, seen)
    gradients = _run(run.program, run.target, run.base, hooks)
    return [frames[execution] for execution in sorted(frames)], gradients
