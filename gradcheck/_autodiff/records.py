"""The records of what is found: a line, what it should give and the edit that mends it; or what a rule returns."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence

from gradcheck._autodiff.mending import Diagnosis
from gradcheck._autodiff.places import Place
from gradcheck._autodiff.suspects import Suspect
from gradcheck._repair.mistake_names import name_mistake
from gradcheck._usercode.source import Edit, Source, span_of
from gradcheck._usercode.style import styled_edit
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import EquivalentEdit, Evidence, Fix, RuleGradients
from gradcheck.report.records import Finding


def fault_finding(
    found: Diagnosis, fault: Sequence[tuple[Place, Edit]], blocks: tuple[str, ...], verified: bool
) -> Finding:
    """The finding of a fault with its edit; the first of these is shown."""
    (place, raw), *others = fault
    source, edit = place.source, styled_edit(place.node, raw, place.source)
    mistake = name_mistake(source, _innermost(source, edit))
    line, before, after = source.change(edit)
    equivalent = [(at, text) for other, one in others for at, _, text in [other.source.change(one)]]
    suspect = next((one for one in found.suspects if one.place.statement.node is place.statement.node), None)
    return Finding(
        mistake.code,
        blocks,
        (*mistake.evidence, *_rule(found), *(EquivalentEdit(at, text) for at, text in equivalent)),
        file=source.file,
        line=line,
        column=_column(source, edit.start),
        end_column=_column(source, edit.end) if edit.end[0] == edit.start[0] else None,
        function=place.statement.function,
        statement=before,
        expected=None if suspect is None else suspect.expected,
        fix=Fix(line, before, after, source.diff([edit]), verified=verified),
    )


def _innermost(source: Source, edit: Edit) -> Edit:
    """The edit of the smallest expression that changes, where the operators around it stay."""
    nodes = [
        one for one in ast.walk(source.tree) if isinstance(one, ast.expr) and span_of(one) == (edit.start, edit.end)
    ]
    try:
        new: ast.expr = ast.parse(edit.text, mode="eval").body
    except SyntaxError:
        return edit
    old: ast.expr | None = nodes[0] if nodes else None
    while isinstance(old, ast.BinOp) and isinstance(new, ast.BinOp) and type(old.op) is type(new.op):
        if ast.dump(old.left) == ast.dump(new.left):
            old, new = old.right, new.right
        elif ast.dump(old.right) == ast.dump(new.right):
            old, new = old.left, new.left
        else:
            break
    return edit if old is None else Edit(*span_of(old), ast.unparse(new))


def unnamed_finding(found: Diagnosis, blocks: tuple[str, ...]) -> Finding:
    """The statement at fault, for which there is no edit; or what the backward returns, with the place of that."""
    suspect = found.suspect
    if suspect is not None and not isinstance(suspect.place.node, ast.Return):
        return _line(found, suspect, blocks)
    file, line, column, text, function = _returned(found)
    return Finding(
        FindingCode.WRONG_RETURN,
        blocks,
        _rule(found),
        file=file,
        line=line,
        column=column,
        function=function,
        statement=text,
    )


def _line(found: Diagnosis, suspect: Suspect, blocks: tuple[str, ...]) -> Finding:
    place = suspect.place
    return Finding(
        FindingCode.WRONG_LINE,
        blocks,
        _rule(found),
        file=place.source.file,
        line=place.node.lineno,
        column=_column(place.source, (place.node.lineno, place.node.col_offset)),
        function=place.statement.function,
        statement=place.source.lines_between(place.node.lineno, place.node.end_lineno or place.node.lineno),
        expected=suspect.expected,
    )


def _rule(found: Diagnosis) -> tuple[Evidence, ...]:
    """What the backward of a rule returns when it is run alone."""
    names = found.case.names
    if not found.case.name:
        return ()
    right = tuple(name for number, name in enumerate(names) if number not in found.wrong)
    mended_at = 1 + len(found.others) if found.mended else 0
    return (RuleGradients(found.case.name, tuple(names[number] for number in found.wrong), right, mended_at),)


def _returned(found: Diagnosis) -> tuple[str | None, int | None, int | None, str | None, str | None]:
    """Where the first wrong gradient stands in the return statement: file, line, column, text, function."""
    function = found.case.returns
    code = getattr(function, "__code__", None)
    source = None if code is None else found.program.sources.get(code.co_filename)
    if source is None or code is None:
        return None, None, None, None, None
    nodes = [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Return) and code.co_firstlineno <= node.lineno <= _last_line(function)
    ]
    if not nodes:
        return source.file, code.co_firstlineno, None, None, code.co_qualname
    node = max(nodes, key=lambda one: one.lineno)
    part: ast.expr | ast.stmt = node
    if isinstance(node.value, ast.Tuple) and found.wrong[0] < len(node.value.elts):
        part = node.value.elts[found.wrong[0]]
    text = source.lines_between(node.lineno, node.end_lineno or node.lineno)
    return source.file, part.lineno, _column(source, (part.lineno, part.col_offset)), text, code.co_qualname


def _last_line(function: object) -> int:
    lines, first = inspect.getsourcelines(function)  # type: ignore[arg-type]  # it has code, so it has lines
    return first + len(lines) - 1


def _column(source: Source, place: tuple[int, int]) -> int:
    """The column of a place, counted in characters from 1."""
    return len(source.segment((place[0], 0), place)) + 1
