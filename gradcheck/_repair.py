"""Mends faulty statements: edits that give what the trace says they should give, verified by checking the whole again.

An edit is first judged by its value: evaluated in the frame of the running backward, in the place of the statement,
does it give the right derivative at every execution? Where a statement cannot be judged so (it calls what must not be
called twice), the backward is run with it. The forward is never edited.
"""

from __future__ import annotations

import ast
import difflib
import itertools
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np

from gradcheck._edits import Edit, Scope, applied, edits, exchanges
from gradcheck._errors import TargetError
from gradcheck._evaluate import number
from gradcheck._instrument import compiled, swapped
from gradcheck._record import record
from gradcheck._rewrite import Statement
from gradcheck._target import Array
from gradcheck._trace import Fault, Trace

#: equivalent edits that are kept
MOST_ALTERNATIVES = 4
#: chains that are verified by a whole check
MOST_CHAINS = 6
#: the frame of the user's statement, seen from a hook: hook, recorder, tap, statement
DEPTH = 3


@dataclass
class Mend:
    """The edits that mend one fault, the best first; all in one file. Each is an alternative to the others."""

    fault: Fault
    file: str
    alternatives: list[tuple[Statement, Edit]] = field(default_factory=list)


@dataclass
class Patch:
    """One edit of each of some files' statements, together."""

    chosen: list[tuple[Statement, Edit]]
    sources: dict[str, str]

    def patched(self, file: str) -> str:
        """The file's source with the edits."""
        return applied(self.sources[file], [edit for statement, edit in self.chosen if statement.file == file])

    def plain(self) -> dict[str, list[tuple[int, int, int, int, str]]]:
        """The edits by file, as builtins."""
        result: dict[str, list[tuple[int, int, int, int, str]]] = {}
        for statement, edit in self.chosen:
            result.setdefault(statement.file, []).append((*edit.start, *edit.end, edit.text))
        return result

    @contextmanager
    def in_place(self, codes: list[CodeType]) -> Iterator[None]:
        """Functions run as if the files had been edited."""
        changed: dict[CodeType, CodeType] = {}
        for file in {statement.file for statement, _ in self.chosen}:
            source = self.sources[file]
            pairs = compiled(file, ast.parse(self.patched(file)), source)
            for code in codes:
                if code.co_filename == file:
                    new = pairs.get(code) or next((b for a, b in pairs.items() if _place(a) == _place(code)), None)
                    if new is not None:
                        changed[code] = new
        with swapped(changed):
            yield


def mends(trace: Trace, faults: list[Fault], seconds: float) -> list[Mend]:
    """Edits judged by value, for each fault. Call it while the trace is open."""
    overrides = {key: value for fault in faults for key, value in fault.expected.items()}
    deadline = time.process_time() + seconds
    result = []
    for fault in faults:
        mend = Mend(fault, fault.statement.file)
        judge = _ByValue(trace, fault, mend)
        if judge.can:
            judge.run(overrides, deadline)
        result.append(mend)
    return result


def mends_by_run(trace: Trace, found: list[Mend], seconds: float) -> None:
    """Edits for the faults that have none, judged by running the backward. Call it when the trace is closed."""
    deadline = time.process_time() + seconds
    sources = trace.program.sources
    chosen = [mend.alternatives[0] for mend in found if mend.alternatives]
    for mend in found:
        if mend.alternatives:
            continue
        before = _wrong(trace, Patch(chosen, sources))
        for statement, edit, exchange in _to_run(mend.fault, sources):
            enough = len(mend.alternatives) >= (MOST_ALTERNATIVES if exchange else 1)
            if time.process_time() > deadline or enough:
                break
            wrong = _wrong(trace, Patch([*chosen, (statement, edit)], sources))
            if wrong is None or before is None or not set(wrong) < set(before):
                continue
            if not wrong or not set(mend.fault.blocks) & set(wrong):
                mend.alternatives.append((statement, edit))
        if mend.alternatives:
            chosen.append(mend.alternatives[0])


