"""What a report adds to each of its findings."""

from __future__ import annotations

from dataclasses import replace

from gradcheck.report.codes import FindingCode
from gradcheck.report.finding_notes import advice
from gradcheck.report.finding_setting import setting_of
from gradcheck.report.records import Finding
from tests.gradcheck.report.sample_reports import INCONCLUSIVE, WRONG


def test_only_wrong_gradients_have_errors() -> None:
    """A line would be told to spoil a gradient that is right, by the size of its rounding."""
    assert setting_of(WRONG).errors == {"U": 3e-3, "b": 0.7}
    assert setting_of(INCONCLUSIVE).errors == {}


def test_broken_laws_tell_what_they_lead_to() -> None:
    """A law that leaves things undecided would be told as an error."""
    assert setting_of(WRONG).breaches == {"purity": "wrong"}
    assert setting_of(INCONCLUSIVE).breaches == {"repeatability": "inconclusive"}


def test_what_several_lines_spoil_is_shared() -> None:
    """One line would be charged with what several lines do."""
    assert setting_of(WRONG).shared == frozenset()
    twice = replace(WRONG, findings=(*WRONG.findings, WRONG.findings[1]))
    assert setting_of(twice).shared == {"b"}


def test_where_no_line_can_be_looked_for_nobody_is_told_to_look_again() -> None:
    """The author of a kernel in C would be sent to --budget and to gradcheck trace, which cannot help there."""
    assert not setting_of(WRONG).has_no_lines
    setting = setting_of(replace(WRONG, notes=("no line is looked for: the code calls lib.f, ...",)))
    assert setting.has_no_lines
    unnamed = Finding(FindingCode.NO_PATTERN, ("W",))
    assert "NumPy" in advice(unnamed, setting)
    assert "--budget" not in advice(unnamed, setting)
    assert "--budget" in advice(unnamed)
