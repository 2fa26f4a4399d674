"""Labels of derivatives and the names of evidence."""

from __future__ import annotations

import pytest

from gradcheck.report.evidence import Label, RightWhereOne, WorstEntry


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (Label("h"), "dL/d(h)"),
        (Label.at_execution("h", 2, 3), "dL/d(h) at execution 2 of 3"),
        (Label("h").with_detail("accumulated"), "dL/d(h), accumulated"),
        (Label("h").with_detail("through 2 of its uses").with_detail("row 1"), "dL/d(h), through 2 of its uses, row 1"),
        (Label("h", sum_of="the sum of the last 2 of 3"), "dL/d(h), the sum of the last 2 of 3"),
        (Label("h").times(-2.0), "-2 * dL/d(h)"),
        (Label("h").beside(Label("c")).beside(Label("x")), "dL/d(h) and dL/d(c) and dL/d(x)"),
    ],
)
def test_a_label_reads_as_a_derivative(label: Label, words: str) -> None:
    """A report would name another derivative than the trace found."""
    assert str(label) == words


def test_a_time_step_counts_from_zero() -> None:
    """The first time step would be called the second."""
    assert Label.at_execution("h", 1, 3).time_step == 0


def test_an_execution_is_left_out_of_all() -> None:
    """What holds at every time step would be told of one of them; or another part of the label be lost."""
    label = Label.at_execution("h", 2, 3).with_detail("row 1").beside(Label.at_execution("c", 1, 3))
    assert label.without_execution() == Label("h", detail="row 1", also=(Label("c"),))


def test_each_gives_the_values_one_by_one() -> None:
    """The second value of a statement would be told twice, or not at all."""
    assert Label("a").beside(Label("b").beside(Label("c"))).each() == (Label("a"), Label("b"), Label("c"))


def test_a_multiple_is_one_of_all_values() -> None:
    """Only the first of two values of a statement would be called too large."""
    assert [one.factor for one in Label("a").beside(Label("b")).times(3.0).each()] == [3.0, 3.0]


def test_evidence_is_named_after_its_class() -> None:
    """Evidence in data could not be told from another kind."""
    assert (WorstEntry.kind, RightWhereOne.kind) == ("worst-entry", "right-where-one")
