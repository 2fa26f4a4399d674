"""The line that clips gradients which are right but for it.

The tape tells which statement cuts a gradient off. Where it cannot follow, as into a mask that is assigned, it is the
only statement that ran and clips with this bound, as its text says.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from types import CodeType

from gradcheck._tape import Statement
from gradcheck._usercode.source import Source
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import EntriesClipped, NormClipped
from gradcheck.report.records import Finding

#: what is in the names of functions that cut off at one of their arguments
_CLIPPERS = ("clip", "clamp", "min", "max")


def with_clip_lines(
    findings: Sequence[Finding],
    told: Mapping[str, Statement],
    ran: Sequence[CodeType],
    lines: Collection[tuple[str, int, int]],
) -> tuple[Finding, ...]:
    """The findings with the line of each clip, where it is known.

    Args:
        findings: All of them; others than clips stay as they are.
        told: By gradient: the statement that clips it, as the tape tells.
        ran: The functions that run in the gradients.
        lines: What runs of them: (file, line, first line of the function).
    """
    at = {(file, line) for file, line, _ in lines}
    return tuple(_with_line(one, told, ran, at) if one.code is FindingCode.CLIPPED else one for one in findings)


def _with_line(
    finding: Finding, told: Mapping[str, Statement], ran: Sequence[CodeType], at: Collection[tuple[str, int]]
) -> Finding:
    one = next((told[name] for name in finding.blocks if name in told), None)
    if one is not None:
        text = one.text.splitlines()[0]
        return replace(finding, file=one.file, line=one.line, function=one.function, statement=text)
    bounds = [one.bound for one in finding.evidence if isinstance(one, EntriesClipped)]
    bounds += [one.norm for one in finding.evidence if isinstance(one, NormClipped)]
    # what stands in a function inside another one is its own
    found = {
        (file, statement.lineno): (function, text)
        for code in sorted(ran, key=lambda code: code.co_firstlineno)
        for bound in bounds
        for file, function, statement, text in _statements_with(code, bound)
        if (file, statement.lineno) in at
    }
    if len(found) != 1:  # others may be guards of the forward
        return finding
    ((file, line), (function, text)) = next(iter(found.items()))
    return replace(finding, file=file, line=line, function=function, statement=text.splitlines()[0])


def _statements_with(code: CodeType, bound: float) -> Iterator[tuple[str, str, ast.stmt, str]]:
    """The innermost statements of a function that clip with this number, or with a variable that holds it."""
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
        if any(_clips_with(node, bound, names) for node in own):
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


def _clips_with(node: ast.AST, bound: float, names: set[str]) -> bool:
    """Whether an expression cuts off at the bound: it is compared with, handed to a clip, or divided by a norm."""
    operands: list[ast.expr] = []
    if isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
    elif isinstance(node, ast.Call) and any(one in _called(node.func) for one in _CLIPPERS):
        operands = [*node.args, *(one.value for one in node.keywords)]
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        operands = [node.left]
    return any(_has_bound(one, bound, names) for one in operands)


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _has_bound(node: ast.expr, bound: float, names: set[str]) -> bool:
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    if isinstance(node, ast.Constant):
        return _is_bound(node.value, bound)
    return isinstance(node, ast.Name) and node.id in names


def _is_bound(value: object, bound: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isclose(value, bound, rel_tol=1e-6)