def chains(found: list[Mend]) -> Iterator[list[tuple[Statement, Edit]]]:
    """Combinations with one alternative of each mend, the likeliest first."""
    choices = [mend.alternatives for mend in found if mend.alternatives]
    ordered = sorted(
        itertools.islice(itertools.product(*(range(len(one)) for one in choices)), 4096), key=lambda one: sum(one)
    )
    for picks in ordered[:MOST_CHAINS]:
        yield [one[i] for one, i in zip(choices, picks, strict=True)]


def diff(patch: Patch, file: str) -> str:
    """The unified diff of a file."""
    name = file.removeprefix("/")
    before, after = patch.sources[file].splitlines(keepends=True), patch.patched(file).splitlines(keepends=True)
    return "".join(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}"))


def changed_lines(statement: Statement, edit: Edit, sources: dict[str, str]) -> tuple[int, str, str]:
    """(line, before, after): what the edit does to the lines that it touches."""
    source = sources[statement.file]
    before = source.splitlines()
    after = applied(source, [edit]).splitlines()
    first, last = edit.start[0], edit.end[0] + len(after) - len(before)
    return (
        first,
        "\n".join(before[first - 1 : edit.end[0]]).strip(),
        "\n".join(after[first - 1 : last]).strip(),
    )


# -- by value ----------------------------------------------------------------------------------------------------------


class _ByValue:
    """Evaluates edits in the frame of the statement, in one run of the backward with every fault overridden."""

    def __init__(self, trace: Trace, fault: Fault, mend: Mend) -> None:
        self.trace, self.fault, self.mend = trace, fault, mend
        sites = trace.program.sites
        self.source = trace.program.sources[fault.statement.file]
        self.node = original(fault.statement, self.source)
        tops = [one for one in fault.statement.sites if sites[one].top and sites[one].kind in ("value", "load")]
        self.tops = tops
        expected = {site for site, _ in fault.expected}
        simple = isinstance(self.node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return))
        after = isinstance(self.node, ast.AugAssign) and all(sites[one].kind == "after" for one in expected)
        self.after = after
        self.can = simple and bool(tops) and (expected <= set(tops) or after)
        if self.can and isinstance(self.node, ast.AugAssign) and isinstance(self.node.target, ast.Subscript) and after:
            self.can = False
        self.at = next((one for one in tops if one in expected), tops[-1] if tops else -1)
        self.waiting: list[tuple[Edit, CodeType]] | None = None
        self.helpers = [code.co_name for code in trace.program.codes if code.co_qualname == code.co_name]

    def run(self, overrides: dict[tuple[int, int], Array], deadline: float) -> None:
        """Leave the survivors in the mend."""
        self.deadline = deadline
        try:
            record(self.trace.target, self.trace.base, self.trace.program, overrides, self._hook)
        except TargetError:
            return
        self.mend.alternatives += [
            (self.fault.statement, self._tidy(edit)) for edit, _ in (self.waiting or [])[:MOST_ALTERNATIVES]
        ]

    def _hook(self, site: int, execution: int, _: Any) -> None:
        if site != self.at:
            return
        expected = self._expected(execution)
        if expected is None:
            return
        frame = sys._getframe(DEPTH)
        local, glob = dict(frame.f_locals), frame.f_globals
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if isinstance(self.node, ast.AugAssign) and not self.after:
                expected = self._accumulated(expected, local, glob)
            if self.waiting is None:
                self.waiting = list(self._compiled(Scope(local, glob, self.helpers)))
            self.waiting = [
                (edit, code)
                for edit, code in self.waiting
                if time.process_time() < self.deadline and self._gives(code, local, glob, expected)
            ]

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

    def _compiled(self, scope: Scope) -> Iterator[tuple[Edit, CodeType]]:
        for edit in edits(self.node, scope):
            expression = _value_of(edited(self.node, edit, self.source))
            if expression is not None:
                try:
                    yield edit, compile(ast.fix_missing_locations(ast.Expression(expression)), "<edit>", "eval")
                except (SyntaxError, ValueError):
                    continue

    def _tidy(self, edit: Edit) -> Edit:
        """Without parentheses that do nothing."""
        if edit.text.startswith("(") and edit.text.endswith(")"):
            plain = edit._replace(text=edit.text[1:-1])
            new, old = edited(self.node, plain, self.source), edited(self.node, edit, self.source)
            if new is not None and old is not None and ast.dump(new) == ast.dump(old):
                return plain
        return edit

    def _gives(self, code: CodeType, local: dict[str, Any], glob: dict[str, Any], expected: dict[int, Array]) -> bool:
        try:
            value = eval(code, glob, dict(local))
            for position, right in expected.items():
                part = value if position < 0 else _leaves(value)[position]
                if np.shape(part) != right.shape or not self.trace.library.equal(np.asarray(part, dtype=float), right):
                    return False
        except Exception:  # whatever an edited expression may raise: it is not the right one
            return False
        return True


