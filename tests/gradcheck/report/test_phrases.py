"""What every form of a report says in the same words."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck.report.codes import FindingCode
from gradcheck.report.phrases import (
    footer,
    format_location,
    format_small,
    format_worst_entry,
    headline,
    reasons,
    worst_first,
)
from gradcheck.report.records import Block, Finding, Law, Worst
from gradcheck.report.report import Report
from tests.gradcheck.report.sample_reports import INCONCLUSIVE, RIGHT, VACUOUS, WRONG


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (WRONG, "2 of 3 gradients wrong; 1 of 3 gradients right; law broken: purity"),
        (RIGHT, "2 of 2 gradients right"),
        (INCONCLUSIVE, "law broken: repeatability; 2 of 3 gradients inconclusive; 1 of 3 gradients right"),
        (VACUOUS, "1 of 1 gradients vacuous"),
    ],
)
def test_the_headline_tells_what_is_wrong_first(report: Report, said: str) -> None:
    """A broken law would stand behind gradients that are right."""
    assert headline(report) == said


def test_worst_gradients_come_first() -> None:
    """What is wrong would be looked for among what is right."""
    assert [block.name for block in worst_first(WRONG)] == ["b", "U", "W"]


def test_a_reason_is_told_once_with_its_gradients() -> None:
    """Ten gradients at one kink would say so ten times."""
    assert {why: [one.name for one in blocks] for why, blocks in reasons(INCONCLUSIVE).items()} == {
        "the loss has a kink": ["W", "b"]
    }


def test_a_location_is_told_from_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A location could not be clicked, or a line be named in no file."""
    monkeypatch.chdir(tmp_path)
    found = Finding(FindingCode.WRONG_LINE, file=str(tmp_path / "a" / "b.py"), line=3)
    assert format_location(found) == str(Path("a", "b.py")) + ":3"
    assert format_location(Finding(FindingCode.SIGN)) == ""


def test_the_footer_says_how_to_repeat_it() -> None:
    """Nobody could run the same check again."""
    assert footer(Report("x", "right", {}, {})) == "no differences · 0 evaluations of the loss in 0.00 s · seed 0"


def test_numbers_are_told_apart_where_they_are_wrong() -> None:
    """Two values would look the same, and one of them be called wrong."""
    assert format_small(None) == ""
    assert format_small(3.14e-13) == "3.1e-13"
    close = Worst((0,), 0.1234561, 0.1234562)
    assert format_worst_entry(Block("W", (1,), "wrong", worst=close)) == ("[0]", "0.1234561", "0.1234562")
    assert format_worst_entry(Block("W", (1,), "right", worst=close)) == ("[0]", "0.123456", "0.123456")
    assert format_worst_entry(Block("W", (1,), "right")) == ("", "", "")


def test_laws_in_the_headline_are_counted() -> None:
    """Two broken laws would be called one law."""
    laws = {name: Law(name, False, "") for name in ("names", "shapes")}
    assert headline(Report("x", "wrong", {}, laws)) == "laws broken: names, shapes"
