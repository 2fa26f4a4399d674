"""Which statements of a backward could be at fault: other values of theirs would make the gradients right."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck._autodiff.case import Case
from gradcheck._autodiff.derivatives import Derivatives, differentiated
from gradcheck._autodiff.places import Place
from gradcheck._autodiff.recording import Override, Recording, Step, given_in_turn, record
from gradcheck._autodiff.standing import Known, are_derivatives, known_derivatives, label_of
from gradcheck._common.arrays import Array, norm
from gradcheck._usercode.instrument import Program
from gradcheck.report.evidence import Label

#: how much of what the gradients lack may be left where values are said to supply it
LEFT = 1e-6
#: smaller singular values than this part of the largest leave values undecided
RANK = 1e-9


@dataclass(eq=False)
class Suspect:
    """A statement of the backward.

    `steps` are those of its values that move a gradient, `system` how they move it. `is_right`: each value is the
    derivative of something that the forward computes. `needed` are other values that would supply all that is
    missing, where there are such; `expected`: they are one derivative at all executions. Of a statement that runs more
    than once, `system` holds its values of later executions.
    """

    place: Place
    steps: list[Step]
    system: Array
    is_right: bool
    needed: list[Array] | None
    expected: Label | None
    #: whether all that it reads is right: derivatives, or values of the forward
    reads_right: bool = False
    #: of a statement that runs more than once: the run in which it gives what is needed
    as_needed: Recording | None = None

    @property
    def could_be(self) -> bool:
        """Whether it could be at fault alone."""
        return self.needed is not None

    @property
    def order(self) -> tuple[bool, ...]:
        """Who comes first: who could be at fault alone, and should be a derivative; of others, who is none now.

        What is returned comes last of these: with another value there, most faults would not show.
        """
        is_return = isinstance(self.place.node, ast.Return)
        return not self.could_be, is_return, self.expected is None, self.expected is None and self.is_right


def wrong_rows(case: Case, found: Derivatives) -> Array:
    """At which rows the gradients are wrong."""
    scale = np.array([max(norm(one), norm(true)) for one, true in zip(found.gradients, found.true, strict=True)])
    return np.asarray(np.abs(found.lacking) > case.rounding * (scale[found.of_rows] + 1e-300))


def wrong_gradients(case: Case, found: Derivatives) -> list[int]:
    """The numbers of the gradients that are wrong."""
    return [
        number
        for number, (one, true) in enumerate(zip(found.gradients, found.true, strict=True))
        if norm(one - true) > case.rounding * max(norm(one), norm(true))
    ]


def suspects(
    case: Case,
    program: Program,
    places: Sequence[Place],
    recording: Recording,
    found: Derivatives,
    overrides: Mapping[Place, Override] | None = None,
) -> list[Suspect]:
    """The statements whose values move the gradients and not the loss, in the order in which they first ran."""
    known = known_derivatives(found.adjoints, program.sites, case.names, found.true)
    order = {step: number for number, step in enumerate(recording.values)}
    result: list[tuple[int, Suspect]] = []
    for place in places:
        steps = recording.steps(place)
        moving = [step for step in steps if step in found.jacobian and step not in found.adjoints]
        if not moving or (any(step in found.adjoints for step in steps) and not _hands_on(place)):
            continue
        suspect = _suspect(case, place, moving, recording, found, known)
        if suspect.could_be and len({step.execution for step in moving}) > 1:
            held = differentiated(case, program, recording, overrides, held=place)
            still = [step for step in moving if step in held.jacobian]
            suspect = _suspect(case, place, still, recording, held, known)
            if suspect.needed is not None:
                suspect.as_needed = _run_as_needed(case, program, suspect, recording, overrides or {})
        result.append((order[steps[0]], suspect))
    ordered = [suspect for _, suspect in sorted(result, key=lambda one: one[0])]
    forward = [Known("", recording.values[step]) for step in found.adjoints]
    for suspect in ordered:
        suspect.reads_right = _reads_right(case, program, suspect, ordered, recording, [*known, *forward])
    return ordered


def _reads_right(
    case: Case,
    program: Program,
    suspect: Suspect,
    others: Sequence[Suspect],
    recording: Recording,
    known: Sequence[Known],
) -> bool:
    """Whether all that a statement reads is a derivative, of the forward, zero, or given by one that is innocent."""
    sites = program.sites
    line = suspect.place.node.lineno
    # what a later line hands to the next round of a loop may come in the wrong order
    before = [one for one in others if not one.could_be and one.place.node.lineno < line]
    innocent = {name for one in before for name in _names_bound(one.place.node)}
    guilty = {name for one in others if one not in before for name in _names_bound(one.place.node)}
    loads = {number for number in suspect.place.statement.sites if sites[number].kind == "load"}
    return all(
        sites[step.site].text in innocent - guilty or are_derivatives([value], known, max(case.rounding, 1e-7))
        for step, value in recording.values.items()
        if step.site in loads and norm(value)
    )


def _names_bound(node: ast.stmt) -> set[str]:
    parts = [part for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)]
    return {part.id for part in parts}


def _run_as_needed(
    case: Case, program: Program, suspect: Suspect, recording: Recording, overrides: Mapping[Place, Override]
) -> Recording:
    """The run in which a statement gives what is needed at each of its executions."""
    needed = dict(zip(suspect.steps, suspect.needed or [], strict=True))
    steps = recording.steps(suspect.place)
    values = [needed.get(step, recording.values[step]) for step in steps]
    given = {**overrides, suspect.place: given_in_turn(case, steps, values)}
    return record(case, program, [suspect.place], given)


def _suspect(
    case: Case,
    place: Place,
    steps: list[Step],
    recording: Recording,
    found: Derivatives,
    known: Sequence[Known],
) -> Suspect:
    tolerance = max(case.rounding, 1e-7)
    values = [recording.values[step] for step in steps]
    system = np.hstack([found.jacobian[step] for step in steps]) if steps else np.zeros((len(found.lacking), 0))
    lacking = _needed(system, found.lacking, case)
    needed = None if lacking is None else _added(values, lacking)
    expected = label_of(needed, known, 10 * tolerance) if needed is not None and _is_decided(system) else None
    return Suspect(place, steps, system, are_derivatives(values, known, tolerance), needed, expected)


def _hands_on(place: Place) -> bool:
    """Whether it hands values of the forward to the backward, beside what the loss depends on."""
    return place.is_call or type(place.node).__name__ == "Return"


def _needed(system: Array, lacking: Array, case: Case) -> Array | None:
    """What the values lack; None if no values would supply what the gradients lack."""
    if not system.size:
        return None
    solution = np.linalg.lstsq(system, lacking, rcond=RANK)[0]
    left = norm(system @ solution - lacking)
    return solution if left <= max(LEFT, 10 * case.rounding) * norm(lacking) else None


def _is_decided(system: Array) -> bool:
    """Whether each value is decided by the gradients."""
    if system.shape[1] > system.shape[0]:
        return False
    scale = np.linalg.svd(system, compute_uv=False)
    return bool(scale[-1] > RANK * scale[0])


def _added(values: Sequence[Array], needed: Array) -> list[Array]:
    ends = np.cumsum([value.size for value in values])[:-1]
    return [value + part.reshape(value.shape) for value, part in zip(values, np.split(needed, ends), strict=True)]
