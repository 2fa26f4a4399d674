"""What is said while a check runs, and of what it left undone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradcheck.report.markdown import to_markdown
from gradcheck.report.progress_phrases import (
    Stage,
    describe_cuts,
    describe_stage,
    first_look,
    format_seconds,
    judged_so_far,
)
from gradcheck.report.records import Cut
from gradcheck.report.text import rest_to_rich, to_rich, verdict_to_rich
from tests.gradcheck.report.sample_reports import WRONG


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (40, "40 s"), (99, "99 s"), (180, "3 min"), (5900, "98 min"), (7200, "2.0 h")]
)
def test_times_are_said_as_people_say_them(seconds: float, text: str) -> None:
    """An estimate would read 5400 s."""
    assert format_seconds(seconds) == text


def test_an_estimate_runs_down() -> None:
    """What is left would stay what it was when the stage began."""
    stage = Stage("looking").with_time_left(30.0, at_most=True)
    assert stage == "looking"
    assert describe_stage(stage, 10.0) == "looking, at most 20 s left"
    assert describe_stage(Stage("looking").with_time_left(3.0), 10.0) == "looking, about 0 s left"
    assert describe_stage("looking", 10.0) == describe_stage(Stage("looking").with_time_left(None)) == "looking"


def test_only_what_is_wrong_is_news() -> None:
    """The log of a right check would be full of lines; or what is wrong be told at its end."""
    assert first_look(1.0, 2.0).news
    assert "claim a slope of 1.00000 and" not in first_look(1.0, 1.0000001)
    assert not judged_so_far([], 2, 2).news
    assert judged_so_far(["W"], 1, 3).news == judged_so_far(["W", "U"], 2, 3).news != judged_so_far(["W"], 3, 3).news
    assert judged_so_far(["W"], 1, 3) == "wrong: W; 1 of 3 gradients judged"


def test_what_was_cut_is_said_with_how_to_go_on() -> None:
    """A part would pass for the whole, or nobody know how to get the rest."""
    cuts = (Cut("sizes", 5.0, left=3), Cut("verifying", 5.0))
    (said,) = describe_cuts(replace(WRONG, cuts=cuts))
    assert said.startswith("not finished, as its time of 5 s was up: trials at 3 of ")
    assert "; the verification of the edits. The verdicts stand. Go on with --budget 20 (budget=20 in Python)" in said
    assert describe_cuts(WRONG) == []


def test_ctrl_c_is_told_from_want_of_time() -> None:
    """A larger budget would be proposed to who has pressed Ctrl-C."""
    (said,) = describe_cuts(replace(WRONG, cuts=(Cut("lines", 30.0, is_interrupt=True),)))
    assert said.startswith("not finished, interrupted: the search for lines and edits. The verdicts stand. To go on, ")
    assert "--budget" not in said


def test_every_form_says_it() -> None:
    """A reader of one form would take the part for the whole."""
    report = replace(WRONG, cuts=(Cut("lines", 30.0),))
    (said,) = describe_cuts(report)
    assert " ".join(said.split()[:9]) in " ".join(str(report).split())
    assert "the search for lines and edits" in to_markdown(report)


def test_the_two_halves_are_the_report() -> None:
    """Something would be printed twice, or not at all."""
    parts = [list(one.renderables) for one in (verdict_to_rich(WRONG), rest_to_rich(WRONG), to_rich(WRONG))]
    assert len(parts[0]) + len(parts[1]) == len(parts[2])
