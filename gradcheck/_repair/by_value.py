"""Mends faulty statements: edits that give what the trace says they should give, judged by their value.

An edit is evaluated in the frame of the running backward, in the place of the statement: does it give the right
derivative at every execution? What cannot be judged so is left to the search by running.
"""

from __future__ import annotations

import ast
import itertools
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, TypeAlias

import numpy as np

from gradcheck._common.arrays import Array
from gradcheck._common.clock import look
from gradcheck._common.errors import TargetError
from gradcheck._repair.by_running import MOST_ALTERNATIVES
from gradcheck._repair.edits import candidate_edits
from gradcheck._repair.synthesis import synthesise
from gradcheck._tracing.faults import Fault, further, hidden
from gradcheck._tracing.recording import Overrides, record
from gradcheck._tracing.trace import Trace
from gradcheck._usercode.patching import Patch, growth_of_edit, replace_expression, source_node
from gradcheck._usercode.rewriting import Statement
from gradcheck._usercode.scope import Scope, items_read
from gradcheck._usercode.source import Edit, Source
from gradcheck._usercode.style import edited_statement, styled_edit

#: chains that are verified by a whole check
MOST_CHAINS = 6
#: places that are compared with one that explains as much
MOST_RIVALS = 4
#: earlier statements that are tried where a faulty one has no mend
MOST_FURTHER = 8
#: what may be wrong behind a fault that has no mend
MOST_HIDDEN = 24
#: edits of one statement that are judged by value
MOST_JUDGED = 6000
#: the frame of the user's statement, seen from a hook: hook, recorder, tap, statement
DEPTH = 3


@dataclass
class Repair:
    """The edits that mend one fault, the best first. Each is an alternative to the others."""

    alternatives: list[tuple[Statement, Edit]] = field(default_factory=list)
    #: the gradients that it makes right
    blocks: tuple[str, ...] = ()
    #: what the trace says of it, if it was the trace that found it
    fault: Fault | None = None
    #: the finding's kind; of a line, the pattern of the gradients that it makes wrong
    kind: str = "line"
    #: mends of other lines that would explain as much
    instead: list[Repair] = field(default_factory=list)

    @property
    def other_lines(self) -> int:
        """How much longer its best edit makes the code."""
        return growth_of_edit(self.alternatives[0][1])


def repairs_by_value(trace: Trace, faults: list[Fault]) -> list[Repair]:
    """Edits judged by value, for each fault. Call it while the trace is open."""
    overrides = {key: value for fault in faults for key, value in fault.expected.items()}
    result: list[Repair] = []
    for fault in faults:
        mend = _best(trace, fault, overrides)
        result += [mend] if mend.alternatives else _with_hidden(trace, mend, overrides)
    return _each_once(result)


def _each_once(found: list[Repair]) -> list[Repair]:
    """One mend for each edit, though several faults may lead to it."""
    result: list[Repair] = []
    for mend in found:
        same = [one for one in result if mend.alternatives and one.alternatives[:1] == mend.alternatives[:1]]
        if same:
            same[0].blocks = tuple(dict.fromkeys([*same[0].blocks, *mend.blocks]))
        else:
            result.append(mend)
    return result


def _best(trace: Trace, fault: Fault, overrides: Overrides) -> Repair:
    """The mend of a fault, or of another that explains as much, whichever is the shorter edit."""
    others = {key: value for key, value in overrides.items() if key not in fault.expected}
    found = [_mend(trace, fault, overrides)]

    def add(rival: Fault) -> bool:
        rival.blocks = fault.blocks
        found.append(_mend(trace, rival, {**others, **rival.expected}))
        return bool(found[-1].alternatives)

    for rival in fault.rivals[:MOST_RIVALS]:
        add(rival)
    if not any(mend.alternatives for mend in found):
        any(add(rival) for rival in itertools.islice(further(trace, fault, overrides), MOST_FURTHER))
    best, *rest = sorted([mend for mend in found if mend.alternatives], key=lambda mend: mend.other_lines) or found[:1]
    best.instead = rest
    return best


def _with_hidden(trace: Trace, mend: Repair, overrides: Overrides) -> list[Repair]:
    """A mend that works once something behind it is mended as well; the mend as it is if there is none."""
    assert mend.fault is not None
    for other in itertools.islice(hidden(trace, mend.fault, overrides), MOST_HIDDEN):
        other.blocks = mend.blocks
        both = {**overrides, **other.expected}
        judge = _ByValue(trace, mend.fault)
        if judge.can and judge.unedited(both):
            return [_mend(trace, other, both)]
        with_other = _mend(trace, mend.fault, both)
        if with_other.alternatives:
            return [with_other, _mend(trace, other, both)]
    return [mend]


