"""What is told of the lines above a fault."""

from __future__ import annotations

from pathlib import Path

from gradcheck._repair.explain import Question, explain
from gradcheck.report.evidence import RightLine
from tests.gradcheck._repair.spoiled import HEAD, cell, line_of

DW, DU = "dW += np.outer(da, self.h[t - 1])", "dU += np.outer(da, self.x[t - 1])"
DH, DA, CARRY = "dh = self.h[t] + carry", "da = dh * (1 - self.h[t]**2)", "carry = self.W.T @ da"


def held(folder: Path, *bugs: tuple[str, str]) -> list[dict[int, list[str]]]:
    """Of each finding: by line, the derivatives that are told."""
    factory = cell(folder, *bugs)
    found = explain(Question(factory, 0, None, dict(factory.sizes), {"W", "U"}, lambda *_: True))
    return [
        {one.line: [str(label) for label in one.labels] for one in finding.evidence if isinstance(one, RightLine)}
        for finding in found.findings
    ]


def test_the_line_above_is_told_with_its_derivative(tmp_path: Path) -> None:
    """A reader would not see that what the wrong line reads is right."""
    (found,) = held(tmp_path, (DA, "da = dh * (1 - self.h[t])**2"))
    (line,) = found
    assert line == line_of(DH)
    assert found[line] == ["dL/d(np.tanh(self.W @ self.h[-1] + self.U @ xt))"]


def test_a_line_that_is_wrong_itself_is_not_called_right(tmp_path: Path) -> None:
    """Of two faults one below the other, the upper one would be called right in the report of the lower one."""
    found = held(tmp_path, (DU, "dU += np.outer(da, 2 * self.x[t - 1])"), (DW, "dW -= np.outer(da, self.h[t - 1])"))
    assert [[*one] for one in found] == [[line_of(DH), line_of(DA)], [line_of(DA)]]


def test_a_line_below_the_carry_is_told_as_it_is_with_the_edits(tmp_path: Path) -> None:
    """Where the carry is wrong, a line of the loop is right at the last step alone: it would be told for nothing."""
    (found,) = held(tmp_path, (CARRY, "carry = self.W @ da"))
    assert [*found.values()] == [["dL/d(W)"], ["dL/d(U)"]]
    assert min(found) == line_of("dW += np.outer", HEAD)
