"""Edits of statements after which the gradients are what the library says that they are."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import CodeType
from typing import Any

import numpy as np

from gradcheck._autodiff.case import Case
from gradcheck._autodiff.derivatives import Derivatives
from gradcheck._autodiff.edits import EDIT_TIERS, candidate_edits
from gradcheck._autodiff.places import Place, expression_of, float_leaves
from gradcheck._autodiff.recording import Frame, Override, Recording
from gradcheck._autodiff.substitutes import Family
from gradcheck._autodiff.suspects import Suspect, wrong_rows
from gradcheck._common.arrays import Array, is_float, norm
from gradcheck._common.clock import look
from gradcheck._common.libraries import all_as_numpy, as_numpy, is_array
from gradcheck._common.thread_filters import ignoring
from gradcheck._usercode.patching import growth_of_edit
from gradcheck._usercode.scope import Scope, items_read
from gradcheck._usercode.source import Edit, apply_edits, span_of

#: edits of one statement that are run, since its values alone do not tell
MOST_RUNS = 60
#: what stands in each other's place
_REDUCTIONS = {"mean": "sum", "sum": "mean"}
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
        return (-self.mends, *self.suspect.order, growth_of_edit(self.edit))


def candidates(
    case: Case,
    recording: Recording,
    found: Derivatives,
    suspected: Sequence[Suspect],
    chosen: Chosen,
    holds: Callable[[Suspect, Edit], bool],
) -> list[Candidate]:
    """Edits that make the gradients right: all of them, if there are such, or else at some rows; the best first.

    `holds` runs the code with one: for the few edits whose values depend on what they gave before.
    """
    with case.library.trying(), ignoring(), np.errstate(all="ignore"):
        return _candidates(_Search(case, recording, found, chosen, holds), suspected)


@dataclass(frozen=True)
class _Search:
    """What edits are judged by."""

    case: Case
    recording: Recording
    found: Derivatives
    chosen: Chosen
    holds: Callable[[Suspect, Edit], bool]

    @cached_property
    def wrong(self) -> Array:
        """The rows at which gradients are wrong."""
        return wrong_rows(self.case, self.found)


def _candidates(search: _Search, suspected: Sequence[Suspect]) -> list[Candidate]:
    some: list[Candidate] = []
    ordered = sorted(suspected, key=lambda one: one.order)
    for tier in ((*EDIT_TIERS[0], other_reduction), *EDIT_TIERS[1:]):
        whole: list[Candidate] = []
        for suspect in ordered[:MOST_STATEMENTS]:
            for one in _of_statement(search, suspect, tier):
                (whole if one.is_whole else some).append(one)
            if whole and suspect.expected is not None:
                break  # it should give a derivative, and with an edit it does
        if whole:
            return sorted(whole, key=lambda one: one.order)
    return sorted(some, key=lambda one: one.order)


def other_reduction(node: ast.AST, _: Scope) -> Iterator[Edit]:
    """A sum for a mean, and the other way round: as methods, or as functions of the library."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _REDUCTIONS:
        (line, end) = span_of(node.func)[1]
        yield Edit((line, end - len(node.func.attr)), (line, end), _REDUCTIONS[node.func.attr])


def _of_statement(search: _Search, suspect: Suspect, tier: Sequence[Family]) -> Iterator[Candidate]:
    case, place = search.case, suspect.place
    frames = (suspect.as_needed or search.recording).frames_of(place)
    before = search.chosen.edits.get(place, [])
    now = _values(_code(place, before), frames, case) if frames else None
    if now is None:
        return
    runs = 0
    for edit in candidate_edits(place.node, _scope(frames[-1], place), tier):
        look()
        if any(_overlap(edit, one) for one in before):
            continue
        code = _code(place, [*before, edit])
        values = _values(code, frames, case)
        mends = _mends(search, suspect, now, values)
        # of some edits the values alone do not tell: they depend on those before, or are read in many ways
        if not mends and _has_to_be_run(search, place, edit, code, now, values) and runs < MOST_RUNS:
            runs += 1
            mends = len(search.wrong) if search.holds(suspect, edit) else 0
        if mends:
            yield Candidate(suspect, edit, min(mends, int(np.sum(search.wrong))), mends == len(search.wrong))