def _mend(trace: Trace, fault: Fault, overrides: Overrides) -> Repair:
    judge = _ByValue(trace, fault)
    held = (fault.statement.file, fault.statement.function) in trace.held
    return Repair(judge.run(overrides) if judge.can and not held else [], fault.blocks, fault)


def edit_combinations(found: list[Repair]) -> Iterator[list[tuple[Statement, Edit]]]:
    """Combinations with one alternative of each mend, the likeliest first."""
    choices = [mend.alternatives for mend in found]
    ordered = sorted(
        itertools.islice(itertools.product(*(range(len(one)) for one in choices)), 4096), key=lambda one: sum(one)
    )
    for picks in ordered[:MOST_CHAINS]:
        yield [one[i] for one, i in zip(choices, picks, strict=True)]


def diff(patch: Patch, file: str) -> str:
    """The unified diff of a file."""
    return patch.sources[file].diff(patch.edits()[file])


def changed_lines(statement: Statement, edit: Edit, sources: dict[str, Source]) -> tuple[int, str, str]:
    """(line, before, after): what the edit does to the lines that it touches."""
    return sources[statement.file].change(edit)


#: makes edits, given what the statement should leave (by position in its tuple) and what it can name
_EditMaker: TypeAlias = Callable[[dict[int, Array], Scope], Iterator[Edit]]

# -- by value ----------------------------------------------------------------------------------------------------------


