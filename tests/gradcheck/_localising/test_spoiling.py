"""What reads right derivatives and gives none, and what gives a multiple of one where the backward begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._localising.ground import Ground
from gradcheck._localising.spoiling import multiples, spoiling, without_right_consequences
from tests.gradcheck._repair.lists import LISTS
from tests.gradcheck._repair.spoiled import cell, line_of, taped


def lines(folder: Path, *bugs: tuple[str, str]) -> list[int]:
    """Where derivatives are spoiled."""
    run, _ = taped(cell(folder, *bugs, source=LISTS))
    return [one.statement.line for one in spoiling(run) if one.executions]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"),
        ("dg *= 1 - g ** 2", "dg *= 1 - np.tanh(g) ** 2"),
        ("dc += dh * o * (1 - np.tanh(cs[t + 1]) ** 2)", "dc += dh * o * (1 - np.tanh(cs[t]) ** 2)"),
    ],
)
def test_the_statement_that_spoils_is_told(tmp_path: Path, old: str, new: str) -> None:
    """The first fault on a way would not be seen, or what stands behind it be told instead."""
    assert lines(tmp_path, (old, new)) == [line_of(old, LISTS)]


def test_right_code_spoils_nothing(tmp_path: Path) -> None:
    """Right statements would be edited."""
    assert lines(tmp_path) == []


def test_what_reads_what_is_wrong_is_not_told(tmp_path: Path) -> None:
    """A statement behind a fault would be edited to make up for it."""
    bugs = [("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"), ("do = o * (1 - o) * do", "do = o * do")]
    assert lines(tmp_path, *bugs) == [line_of(bugs[0][0], LISTS)]


def test_a_multiple_of_a_derivative_is_told_with_its_factor(tmp_path: Path) -> None:
    """Where the backward begins with a sum for a mean, nothing behind it would be recognised."""
    old = "dv = (outs[t] - y[t]) / len(y[t])"
    run, _ = taped(cell(tmp_path, (old, "dv = outs[t] - y[t]"), source=LISTS))
    first = multiples(run)[0]
    assert (first.statement.line, round(first.factor, 9)) == (line_of(old, LISTS), 5.0)


def test_right_values_are_no_multiples(tmp_path: Path) -> None:
    """Right code would be scaled."""
    run, _ = taped(cell(tmp_path, source=LISTS))
    assert multiples(run) == []
    assert run.once(Ground) is run.once(Ground)


def test_executions_that_give_what_is_right_are_kept(tmp_path: Path) -> None:
    """An edit for one step would be free to change what is right at the others."""
    old = "dc += dh * o * (1 - np.tanh(cs[t + 1]) ** 2)"
    new = "dc += dh * o * (1 - np.tanh(cs[max(t + 1, 2)]) ** 2)"
    run, _ = taped(cell(tmp_path, (old, new), source=LISTS))
    (one,) = (one for one in spoiling(run) if one.executions)
    assert (one.executions, one.kept) == ((3,), (0, 1, 2))


def test_a_step_on_the_way_to_something_right_is_no_fault(tmp_path: Path) -> None:
    """Half of a derivative that is written in two statements would be accused, and the fault beside it not seen."""
    parts = (
        "dc += dh * o * (1 - np.tanh(cs[t + 1]) ** 2)",
        "half = dh * o\n        dc += half - half * np.tanh(cs[t + 1]) ** 2",
    )
    wrong = ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])")
    run, _ = taped(cell(tmp_path, wrong, source=LISTS))
    found = [one for one in spoiling(run) if one.executions]
    assert [one.statement.line for one in without_right_consequences(run, found)] == [line_of(wrong[0], LISTS)]
    run, _ = taped(cell(tmp_path, parts, source=LISTS))
    assert without_right_consequences(run, [one for one in spoiling(run) if one.executions]) == []
