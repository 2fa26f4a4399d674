"""The line that clips gradients which are right but for it: its bound stands in the source as a number."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import CodeType

from gradcheck._usercode.source import Source
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import EntriesClipped, NormClipped
from gradcheck.report.records import Finding


def with_clip_lines(findings: Sequence[Finding], ran: Sequence[CodeType]) -> tuple[Finding, ...]:
    """The findings with the line of each clip, where one statement of the functions that ran has its bound."""
    return tuple(_with_line(one, ran) if one.code is FindingCode.CLIPPED else one for one in findings)


def _with_line(finding: Finding, ran: Sequence[CodeType]) -> Finding:
    bounds = [one.bound for one in finding.evidence if isinstance(one, EntriesClipped)]
    bounds += [one.norm for one in finding.evidence if isinstance(one, NormClipped)]
    # a function inside another one is asked first
    inner_first = sorted(ran, key=lambda code: -code.co_firstlineno)
    found = [place for code in inner_first for bound in bounds for place in _statements_with(code, bound)]
    if not found:
        return finding
    file, function, statement, text = found[0]
    return replace(finding, file=file, line=statement.lineno, function=function, statement=text.splitlines()[0])


def _statements_with(code: CodeType, bound: float) -> Iterator[tuple[str, str, ast.stmt, str]]:
    """The innermost statements of a function that have this number in them, or a variable that holds it."""
    source = Source.of_running(code.co_filename)
    if source is None:
        return
    names = {name for name, value in _numbers_bound(source.tree) if _is_bound(value, bound)}
    for statement in ast.walk(source.tree):
        if not isinstance(statement, ast.stmt) or not _is_within(code, statement):
            continue
        own = [node for node in ast.walk(statement) if not isinstance(node, ast.stmt)]
        if any(isinstance(node, ast.stmt) and node is not statement for node in ast.walk(statement)):
            own = [node for part in _heads(statement) for node in ast.walk(part)]
        if any(_has_bound(node, bound, names) for node in own):
            yield source.file, code.co_qualname, statement, source.segment_of(statement)


def _heads(statement: ast.stmt) -> list[ast.expr]:
    """What a compound statement evaluates itself."""
    return [part for part in ast.iter_child_nodes(statement) if isinstance(part, ast.expr)]


def _is_within(code: CodeType, statement: ast.stmt) -> bool:
    lines = [line for _, _, line in code.co_lines() if line is not None]
    return not isinstance(statement, (ast.FunctionDef, ast.ClassDef)) and min(lines) < statement.lineno <= max(lines)


def _numbers_bound(tree: ast.Module) -> Iterator[tuple[str, object]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            yield from ((target.id, node.value.value) for target in node.targets if isinstance(target, ast.Name))


def _has_bound(node: ast.AST, bound: float, names: set[str]) -> bool:
    if isinstance(node, ast.Constant):
        return _is_bound(node.value, bound)
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names


def _is_bound(value: object, bound: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isclose(value, bound, rel_tol=1e-6)
