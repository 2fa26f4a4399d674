"""What is told of a line: the record of what the trace says of it, and of the edit that mends it."""

from __future__ import annotations

from dataclasses import replace

from gradcheck._repair.by_value import Repair, changed_lines, diff
from gradcheck._repair.mistake_names import name_mistake
from gradcheck._tracing.faults import Fault
from gradcheck._tracing.trace import Trace
from gradcheck._usercode.patching import Patch, source_node
from gradcheck._usercode.rewriting import Statement
from gradcheck._usercode.source import Edit
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import EquivalentEdit, Evidence, Fix, Label, RightInput
from gradcheck.report.records import Finding


def line_finding(repair: Repair, trace: Trace, patch: Patch | None) -> Finding:
    """The finding of one repair; `patch` is the verified one, if there is one."""
    fault = repair.fault
    if patch is None or not repair.alternatives:
        assert fault is not None  # what the search found is there only with a patch
        return _with_trace(_at_statement(fault, trace), fault)
    chosen = next(one for one in patch.chosen if one in repair.alternatives)
    finding = _with_fix(repair, chosen, trace)
    return _with_trace(finding, fault) if fault is not None and fault.statement is chosen[0] else finding


def _at_statement(fault: Fault, trace: Trace) -> Finding:
    """A line that no edit mends."""
    statement = fault.statement
    node = source_node(statement, trace.program.sources[statement.file])
    one_line = node.end_lineno == node.lineno
    columns = _columns(trace, statement.file, (node.lineno, node.col_offset), node.end_col_offset if one_line else None)
    return Finding(
        FindingCode.WRONG_LINE,
        fault.blocks,
        file=statement.file,
        line=statement.line,
        column=columns[0],
        end_column=columns[1],
        function=statement.function,
        statement=statement.text,
    )


def _with_fix(repair: Repair, chosen: tuple[Statement, Edit], trace: Trace) -> Finding:
    """A line that an edit mends."""
    (statement, edit), sources = chosen, trace.program.sources
    line, before, after = changed_lines(statement, edit, sources)
    mistake = name_mistake(sources[statement.file], edit)
    others = [changed_lines(*one, sources) for one in repair.alternatives if one != chosen]
    columns = _columns(trace, statement.file, edit.start, edit.end[1] if edit.end[0] == line else None)
    return Finding(
        mistake.code,
        repair.blocks,
        (*mistake.evidence, *(EquivalentEdit(at, text) for at, _, text in others)),
        file=statement.file,
        line=line,
        column=columns[0],
        end_column=columns[1],
        function=statement.function,
        statement=before,
        symptom=FindingCode.COMMON_FACTOR if repair.kind == "reduction" else None,
        fix=Fix(line, before, after, diff(Patch([chosen], sources), statement.file), verified=True),
    )


def _with_trace(finding: Finding, fault: Fault) -> Finding:
    """The finding with what the statement should give, what it gives, and which of the values it reads are right."""
    inputs: tuple[Evidence, ...] = tuple(RightInput(name, label) for name, label in fault.inputs.items())
    return replace(finding, expected=fault.label, given=_given(fault), evidence=(*finding.evidence, *inputs))


def _given(fault: Fault) -> Label | None:
    """What the statement gives: a multiple of what it should, or another derivative; None where it is none."""
    return fault.gave if fault.ratio is None else fault.label.times(fault.ratio)


def _columns(trace: Trace, file: str, start: tuple[int, int], end: int | None) -> tuple[int, int | None]:
    """The columns, counted in characters from 1, of bytes of a line."""
    source = trace.program.sources[file]
    column = len(source.segment((start[0], 0), start)) + 1
    return column, None if end is None else len(source.segment((start[0], 0), (start[0], end))) + 1
