"""The grid of sizes: where a defect begins is seen at a glance."""

from __future__ import annotations

from dataclasses import replace

from gradcheck.report.html.sizes_tried import sizes_tried
from gradcheck.report.report import Report
from tests.gradcheck.report.html.html_tree import page, rows
from tests.gradcheck.report.sample_reports import WRONG


def test_sizes_are_a_grid() -> None:
    """Where a defect begins - at T=2, say - would not be seen at a glance."""
    root = page(WRONG)
    assert [cell.text for cell in root.one("table", "sizes").one("thead").all("th")] == ["size", "1", "2", "3", "4"]
    assert rows(root.one("table", "sizes")) == [
        ["T", "✓right", "✗wrong", "", "✗wrong"],
        ["H", "✗wrong", "", "✗wrong", ""],
    ]
    notes = [item.text for item in root.all("ul")[-1].all("li")]
    assert notes == [
        "✗ wrong U, b: as given · T=5, H=6 · T=2",
        "✗ wrong H=1: lstm raised IndexError: list index out of range",
        "✓ right T=1",
    ]


def test_sizes_that_came_out_alike_are_not_listed() -> None:
    """Fifteen sizes would be spelled out to say that all is well."""
    trials = tuple(replace(trial, verdict="right", wrong=(), message="") for trial in WRONG.trials)
    assert "✓ right at all of them" in page(replace(WRONG, trials=trials)).text


def test_no_trials_make_no_grid() -> None:
    """A target of one size would have a heading with nothing below it."""
    assert sizes_tried(Report("x", "right", {}, {}), 2) == ""