class _ByValue:
    """Evaluates edits in the frame of the statement, in one run of the backward with every fault overridden."""

    def __init__(self, trace: Trace, fault: Fault) -> None:
        self.trace, self.fault = trace, fault
        sites = trace.program.sites
        self.source = trace.program.sources[fault.statement.file]
        self.node = source_node(fault.statement, self.source)
        tops = [
            one
            for one in fault.statement.sites
            if sites[one].is_statement_value and sites[one].kind in ("value", "load")
        ]
        self.tops = tops
        expected = {site for site, _ in fault.expected}
        simple = isinstance(self.node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return))
        after = isinstance(self.node, ast.AugAssign) and all(sites[one].kind == "after" for one in expected)
        self.after = after
        self.can = simple and bool(tops) and (expected <= set(tops) or after)
        if self.can and isinstance(self.node, ast.AugAssign) and isinstance(self.node.target, ast.Subscript) and after:
            self.can = all(sites[one].is_item_update for one in expected)  # else it is the whole array that is expected
        self.at = next((one for one in tops if one in expected), tops[-1] if tops else -1)

    def run(self, overrides: Overrides) -> list[tuple[Statement, Edit]]:
        """The edits that give the right value every time; or else what can be written there anew."""
        found = self._surviving(overrides, self._edits)
        if not found:  # the last step of a sequence, which comes first, may be like no other
            found = self._surviving(overrides, self._synthesised) or self._surviving(overrides, self._synthesised, 1)
            found = sorted(found, key=growth_of_edit)[:1]
        found.sort(key=growth_of_edit)
        return [(self.fault.statement, styled_edit(self.node, edit, self.source)) for edit in found[:MOST_ALTERNATIVES]]

    def unedited(self, overrides: Overrides) -> bool:
        """Whether the statement gives the right value every time as it stands."""
        value = self.node.value  # type: ignore[attr-defined]  # `can` says that it has one
        same = replace_expression(value, self.source.segment_of(value))
        return bool(self._surviving(overrides, lambda *_: iter([same])))

    def _surviving(self, overrides: Overrides, make: _EditMaker, skipped: int = 0) -> list[Edit]:
        waiting: list[tuple[Edit, CodeType]] | None = None
        seen = 0
        failed: list[Exception] = []

        def hook(site: int, execution: int, _: Any) -> None:
            nonlocal waiting, seen
            expected = self._expected(execution) if site == self.at and not failed else None
            if expected is None:
                return
            seen += 1
            if seen <= skipped:
                return
            frame = sys._getframe(DEPTH)
            try:
                waiting = self._still(waiting, make, expected, dict(frame.f_locals), frame.f_globals)
            except Exception as error:  # ours, which must not be taken for one of the user's code
                failed.append(error)

        try:
            record(self.trace.target, self.trace.base, self.trace.program, overrides, hook)
        except TargetError:
            return []
        if failed:
            raise failed[0]
        return [edit for edit, _ in waiting or []]

    def _still(
        self,
        waiting: list[tuple[Edit, CodeType]] | None,
        make: _EditMaker,
        expected: dict[int, Array],
        local: dict[str, Any],
        glob: dict[str, Any],
    ) -> list[tuple[Edit, CodeType]]:
        """The edits that are still right after this execution."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if isinstance(self.node, ast.AugAssign) and not self.after:
                expected = self._accumulated(expected, local, glob)
            if waiting is None:
                scope = Scope(local, glob, self.trace.program.helpers, items_read(self.source, self.node.lineno))
                waiting = list(self._compiled(itertools.islice(make(expected, scope), MOST_JUDGED)))
            return [one for one in waiting if self._gives(one[1], local, glob, expected)]

    def _expected(self, execution: int) -> dict[int, Array] | None:
        """By position in the statement's tuple (-1: the whole)."""
        found: dict[int, Array] = {}
        for (site, when), value in self.fault.expected.items():
            if when == execution:
                display = isinstance(getattr(self.node, "value", None), (ast.Tuple, ast.List, ast.Dict))
                found[self.tops.index(site) if site in self.tops and display else -1] = value
        return found or None

    def _accumulated(self, expected: dict[int, Array], local: dict[str, Any], glob: dict[str, Any]) -> dict[int, Array]:
        assert isinstance(self.node, ast.AugAssign)
        target = ast.parse(ast.unparse(self.node.target), mode="eval").body
        now = ast.Expression(ast.BinOp(target, self.node.op, ast.Name("\0expected", ast.Load())))
        code = compile(ast.fix_missing_locations(now), "<edit>", "eval")
        return {key: eval(code, glob, {**local, "\0expected": value}) for key, value in expected.items()}

    def _edits(self, _: dict[int, Array], scope: Scope) -> Iterator[Edit]:
        return candidate_edits(self.node, scope)

    def _synthesised(self, expected: dict[int, Array], scope: Scope) -> Iterator[Edit]:
        """What would have to stand in the statement, written anew."""
        value = getattr(self.node, "value", None)
        assert isinstance(value, ast.expr)
        for position, right in expected.items():
            parts = [value] if position < 0 else _leaves_of(value)
            needed = self._needed(right, scope)
            handed_on = position >= 0 and isinstance(parts[position], ast.Name)  # it was computed elsewhere
            if needed is not None and not handed_on:
                yield from synthesise(parts[max(position, 0)], needed, scope)

    def _needed(self, right: Array, scope: Scope) -> Array | None:
        """What the expression has to be, if the statement is to leave this."""
        if not isinstance(self.node, ast.AugAssign):
            return right
        now = scope.value(ast.parse(ast.unparse(self.node.target), mode="eval").body)
        if now is None or not isinstance(self.node.op, (ast.Add, ast.Sub)):
            return None
        return np.asarray(right - now if isinstance(self.node.op, ast.Add) else now - right)

    def _compiled(self, tried: Iterable[Edit]) -> Iterator[tuple[Edit, CodeType]]:
        for edit in tried:
            expression = _value_of(edited_statement(self.node, edit, self.source))
            if expression is not None:
                try:
                    yield edit, compile(ast.fix_missing_locations(ast.Expression(expression)), "<edit>", "eval")
                except (SyntaxError, ValueError):
                    continue

    def _gives(self, code: CodeType, local: dict[str, Any], glob: dict[str, Any], expected: dict[int, Array]) -> bool:
        display = getattr(self.node, "value", None)
        assert isinstance(display, ast.expr)
        look()
        try:
            value = eval(code, glob, dict(local))
            for position, right in expected.items():
                part = value if position < 0 else _leaves(value, display)[position]
                if np.shape(part) != right.shape or not self.trace.library.equal(np.asarray(part, dtype=float), right):
                    return False
        except Exception:  # whatever an edited expression may raise: it is not the right one
            return False
        return True


def _leaves(value: Any, node: ast.expr) -> list[Any]:
    """The values in a nest of displays, in the order in which they are written."""
    if isinstance(node, ast.Dict):
        value, inner = list(value.values()), node.values
    elif isinstance(node, (ast.Tuple, ast.List)):
        inner = node.elts
    else:
        return [value]
    return [leaf for part, one in zip(value, inner, strict=True) for leaf in _leaves(part, one)]


def _leaves_of(node: ast.expr) -> list[ast.expr]:
    """The expressions in a nest of displays, in the order in which they are written."""
    if isinstance(node, ast.Dict):
        return [leaf for part in node.values for leaf in _leaves_of(part)]
    if isinstance(node, (ast.Tuple, ast.List)):
        return [leaf for part in node.elts for leaf in _leaves_of(part)]
    return [node]


def _value_of(node: ast.stmt | None) -> ast.expr | None:
    """What the statement's target, or the caller, has afterwards."""
    if isinstance(node, ast.AugAssign):
        target = ast.parse(ast.unparse(node.target), mode="eval").body
        return ast.BinOp(target, node.op, node.value)
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.Return)):
        return node.value
    return None
