"""The record of a line: its place in characters, what the trace says of it, and the edit that mends it."""

from __future__ import annotations

import ast
from types import SimpleNamespace
from typing import Any

import numpy as np

from gradcheck._repair.by_value import Repair
from gradcheck._repair.line_findings import line_finding
from gradcheck._tracing.faults import Fault
from gradcheck._usercode.patching import Edit, Patch
from gradcheck._usercode.rewriting import Statement
from gradcheck._usercode.source import Source
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import EquivalentEdit, Label, Mistake, RightInput

FILE = "/nowhere/cell.py"
SOURCE = """\
def backward(dh, o):
    ä = 1; do = dh * dsigmoid(o)
    dz = (
        do)
    return dz
"""
TRACE: Any = SimpleNamespace(program=SimpleNamespace(sources={FILE: Source(FILE, SOURCE)}))
BODY = ast.parse(SOURCE).body[0].body  # type: ignore[attr-defined]


def statement(number: int) -> Statement:
    """A statement of the function."""
    return Statement(FILE, BODY[number], ast.unparse(BODY[number]), "backward")


def edit(number: int, old: str, new: str) -> Edit:
    """The replacement of a piece of a statement's first line."""
    line = BODY[number].lineno
    begin = SOURCE.splitlines()[line - 1].encode().index(old.encode())
    return Edit((line, begin), (line, begin + len(old.encode())), new)


def fault(at: Statement, factor: float | None = None) -> Fault:
    """What a trace says of it."""
    expected = np.array([1.0, 2.0, 3.0])
    given = np.array([1.0, 1.0, 1.0]) if factor is None else factor * expected
    inputs = {"dh": Label.at_execution("h", 1, 2)}
    return Fault(at, {(0, 0): expected}, {(0, 0): given}, Label("z"), inputs=inputs, blocks=("W", "b"))


def test_a_line_without_an_edit() -> None:
    """A line would be named at another place, or without what is known of it."""
    found = line_finding(Repair([], (), fault(statement(1))), TRACE, None)
    assert (found.code, found.blocks, found.fix) == (FindingCode.WRONG_LINE, ("W", "b"), None)
    assert (found.file, found.line, found.function) == (FILE, 2, "backward")
    assert (found.column, found.end_column) == (12, 33)  # in characters: the line has a letter of two bytes
    assert found.statement == "do = dh * dsigmoid(o)"
    assert (found.expected, found.given) == (Label("z"), None)
    assert found.evidence == (RightInput("dh", Label("h", 1, 2, 0)),)


def test_a_statement_over_several_lines_has_no_end_column() -> None:
    """A column would be told that belongs to another line."""
    found = line_finding(Repair([], (), fault(statement(2))), TRACE, None)
    assert (found.line, found.column, found.end_column) == (3, 5, None)


def test_a_line_with_an_edit() -> None:
    """The fix would be another than the one that was verified, or the place be that of the statement."""
    right, other = edit(1, "dsigmoid(o)", "o * (1 - o)"), edit(1, "dsigmoid(o)", "(o - o * o)")
    at = statement(1)
    repair = Repair([(at, right), (at, other)], ("W",), fault(at))
    found = line_finding(repair, TRACE, Patch([(at, right)], {FILE: SOURCE}))
    assert found.code is FindingCode.SIGMOID_DERIVATIVE
    assert (found.line, found.column, found.end_column) == (2, 22, 33)
    assert found.fix is not None
    assert (found.fix.before, found.fix.after) == ("ä = 1; do = dh * dsigmoid(o)", "ä = 1; do = dh * o * (1 - o)")
    assert found.fix.verified
    assert "+    ä = 1; do = dh * o * (1 - o)\n" in found.fix.diff
    assert found.evidence == (
        Mistake("o", called="dsigmoid"),
        EquivalentEdit(2, "ä = 1; do = dh * (o - o * o)"),
        RightInput("dh", Label("h", 1, 2, 0)),
    )
    assert found.blocks == ("W",)


def test_what_the_trace_says_of_another_statement_is_left_out() -> None:
    """A line would be told to give what another one should."""
    repair = Repair([(statement(1), edit(1, "dh *", "2 *"))], ("W",), fault(statement(3)))
    found = line_finding(repair, TRACE, Patch(repair.alternatives, {FILE: SOURCE}))
    assert found.expected is None


def test_a_multiple_is_told_as_one() -> None:
    """A wrong sign would be told as the derivative of nothing."""
    found = line_finding(Repair([], (), fault(statement(1), -1.0)), TRACE, None)
    assert found.given == Label("z", factor=-1.0)


def test_the_line_of_a_common_factor_has_its_symptom() -> None:
    """The line that divides by T too often would be told as the cause of single gradients."""
    repair = Repair([(statement(3), edit(3, "dz", "dz / T"))], ("W",), kind="reduction")
    found = line_finding(repair, TRACE, Patch(repair.alternatives, {FILE: SOURCE}))
    assert (found.code.value, found.kind) == ("division-missing", "reduction")
