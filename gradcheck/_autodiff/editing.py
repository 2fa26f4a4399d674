"""Edits of statements after which the gradients are what the library says that they are."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import CodeType
from typing import Any

import numpy as np

from gradcheck._autodiff.case import Case
from gradcheck._autodiff.derivatives import Derivatives
from gradcheck._autodiff.places import Place, expression_of, float_leaves
from gradcheck._autodiff.recording import Frame, Override, Recording
from gradcheck._autodiff.suspects import Suspect, wrong_rows
from gradcheck._common.arrays import Array, is_float, norm
from gradcheck._common.clock import look
from gradcheck._common.libraries import all_as_numpy, as_numpy, is_array
from gradcheck._repair.edits import EDIT_TIERS, candidate_edits
from gradcheck._repair.substitutes import Family
from gradcheck._usercode.patching import growth_of_edit
from gradcheck._usercode.scope import Scope, items_read
from gradcheck._usercode.source import Edit, apply_edits, span_of

#: statements in which no edit is looked for, since others are likelier
MOST_STATEMENTS = 12


@dataclass
class Chosen:
    """The edits of each statement so far."""

    edits: dict[Place, list[Edit]] = field(default_factory=dict)

    def with_edit(self, place: Place, edit: Edit) -> Chosen:
        """These edits and another one."""
        return Chosen({**self.edits, place: [*self.edits.get(place, []), edit]})

    def overrides(self) -> dict[Place, Override]:
        """What the edited statements give."""
        found = {}
        for place, edits in self.edits.items():
            code = _code(place, edits)
            assert code is not None  # it was tried
            found[place] = _override(code)
        return found


@dataclass(frozen=True)
class Candidate:
    """An edit of one statement; `mends`: at how many rows it makes the gradients right, and whether at all of them."""

    suspect: Suspect
    edit: Edit
    mends: int
    is_whole: bool

    @property
    def order(self) -> tuple[Any, ...]:
        """The better one first: what mends more, and then what changes the text less."""
        return (-self.mends, not self.suspect.could_be, self.suspect.is_right, abs(growth_of_edit(self.edit)))


def candidates(
    case: Case, recording: Recording, found: Derivatives, suspected: Sequence[Suspect], chosen: Chosen
) -> list[Candidate]:
    """Edits that make the gradients right: all of them, if there are such, or else at some rows; the best first."""
    with case.library.trying(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return _candidates(case, recording, found, suspected, chosen)


def _candidates(
    case: Case, recording: Recording, found: Derivatives, suspected: Sequence[Suspect], chosen: Chosen
) -> list[Candidate]:
    wrong = wrong_rows(case, found)
    some: list[Candidate] = []
    ordered = sorted(suspected, key=lambda one: (one.is_right, not one.could_be, one.expected is None))
    for tier in EDIT_TIERS:
        whole: list[Candidate] = []
        for suspect in ordered[:MOST_STATEMENTS]:
            for one in _of_statement(case, recording, found, suspect, chosen, tier, wrong):
                (whole if one.is_whole else some).append(one)
            if whole and suspect.expected is not None:
                break  # it should give a derivative, and with an edit it does
        if whole:
            return sorted(whole, key=lambda one: one.order)
    return sorted(some, key=lambda one: one.order)


def _of_statement(
    case: Case,
    recording: Recording,
    found: Derivatives,
    suspect: Suspect,
    chosen: Chosen,
    tier: Sequence[Family],
    wrong: Array,
) -> Iterator[Candidate]:
    place, frames = suspect.place, (suspect.as_needed or recording).frames_of(suspect.place)
    if not frames:
        return
    before = chosen.edits.get(place, [])
    now = _values(_code(place, before), frames, case)
    if now is None:
        return
    scope = _scope(frames[-1], place)
    for edit in candidate_edits(place.node, scope, tier):
        look()
        if any(_overlap(edit, one) for one in before):
            continue
        values = _values(_code(place, [*before, edit]), frames, case)
        if values is None or not _are_alike(values, now):
            continue
        if suspect.as_needed is not None:
            if _gives_what_is_needed(case, suspect, values, recording):
                yield Candidate(suspect, edit, int(np.sum(wrong)), True)
            continue
        moved = _moved(place, recording, found, values, now)
        if moved is None:
            continue
        left = found.lacking - moved
        still = wrong_rows(case, replace(found, lacking=left))
        if not np.any(still):
            yield Candidate(suspect, edit, int(np.sum(wrong)), True)
        elif not np.any(still & ~wrong) and np.sum(still) < np.sum(wrong):
            yield Candidate(suspect, edit, int(np.sum(wrong) - np.sum(still)), False)


def _gives_what_is_needed(case: Case, suspect: Suspect, values: list[Array], recording: Recording) -> bool:
    """Whether the values supply what is lacking, where those before them are what they should be."""
    assert suspect.needed is not None
    by_step = dict(zip(recording.steps(suspect.place), values, strict=True))
    off = [by_step[step] - needed for step, needed in zip(suspect.steps, suspect.needed, strict=True)]
    if not all(np.all(np.isfinite(one)) for one in off):
        return False
    size = norm(suspect.system @ np.concatenate([one.ravel() for one in suspect.needed]))
    return norm(suspect.system @ np.concatenate([one.ravel() for one in off])) <= 10 * case.rounding * size


def _moved(
    place: Place, recording: Recording, found: Derivatives, values: list[Array], now: list[Array]
) -> Array | None:
    """How the gradients move with the values; None if nothing moves, or the loss would."""
    total = np.zeros(len(found.lacking))
    steps = recording.steps(place)
    if len(steps) != len(values):
        return None
    for step, after, before in zip(steps, values, now, strict=True):
        change = (after - before).ravel()
        if not np.any(change):
            continue
        if step in found.adjoints or not np.all(np.isfinite(change)):
            return None
        if step in found.jacobian:
            total += found.jacobian[step] @ change
    return total if np.any(total) else None


def _values(code: CodeType | None, frames: Sequence[Frame], case: Case) -> list[Array] | None:
    """What a statement gives at all its executions; None if it raises."""
    if code is None:
        return None
    found: list[Array] = []
    override = _override(code)
    try:
        for frame in frames:
            made = float_leaves(override(frame.local, frame.glob), lambda one: is_float(one) or case.library.is_float(one))
            found += [np.array(one) if isinstance(one, np.ndarray) else case.library.numpy(one) for one in made]
    except Exception:  # an edit may be anything
        return None
    return found


def _override(code: CodeType) -> Override:
    return lambda local, glob: eval(code, dict(glob), dict(local))


def _code(place: Place, edits: Sequence[Edit]) -> CodeType | None:
    """The statement's expression with these edits; None if they change what it is assigned to, or are no code."""
    try:
        node = ast.parse(_edited_text(place, edits)).body[0] if edits else place.node
        value = expression_of(node, is_call=place.is_call)
        if value is None or type(node) is not type(place.node) or not _is_for_the_same(node, place.node):
            return None
        wrapped = ast.fix_missing_locations(ast.Expression(value))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return compile(wrapped, "<edit>", "eval", dont_inherit=True)
    except (SyntaxError, IndexError, ValueError):
        return None


