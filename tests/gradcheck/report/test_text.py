"""Reports as text: everything a log or an assertion needs, with no colour and nothing cut off."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from gradcheck.report.phrases import VERDICT_SIGNS
from gradcheck.report.records import Law
from gradcheck.report.report import Report
from gradcheck.report.text import WIDTH, as_text, details_to_rich, to_rich, to_text
from tests.gradcheck.report.sample_reports import EVERY_VERDICT, INCONCLUSIVE, RIGHT, VACUOUS, WRONG, hostile


@pytest.mark.parametrize("report", EVERY_VERDICT, ids=lambda report: report.name)
def test_first_line_is_the_outcome(report: Report) -> None:
    """A log would have to be read to its end to know what came out."""
    assert to_text(report).startswith(f"{VERDICT_SIGNS[report.verdict]} {report.name}: {report.verdict} · ")
    assert str(report) == to_text(report)


@pytest.mark.parametrize("report", EVERY_VERDICT, ids=lambda report: report.name)
def test_text_is_plain(report: Report) -> None:
    """Escape sequences would stand in a log file, or lines would be too wide for it."""
    text = to_text(report)
    assert "\x1b" not in text
    assert "…" not in text
    for line in text.splitlines():
        assert len(line) <= WIDTH
        assert line == line.rstrip()


def test_there_is_a_text_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """`print(report)` would print nothing: what rich prints in a notebook it shows there, and writes nothing."""
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert to_text(WRONG).startswith("✗ lstm: wrong · ")


def test_rows_are_the_worst_first() -> None:
    """The numbers would be in each other's columns, or what is wrong below what is right."""
    rows = [line.split() for line in to_text(WRONG).splitlines()]
    table = rows[next(i for i, row in enumerate(rows) if row[:1] == ["gradient"]) + 1 :]
    assert table[0] == ["b", "scalar", "✗", "wrong", "7.0e-01", "5.0e-14", "2.0e-13", "[]", "2", "-2"]
    assert [row[0] for row in table[:3]] == ["b", "U", "W"]


def test_findings_come_before_the_table() -> None:
    """What is wrong would have to be worked out from the numbers."""
    text = to_text(WRONG)
    places = [
        text.index(mark) for mark in ("error[law-purity]: ", "error[wrong-sign]: ", "error[no-pattern]: ", "± bar")
    ]
    assert places == sorted(places)


def test_reasons_are_said_once() -> None:
    """Ten gradients at one kink would say so ten times, or not at all."""
    assert "? W, b: the loss has a kink" in to_text(INCONCLUSIVE)
    assert to_text(INCONCLUSIVE).count("the loss has a kink") == 1
    assert "? W: both gradients are zero" in to_text(VACUOUS)


def test_divided_factor_is_told() -> None:
    """A gradient would be called right that is eight times too large."""
    assert "✓ right (÷ 8)" in to_text(INCONCLUSIVE)


def test_laws_that_hold_are_named() -> None:
    """A reader would not know what was looked at besides differences."""
    assert "laws that hold: names" in to_text(RIGHT)
    assert "laws that hold" not in to_text(VACUOUS)


def test_laws_that_were_not_tested_are_not_said_to_hold() -> None:
    """What was never asked would be printed beside what holds."""
    report = replace(RIGHT, laws={**RIGHT.laws, "scale": Law.untested("scale", "no weight is larger")})
    text = to_text(report)
    assert "  laws that hold: names\n  law scale was not tested: no weight is larger\n" in text
    assert "scale: no weight is larger" in as_text(details_to_rich(report))
    assert "✓ scale" not in as_text(details_to_rich(report))


def test_numbers_that_are_missing_are_blank() -> None:
    """None would be printed as a word among the numbers."""
    assert all("None" not in to_text(report) for report in EVERY_VERDICT)


@pytest.mark.parametrize("name", ["W[red]", "x[/red]", "a:key:"])
def test_names_are_not_markup(name: str) -> None:
    """A parameter whose name looks like markup would lose it, or end the run after the check is done."""
    assert name in to_text(hostile(name))


def test_codes_are_named_once() -> None:
    """A reader would not know how to read on, or the line be long where ten lines have one mistake."""
    assert "more on these: gradcheck explain law-purity wrong-sign no-pattern\n" in to_text(WRONG)
    assert "gradcheck explain" not in to_text(RIGHT)


def test_numbers_are_not_cropped() -> None:
    """On a narrow terminal 7.0e-13 would be shown as 7.0e-…, which is another number."""
    out = io.StringIO()
    Console(file=out, width=60, no_color=True).print(to_rich(WRONG))
    assert "…" not in out.getvalue()


def test_a_broken_law_is_told_where_nothing_is_explained() -> None:
    """`--no-explain` would say "law broken: sizes", and not at which size what was raised."""
    broken = replace(RIGHT, verdict="wrong", laws={**RIGHT.laws, "sizes": Law("sizes", False, "at T=1: it raised")})
    assert "✗ law sizes: at T=1: it raised" in to_text(broken)
