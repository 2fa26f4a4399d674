"""Edits judged by their value, where the statement runs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gradcheck._common.arrays import Array
from gradcheck._repair.by_value import Repair, changed_lines, diff, edit_combinations, repairs_by_value
from gradcheck._tracing.faults import Fault
from gradcheck._tracing.trace import Trace
from gradcheck._usercode.patching import Patch
from gradcheck._usercode.rewriting import Statement
from gradcheck._usercode.source import Edit, Source
from tests.gradcheck._repair.traced_product import G, X, traced


def fault_at(trace: Trace, text: str, expected: Array) -> Fault:
    """A fault of the statement with this text, which should give a value."""
    site = next(
        one
        for one in trace.program.sites
        if one.statement.text.startswith(text) and one.is_statement_value and one.kind in ("value", "load")
    )
    return Fault(site.statement, {(site.number, 0): expected}, {(site.number, 0): expected}, "dw")


def mended(trace: Trace, repair: Repair) -> list[str]:
    """The statement with each of the alternatives."""
    return [changed_lines(*one, trace.program.sources)[2] for one in repair.alternatives]


@pytest.mark.parametrize(
    ("line", "fixed"), [("dy*w", "dw = dy*x"), ("-(dy*x)", "dw = dy*x"), ("dy / x", "dw = dy * x"), ("dy", "dw = dy*x")]
)
def test_a_statement_is_mended_with_the_value_that_it_needs(line: str, fixed: str, tmp_path: Path) -> None:
    """What the trace knows of a line would mend nothing, or change the style of the line."""
    with traced(tmp_path, line) as trace:
        cotangent = trace.target.problem.cotangents[0]
        (repair,) = repairs_by_value(trace, [fault_at(trace, "dw =", cotangent * X)])
        assert fixed in mended(trace, repair)


def test_a_value_that_nothing_gives_mends_nothing(tmp_path: Path) -> None:
    """An edit would be offered that does not give what is needed."""
    with traced(tmp_path, "dy*w") as trace:
        (repair,) = repairs_by_value(trace, [fault_at(trace, "dw =", G)])
        assert repair.alternatives == []


def test_one_edit_that_mends_two_faults_is_one_repair(tmp_path: Path) -> None:
    """The same line would be named twice."""
    with traced(tmp_path, "dy*w") as trace:
        cotangent = trace.target.problem.cotangents[0]
        both = [fault_at(trace, "dw =", cotangent * X) for _ in range(2)]
        both[0].blocks, both[1].blocks = ("w",), ("x",)
        (repair,) = repairs_by_value(trace, both)
        assert repair.blocks == ("w", "x")


def test_chains_come_with_the_likeliest_first() -> None:
    """A rare combination would be verified before the likely one, and the tries used up."""
    statement = Statement("x.py", ast.parse("y = a").body[0], "y = a", "f")

    def edits(*names: str) -> list[tuple[Statement, Edit]]:
        return [(statement, Edit((1, 4), (1, 5), name)) for name in names]

    found = list(edit_combinations([Repair(edits("a", "b")), Repair(edits("c", "d"))]))
    assert [[edit.text for _, edit in chain] for chain in found] == [["a", "c"], ["a", "d"], ["b", "c"], ["b", "d"]]


def test_a_diff_of_a_file_that_does_not_end_its_last_line() -> None:
    """The diff in a report could not be applied."""
    source = Source("x.py", "y = a")
    statement = Statement("x.py", source.tree.body[0], "y = a", "f")
    text = diff(Patch([(statement, Edit((1, 4), (1, 5), "b"))], {"x.py": source}), "x.py")
    assert text.count("\\ No newline at end of file\n") == 2