def _leaves(value: Any) -> list[Any]:
    """The values in a nest of displays, in the order in which they are written."""
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for part in value for leaf in _leaves(part)] if isinstance(value, (tuple, list)) else [value]


def original(statement: Statement, source: str) -> ast.stmt:
    """The statement as it stands in the source."""
    node = statement.node
    for other in ast.walk(ast.parse(source)):
        if isinstance(other, type(node)) and (other.lineno, other.col_offset) == (node.lineno, node.col_offset):
            return other
    raise LookupError(statement.text)


def edited(node: ast.stmt, edit: Edit, source: str) -> ast.stmt | None:
    """The statement with the edit; None if that is no statement."""
    assert node.end_lineno is not None
    lines = source.splitlines(keepends=True)
    end = node.end_lineno
    segment = applied("".join(lines[node.lineno - 1 : end]), [_shifted(edit, 1 - node.lineno)])
    text = segment.encode()[node.col_offset :].decode().rstrip()
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return None
    return body[0] if len(body) == 1 else None


def _shifted(edit: Edit, by: int) -> Edit:
    return Edit((edit.start[0] + by, edit.start[1]), (edit.end[0] + by, edit.end[1]), edit.text)


def _value_of(node: ast.stmt | None) -> ast.expr | None:
    """What the statement's target, or the caller, has afterwards."""
    if isinstance(node, ast.AugAssign):
        target = ast.parse(ast.unparse(node.target), mode="eval").body
        return ast.BinOp(target, node.op, node.value)
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.Return)):
        return node.value
    return None


# -- by running --------------------------------------------------------------------------------------------------------


def _to_run(fault: Fault, sources: dict[str, str]) -> Iterator[tuple[Statement, Edit, bool]]:
    """Edits of the statement and of those behind it: first those that exchange two things."""
    around = []
    for statement in [fault.statement, *fault.through[:8]]:
        node = original(statement, sources[statement.file])
        if not isinstance(node, (ast.FunctionDef, ast.For, ast.While, ast.If, ast.With)):
            around.append((statement, node))
    for statement, node in around:
        for edit in exchanges(node):
            yield statement, edit, True
    for statement, node in around:
        for edit in edits(node, Scope({}, {})):
            yield statement, edit, False


def _wrong(trace: Trace, patch: Patch) -> tuple[str, ...] | None:
    """The wrong gradients with the patch; None if the code does not run, or its loss is another one."""
    codes = list(trace.program.codes)
    try:
        with patch.in_place(codes):
            target = trace.target
            if abs(number(target.loss_at(trace.base)) - trace.loss) > 1e-9 * abs(trace.loss):
                return None
            raw = target.grads_at(trace.base)
            gradients = {str(name): np.asarray(value, dtype=float) for name, value in dict(raw).items()}
            return trace.wrong(gradients)
    except (TargetError, SyntaxError, ValueError, TypeError):
        return None


def _place(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno
