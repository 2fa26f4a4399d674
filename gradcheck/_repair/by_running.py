"""Looks for the edit that makes gradients right by running the backward with each: slow, but it needs no theory.

It comes after the trace, for what the trace cannot explain: statements whose right value is no derivative, helpers
that several lines share, loops over gates. The forward is held: an edit that changes the loss is none.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from types import FrameType
from typing import Any

import numpy as np

from gradcheck._common.arrays import as_complex
from gradcheck._repair.edits import EDIT_TIERS, LIKELY_TIERS, candidate_edits
from gradcheck._repair.substitutes import Family, scale_by_size
from gradcheck._targets.target import Target
from gradcheck._tracing.dataflow import Judgement
from gradcheck._tracing.recording import behind
from gradcheck._tracing.trace import Trace
from gradcheck._usercode.instrument import Program, tapped
from gradcheck._usercode.patching import EditedFunctions, Patch, RebindError, growth_of_edit, source_node
from gradcheck._usercode.rewriting import Statement
from gradcheck._usercode.scope import Scope, items_read
from gradcheck._usercode.source import Edit, Source

#: values that pass through taps, summed over all runs of the backward: a large model is run less often
MOST_WORK = 2_000_000
#: runs of the backward, however small it is
MOST_RUNS = 2500
#: edits of one statement that do the same, shown together
MOST_ALTERNATIVES = 4
#: edits that are put together for several faults
MOST_EDITS = 12
#: the frame of the user's statement, seen from a tap
DEPTH = 2

_EDITABLE = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return, ast.Expr, ast.For, ast.If)


@dataclass
class EditableStatement:
    """A statement that may be edited, as it stands in the source, and what it could name."""

    statement: Statement
    node: ast.stmt
    scope: Scope
    #: 0: where it goes wrong first, as far as can be seen
    rank: int


@dataclass
class PartialRepair:
    """Equivalent edits of one statement, and the gradients that they make right."""

    alternatives: list[tuple[Statement, Edit]]
    blocks: tuple[str, ...]
    still_wrong: tuple[str, ...]


def rank_statements(trace: Trace, judgement: Judgement) -> list[EditableStatement]:
    """The statements of the backward, the most suspect first. Call it while the trace is open."""
    frames = _frames(trace)
    ranks = _ranks(trace, judgement)
    helpers = trace.program.helpers
    found: dict[int, tuple[int, int, EditableStatement]] = {}
    for order, (statement, local, glob, numeric) in enumerate(frames):
        source = trace.program.sources[statement.file]
        node = source_node(statement, source)
        held = any(site in trace.forward and trace.program.sites[site].is_statement_value for site in statement.sites)
        if held:  # a backward that is written as a lambda is part of the forward's statement
            inside = next((one for one in ast.walk(node) if isinstance(one, ast.Lambda)), None)
            node, held = (ast.Expr(inside.body), False) if inside is not None else (node, held)
        held = held or (statement.file, statement.function) in trace.held
        if held or not isinstance(node, _EDITABLE) or (not numeric and _may_hang(statement, trace.program)):
            continue
        rank = ranks.get(id(statement), 4)
        place = EditableStatement(
            statement, node, Scope(local, glob, helpers, items_read(source, statement.line)), rank
        )
        found[id(statement)] = rank, order, place
    return [place for _, _, place in sorted(found.values(), key=lambda one: one[:2])]


class Search:
    """Runs the backward with edits, at one point."""

    def __init__(self, trace: Trace, around: Sequence[EditableStatement], rebuild: Callable[[], Target] | None) -> None:
        self.trace, self.places, self.rebuild = trace, around, rebuild
        self.target, self.base = trace.target, trace.base
        self.workshop = EditedFunctions(trace.program.codes, trace.program.sources)
        self.runs = 0
        self.limit = min(MOST_RUNS, max(100, MOST_WORK // max(1, trace.passed)))

    @property
    def exhausted(self) -> bool:
        """Whether enough has been tried."""
        return self.runs >= self.limit

    def limited_to_share(self, share: float) -> AbstractContextManager[None]:
        """Try at most this share of what is left."""
        return self.limited_to_runs(int(share * (self.limit - self.runs)))

    @contextmanager
    def limited_to_runs(self, runs: int) -> Iterator[None]:
        """Try no more than this."""
        outer, self.limit = self.limit, min(self.limit, self.runs + runs)
        try:
            yield
        finally:
            self.limit = outer

    def single(self, tiers: Sequence[tuple[Family, ...]] = LIKELY_TIERS) -> Iterator[PartialRepair]:
        """One edit that makes every gradient right, if it is a likely one; then others that do."""
        wrong = self.wrong([])
        suspects = [place for place in self.places if place.rank == 0]
        others = [place for place in self.places if place.rank]
        for around in (suspects, others):
            for families in tiers:
                for place in around:
                    step = self._at(place, families, [], wrong, 0, whole=True)
                    if step is not None:
                        yield step

    def chain(self) -> list[PartialRepair]:
        """Edits that together make every gradient right; those that make some of them right if there are no others."""
        steps: list[PartialRepair] = []
        wrong = self.wrong([])
        while wrong and len(steps) < MOST_EDITS and not self.exhausted:
            step = self.step([step.alternatives[0] for step in steps], wrong, self.places)
            if step is None:
                break
            steps.append(step)
            wrong = step.still_wrong
        return steps

    def step(
        self,
        chosen: list[tuple[Statement, Edit]],
        wrong: tuple[str, ...],
        around: Sequence[EditableStatement],
        enough: int = 0,
        tiers: Sequence[tuple[Family, ...]] = EDIT_TIERS,
    ) -> PartialRepair | None:
        """The edit, on top of those chosen, after which the fewest gradients are wrong; at most `enough` end it."""
        best: PartialRepair | None = None
        for families in tiers:
            for place in around:
                if any(statement is place.statement for statement, _ in chosen):
                    continue
                step = self._at(place, families, chosen, wrong, enough)
                if step is not None and (best is None or len(step.still_wrong) < len(best.still_wrong)):
                    best = step
                    if len(step.still_wrong) <= enough:
                        return best
                if self.exhausted:
                    return best
        return best

    def scaling(self, chosen: list[tuple[Statement, Edit]], size: float) -> Iterator[PartialRepair]:
        """Edits that divide something by a size, after which every gradient is right."""
        family = partial(scale_by_size, size=size)
        every = tuple(self.trace.slopes)
        for place in self.places:
            step = self._at(place, (family,), chosen, every, 0, whole=True)
            if step is not None:
                yield step

    def wrong(self, chosen: list[tuple[Statement, Edit]]) -> tuple[str, ...]:
        """The wrong gradients with these edits; every one if the code does not run with them."""
        found = self._run(Patch(chosen, self.trace.program.sources))
        return tuple(self.trace.slopes) if found is None else found

    def _at(
        self,
        place: EditableStatement,
        families: Sequence[Family],
        chosen: list[tuple[Statement, Edit]],
        wrong: tuple[str, ...],
        enough: int,
        whole: bool = False,
    ) -> PartialRepair | None:
        best: PartialRepair | None = None
        for edit in candidate_edits(place.node, place.scope, families):
            if self.exhausted:
                break
            one = place.statement, edit
            rest = self._run(Patch([*chosen, one], self.trace.program.sources))
            if rest is None or not set(rest) < set(wrong) or (whole and rest):
                continue
            if best is None or len(rest) < len(best.still_wrong):
                best = PartialRepair([one], tuple(name for name in wrong if name not in rest), rest)
            elif rest == best.still_wrong and len(best.alternatives) < MOST_ALTERNATIVES:
                best.alternatives.append(one)
            if best is not None and len(best.still_wrong) <= enough and len(best.alternatives) >= MOST_ALTERNATIVES:
                break
        if best is not None:
            best.alternatives.sort(key=lambda one: growth_of_edit(one[1]))
        return best

    def _run(self, patch: Patch) -> tuple[str, ...] | None:
        self.runs += 1
        try:
            with self.workshop.edited(patch.edits()):
                return self._judged(self.target)
        except RebindError:
            return self._run_rebuilt(patch)
        except Exception:  # whatever edited code may raise: it is not the right one
            return None

    def _run_rebuilt(self, patch: Patch) -> tuple[str, ...] | None:
        if self.rebuild is None:
            return None
        try:
            with self.workshop.edited(patch.edits(), anew=True):
                return self._judged(self.rebuild())
        except Exception:
            return None

    def _judged(self, target: Target) -> tuple[str, ...] | None:
        with np.errstate(all="ignore"):
            raw = target.grads_at(self.base)
            gradients = {str(name): np.asarray(value, dtype=float) for name, value in dict(raw).items()}
            wrong = self.trace.wrong(gradients)
            if len(wrong) == len(self.trace.slopes):
                return wrong
            loss = as_complex(target.loss_at(self.base))
        return wrong if abs(loss - self.trace.loss) <= 1e-9 * abs(self.trace.loss) else None


# -- where -------------------------------------------------------------------------------------------------------------


def _frames(trace: Trace) -> list[tuple[Statement, dict[str, Any], dict[str, Any], bool]]:
    """Every statement that runs, in order, with the names that it could use when it first ran."""
    sites = trace.program.sites
    seen: dict[int, tuple[Statement, dict[str, Any], dict[str, Any], bool]] = {}
    around: dict[str, dict[str, Any]] = {}

    def tap(site: int, value: Any) -> Any:
        statement = sites[site].statement
        frame = sys._getframe(DEPTH)
        name = frame.f_code.co_qualname
        if frame.f_code.co_cellvars:
            around[name] = dict(frame.f_locals)
        if id(statement) not in seen:
            numeric = isinstance(value, (np.ndarray, np.floating, float))
            outer = around.get(name.rpartition(".<locals>.")[0], {})
            seen[id(statement)] = statement, {**outer, **_visible(frame)}, frame.f_globals, numeric
        return value

    with tapped(trace.program, tap):
        trace.target.grads_at(trace.base)
    return list(seen.values())


def _visible(frame: FrameType) -> dict[str, Any]:
    """The locals; in a comprehension also those of the function around it."""
    local = dict(frame.f_locals)
    if frame.f_code.co_name in ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>") and frame.f_back is not None:
        return {**frame.f_back.f_locals, **local}
    return local


def _ranks(trace: Trace, judgement: Judgement) -> dict[int, int]:
    """How suspect each statement is, by identity: 0 the most."""
    recording, sites = judgement.recording, trace.program.sites
    wrong = trace.wrong(recording.gradients)
    reached = {index for name in wrong for index in behind(recording, recording.sinks.get(name))}
    ranks: dict[int, int] = {}
    for i, event in enumerate(recording.events):
        rank = 3
        if judgement.suspect(i) and not judgement.blocked[i]:
            rank = 0
        elif i in reached:
            rank = 2 if judgement.right(i) else 1
        key = id(sites[event.site].statement)
        ranks[key] = min(rank, ranks.get(key, rank))
    return ranks


def _may_hang(statement: Statement, program: Program) -> bool:
    """Whether it stands in a function with a loop that counts by itself, which an edit might let run forever."""
    line = statement.node.lineno
    return any(first <= line <= last for first, last in _whiles(program.sources[statement.file]))


@lru_cache(maxsize=16)
def _whiles(source: Source) -> tuple[tuple[int, int], ...]:
    return tuple(
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef) and any(isinstance(one, ast.While) for one in ast.walk(node))
    )
