"""How strong a check is, in numbers and words."""

from __future__ import annotations

import json
import math

from gradcheck.report.mutation_records import Mutation, MutationReport, Outcome


def mutation(outcome: Outcome, how: str = "wrong") -> Mutation:
    """A planted bug of which this became."""
    return Mutation("sign", "x.py", 3, "y = a", "y = -a", outcome, how, "")


def test_only_what_changes_a_gradient_counts() -> None:
    """A check would seem to be weaker by every bug that is none."""
    outcomes: tuple[Outcome, ...] = ("killed", "killed", "survived", "equivalent", "forward", "untried")
    report = MutationReport("f", tuple(mutation(one) for one in outcomes))
    assert report.score == 2 / 3
    assert [len(some) for some in (report.killed, report.survived, report.equivalent, report.untried)] == [2, 1, 1, 1]
    assert not report.ok
    assert report.exit_status == 1
    assert report.summary == (
        "✗ f: 2 of 3 mutants killed (66.67%) · 1 change no gradient · 1 change the loss · 5 of 6 tried, 1 untried: the "
        "time was up · 0.0 s · seed 0"
    )


def test_what_was_not_tried_is_not_passed_over() -> None:
    """Two of a thousand bugs, both seen, would pass for a strong check."""
    report = MutationReport("f", (mutation("killed"), *[mutation("untried")] * 3))
    assert not report.ok
    assert report.exit_status == 3
    assert report.summary.startswith("? f: 1 of 1 mutants killed (100%)")
    assert "1 of 4 tried, 3 untried: the time was up" in report.summary


def test_a_survivor_is_shown_with_what_would_kill_it() -> None:
    """A user would not know what to do about a weak check."""
    report = MutationReport("f", (mutation("survived", "larger sizes would show it"), mutation("killed")))
    assert str(report).split("\n") == [
        "1. survived (sign), x.py:3: larger sizes would show it",
        "   - y = a",
        "   + y = -a",
        report.summary,
        "  sign  1 killed, 1 survived",
        "  killed by: wrong 1",
    ]


def test_no_mutant_is_no_score() -> None:
    """A check of nothing would pass, or its JSON could not be read."""
    report = MutationReport("f", ())
    assert math.isnan(report.score)
    assert report.exit_status == 3
    assert not report.ok
    assert json.loads(report.to_json())["score"] is None
    assert report.summary.startswith("? f: no mutant changes a gradient")