def _has_to_be_run(
    search: _Search, place: Place, edit: Edit, code: CodeType | None, now: list[Array], values: list[Array] | None
) -> bool:
    """Whether its values do not tell what it does: they depend on those before, or gradients are not linear in it."""
    if code is None:
        return False
    if not place.is_call:
        return len(search.recording.frames_of(place)) > 1 and _reads_itself(place, edit)
    if values is None or not _are_alike(values, now):
        return False
    return _moved(place, search.recording, search.found, values, now) is not None


def _reads_itself(place: Place, edit: Edit) -> bool:
    """Whether it is an edit of the sign between a name and its value, so that the value depends on those before."""
    node = ast.parse(_edited_text(place, [edit])).body[0]
    return type(node) is not type(place.node) or _dumped(getattr(node, "op", None)) != _dumped(
        getattr(place.node, "op", None)
    )


def _mends(search: _Search, suspect: Suspect, now: list[Array], values: list[Array] | None) -> int:
    """At how many rows gradients would become right with these values: the number of all rows, if everywhere."""
    case, found, wrong = search.case, search.found, search.wrong
    if values is None or not _are_alike(values, now):
        return 0
    if suspect.as_needed is not None:
        return len(wrong) if _gives_what_is_needed(case, suspect, values, search.recording) else 0
    moved = _moved(suspect.place, search.recording, found, values, now)
    if moved is None:
        return 0
    still = wrong_rows(case, replace(found, lacking=found.lacking - moved))
    if not np.any(still):
        return len(wrong)
    return 0 if np.any(still & ~wrong) else int(np.sum(wrong) - np.sum(still))


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
            made = float_leaves(
                override(frame.local, frame.glob), lambda one: is_float(one) or case.library.is_float(one)
            )
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
        value = _value_given(node, place)
        if value is None:
            return None
        wrapped = ast.fix_missing_locations(ast.Expression(value))
        with ignoring(SyntaxWarning):
            return compile(wrapped, "<edit>", "eval", dont_inherit=True)
    except (SyntaxError, IndexError, ValueError):
        return None


def _value_given(node: ast.stmt, place: Place) -> ast.expr | None:
    """What an edited statement would have to give, if it stood there as it was before the edit; None for another one.

    ``x += e`` in the place of ``x = e`` gives ``x + e``, and the other way round ``e - x`` is added.
    """
    before, value = place.node, expression_of(node, is_call=place.is_call)
    if value is None or (type(node) is type(before) and _is_for_the_same(node, before)):
        return value
    match before, node:
        case ast.Assign(targets=[target]), ast.AugAssign(target=other, op=ast.Add() | ast.Sub() as op):
            if ast.unparse(target) == ast.unparse(other):
                return ast.BinOp(_read(target), op, value)
        case ast.AugAssign(target=target, op=ast.Add()), ast.Assign(targets=[other]):
            if ast.unparse(target) == ast.unparse(other):
                return ast.BinOp(value, ast.Sub(), _read(target))
        case ast.AugAssign(target=target, op=ast.Add()), ast.AugAssign(target=other, op=ast.Sub()):
            if ast.unparse(target) == ast.unparse(other):
                return ast.UnaryOp(ast.USub(), value)
        case ast.AugAssign(target=target, op=ast.Sub()), ast.AugAssign(target=other, op=ast.Add()):
            if ast.unparse(target) == ast.unparse(other):
                return ast.UnaryOp(ast.USub(), value)
    return None


def _read(target: ast.expr) -> ast.expr:
    """What stands on the left, to be read."""
    return ast.parse(ast.unparse(target), mode="eval").body


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
    return (one.start < other.end and other.start < one.end) or one.start == other.start


class _Scope(Scope):
    """A scope whose values are told as NumPy's, also those in attributes and items."""

    def value_with_calls(self, node: ast.expr) -> Any:
        """The value of an expression, which is calculated for it."""
        return _plain(super().value_with_calls(node))


def _scope(frame: Frame, place: Place) -> Scope:
    """What the statement could name, with the arrays of the library as NumPy's."""
    local = {name: _plain(value) for name, value in frame.local.items()}
    return _Scope(local, frame.glob, items=items_read(place.source, place.statement.line))


def _plain(value: Any) -> Any:
    if isinstance(value, (Mapping, list, tuple)):
        return all_as_numpy(value)
    return np.asarray(as_numpy(value)) if is_array(value) else value