def _edited_text(place: Place, edits: Sequence[Edit]) -> str:
    """The statement's text with these edits, as if it stood alone; a return is parsed outside of functions too."""
    start, end = span_of(place.node)

    def within(at: tuple[int, int]) -> tuple[int, int]:
        return at[0] - start[0] + 1, at[1] - (start[1] if at[0] == start[0] else 0)

    moved = [Edit(within(edit.start), within(edit.end), edit.text) for edit in edits]
    return apply_edits(place.source.segment(start, end), moved)


def _is_for_the_same(node: ast.stmt, before: ast.stmt) -> bool:
    """Whether it gives its value to the same names in the same way."""
    parts = ("targets", "target", "op")
    return all(_dumped(getattr(node, name, None)) == _dumped(getattr(before, name, None)) for name in parts)


def _dumped(part: Any) -> Any:
    return [ast.dump(one) for one in part] if isinstance(part, list) else ast.dump(part) if part else None


def _are_alike(values: Sequence[Array], others: Sequence[Array]) -> bool:
    return len(values) == len(others) and all(a.shape == b.shape for a, b in zip(values, others, strict=True))


def _overlap(one: Edit, other: Edit) -> bool:
    return one.start < other.end and other.start < one.end or one.start == other.start


def _scope(frame: Frame, place: Place) -> Scope:
    """What the statement could name, with the arrays of the library as NumPy's."""
    local = {name: _plain(value) for name, value in frame.local.items()}
    return Scope(local, frame.glob, items=items_read(place.source, place.statement.line))


def _plain(value: Any) -> Any:
    if isinstance(value, (Mapping, list, tuple)):
        return all_as_numpy(value)
    return np.asarray(as_numpy(value)) if is_array(value) else value
