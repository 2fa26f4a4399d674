"""The library's own derivatives, with respect to every value of a run: of the loss, and of the gradients returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np

from gradcheck._autodiff.case import Case
from gradcheck._autodiff.places import Place
from gradcheck._autodiff.recording import Override, Recording, Step, overriding, run_changed
from gradcheck._common.arrays import Array, norm
from gradcheck._usercode.instrument import Program
from gradcheck._usercode.rewriting import Site

#: entries of the gradients that are looked at one by one; of more, so many of them
MOST_ROWS = 120
#: values and inputs that are changed by nothing but rounding agree to this part of their size
SAME = 1e-9


class NotTheSameError(Exception):
    """The run with values that can be differentiated is another one than the run as it is."""


@dataclass
class Derivatives:
    """What the library says of a run.

    Args:
        adjoints: dL/d(value) by step, for those that the loss depends on.
        true: dL/d(input), one for each gradient.
        lacking: The true gradients less those returned, at the rows.
        jacobian: By step, how the gradients at the rows move with its value, (rows, size).
        of_rows: The gradient that each row is an entry of.
        gradients: What was returned.
    """

    adjoints: dict[Step, Array]
    true: list[Array]
    lacking: Array
    jacobian: dict[Step, Array]
    of_rows: Array
    gradients: list[Array]


def differentiated(
    case: Case,
    program: Program,
    recording: Recording,
    overrides: Mapping[Place, Override] | None = None,
    *,
    steps: bool = True,
    held: Place | None = None,
) -> Derivatives:
    """Differentiate a run with respect to its inputs and, if `steps`, to each of its values; with statements changed.

    `held`: with respect to the values of this statement alone, each while the others of them stay what they are,
    also those of later executions that follow from it.

    Raises:
        NotTheSameError: If the run cannot be differentiated as it is: it changes values in place that are looked at.
    """
    sites = program.sites
    every = [step for step in recording.values if steps and _is_looked_at(sites[step.site])]
    if held is not None:
        return _of_held(case, program, recording, overrides or {}, held)
    for some in (every, [step for step in every if sites[step.site].kind != "load"]):
        found = _differentiated(case, program, recording, some, overrides or {})
        if found is not None:
            return found
    raise NotTheSameError(case.name)


def _is_looked_at(site: Site) -> bool:
    """Whether its derivative is asked for: where that follows from another one's, only if a statement gives it."""
    return site.is_statement_value or not site.derivative_follows


def _of_held(
    case: Case, program: Program, recording: Recording, overrides: Mapping[Place, Override], held: Place
) -> Derivatives:
    found = _differentiated(case, program, recording, recording.steps(held), overrides, is_held=True)
    if found is None:
        raise NotTheSameError(case.name)
    return found


def _differentiated(
    case: Case,
    program: Program,
    recording: Recording,
    steps: Sequence[Step],
    overrides: Mapping[Place, Override],
    *,
    is_held: bool = False,
) -> Derivatives | None:
    library, inputs = case.library, list(case.inputs)
    wanted = set(steps)

    def f(moves: list[Any]) -> list[Any]:
        arrays, by_step = moves[: len(inputs)], dict(zip(steps, moves[len(inputs) :], strict=True))

        def add(step: Step, value: Any, _: FrameType) -> Any:
            if step not in wanted:
                return value
            now = library.like(library.array(recording.values[step]), value) if is_held else value
            return now + library.like(by_step[step], value)

        loss, gradients = run_changed(case, program, arrays, overriding(case, overrides, add))
        return [loss, *gradients]

    at = [*inputs, *(np.zeros_like(recording.values[step]) for step in steps)]
    try:
        with library.differentiating():
            found = library.differentiate(f, at, case.live)
            loss, *gradients = found.values
            if not overrides and not _are_same([loss, *gradients], [np.array(recording.loss), *recording.gradients]):
                return None
            return _read(case, found.pull, steps, gradients)
    except (RuntimeError, IndexError, KeyError):  # of the library, or of a run that takes another way
        if overrides:
            raise
        return None


def _read(case: Case, pull: Any, steps: Sequence[Step], gradients: list[Array]) -> Derivatives:
    count = len(case.inputs)
    moved = pull(0, np.ones((1, 1)))
    ends = moved[:count] + moved[count + len(steps) :]
    true = [
        np.zeros_like(g) if one is None else one[0].reshape(g.shape) for g, one in zip(gradients, ends, strict=True)
    ]
    adjoints = {
        step: one[0]
        for step, one in zip(steps, moved[count : count + len(steps)], strict=True)
        if one is not None and norm(one)
    }
    lacking: list[Array] = []
    of_rows: list[Array] = []
    jacobian: dict[Step, list[Array]] = {step: [] for step in steps}
    for number, (gradient, truth) in enumerate(zip(gradients, true, strict=True)):
        rows = _rows(gradient.size, max(MOST_ROWS // max(len(gradients), 1), 1), number)
        lacking.append((truth - gradient).ravel()[rows])
        of_rows.append(np.full(len(rows), number))
        unit = np.zeros((len(rows), gradient.size))
        unit[np.arange(len(rows)), rows] = 1.0
        parts = pull(number + 1, unit)[count : count + len(steps)] if steps else []
        for step, part in zip(steps, parts, strict=True):
            shape = len(rows), adjoint_size(step, part)
            jacobian[step].append(np.zeros((len(rows), 0)) if part is None else part.reshape(shape))
    together = {step: _stacked(blocks) for step, blocks in jacobian.items()}
    return Derivatives(
        adjoints,
        true,
        np.concatenate([np.zeros(0), *lacking]),
        {step: one for step, one in together.items() if one is not None},
        np.concatenate([np.zeros(0, int), *of_rows]),
        gradients,
    )


def adjoint_size(_: Step, part: Array | None) -> int:
    """How many numbers a value has."""
    return 0 if part is None else int(np.prod(part.shape[1:]))


def _stacked(blocks: list[Array]) -> Array | None:
    """The rows of all gradients; None if none of them moves."""
    width = max((block.shape[1] for block in blocks), default=0)
    if not width:
        return None
    found = np.vstack([block if block.shape[1] else np.zeros((len(block), width)) for block in blocks])
    return found if np.any(found) else None


def _rows(size: int, most: int, seed: int) -> Array:
    """The entries of a gradient that are looked at: all, or as many as there may be, drawn at random."""
    if size <= most:
        return np.arange(size)
    return np.sort(np.random.default_rng(seed).choice(size, most, replace=False))


def _are_same(found: Sequence[Array], expected: Sequence[Array]) -> bool:
    return all(
        np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=SAME, atol=SAME * (norm(b) + 1e-300), equal_nan=True)
        for a, b in zip(found, expected, strict=True)
    )
