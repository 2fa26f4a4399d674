"""A finding told in parts: what is wrong, what follows, and what to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import (
    EntriesClipped,
    EquivalentEdit,
    Label,
    LawBreach,
    RightInput,
    SmallestSize,
    WorstEntry,
)
from gradcheck.report.finding_notes import (
    ALONE,
    LAW_HEADLINES,
    MOST_ON_A_LINE,
    Setting,
    advice,
    edited_line,
    equivalent,
    format_share,
    help_title,
    notes_on,
    place,
    plain_headline,
    severity,
)
from gradcheck.report.records import Finding
from tests.gradcheck.report.findings_of import finding_at

FORMAT = Path(__file__).parents[3] / "docs" / "report-format.md"


def test_every_law_has_the_headline_of_the_docs() -> None:
    """A law would be told by its name alone, or in other words than the documentation's."""
    table = FORMAT.read_text(encoding="utf-8")
    laws = [code for code in FindingCode if code.is_law]
    assert set(laws) == set(LAW_HEADLINES)
    assert [code for code in laws if f"| `{code}` | {LAW_HEADLINES[code]} |" not in table] == []
    assert plain_headline(Finding(FindingCode.SIGN, ("W",))) == "the gradient of W is the true one with the wrong sign"


def test_what_leaves_it_undecided_is_a_warning() -> None:
    """A loss with dropout would be told as an error in the backward."""
    law = Finding(FindingCode.LAW_REPEATABILITY)
    assert severity(law, ALONE) == "error"
    assert severity(law, Setting(breaches={"repeatability": "inconclusive"})) == "warning"
    assert severity(Finding(FindingCode.SIGN), Setting(breaches={"scale": "inconclusive"})) == "error"


def test_the_place_is_one_that_editors_open() -> None:
    """A click on the place would open nothing, or another column."""
    found = finding_at("a = 1\nb = a", "a", function="f.<locals>.g")
    assert place(found) == ("m.py:1:1", "in f.<locals>.g")
    assert place(replace(found, column=None, function=None)) == ("m.py:1", "")
    assert place(replace(found, file="x.ipynb, cell [3]")) == ("x.ipynb, cell [3], line 1", "in f.<locals>.g")
    assert place(replace(found, file=None)) == place(replace(found, line=None)) == ("", "")


@pytest.mark.parametrize(
    ("names", "errors", "shared", "said"),
    [
        (("W",), {"W": 0.341}, (), "makes W wrong, by 34 %"),
        (("W", "b"), {"W": 0.3, "b": 0.5}, ("b",), "makes W and b wrong, b by 50 % in all"),
        (("W", "b", "U"), {"W": 0.3}, ("b",), "makes 3 gradients wrong, W by 30 %"),
        (("W",), {}, (), "makes W wrong"),
    ],
)
def test_what_it_spoils_in_two_names_and_a_number(
    names: tuple[str, ...], errors: dict[str, float], shared: tuple[str, ...], said: str
) -> None:
    """Ten names would be listed, or one line be charged with what several lines do."""
    found = replace(finding_at("a = b", "b"), blocks=names)
    assert list(notes_on(found, Setting(errors=errors, shared=frozenset(shared)), "")) == [said]


def test_smallest_sizes_are_options() -> None:
    """Nobody could paste them, or they would be torn apart by the end of the line."""
    found = finding_at("a = b", "b", None, SmallestSize({"T": 1, "B": 2}))
    assert list(notes_on(found, ALONE, "")) == ["makes W wrong; smallest: --size T=1 --size B=2"]
    many = {f"size{at}": 1 for at in range(5)}
    apart = list(notes_on(replace(found, evidence=(SmallestSize(many),)), ALONE, ""))
    assert apart == ["makes W wrong", f"smallest: {' '.join(f'--size {name}=1' for name in many)}"]
    assert len("; ".join(apart)) > MOST_ON_A_LINE


def test_what_stands_beside_the_line_is_not_said_again() -> None:
    """The derivative that is expected would be told twice, or not at all."""
    found = finding_at(
        "a = b", "b", None, RightInput("dz", Label("z")), expected=Label("y"), given=Label("y", factor=2.0)
    )
    below = "what it reads is right: dz is dL/d(z)", "makes W wrong"
    assert list(notes_on(found, ALONE, "")) == ["the line should give dL/d(y); the value is 2 times that", *below]
    assert list(notes_on(found, ALONE, "expected dL/d(y)")) == ["the value is 2 times that", *below]
    assert list(notes_on(replace(found, given=None), ALONE, "expected dL/d(y)")) == [*below]


def test_a_gradient_is_told_with_what_shows_it() -> None:
    """Which value is analytic, and which numerical, would be lost."""
    found = Finding(FindingCode.SIGN, ("W",), (WorstEntry("W", (0,), 2.0, -2.0), SmallestSize({"T": 1})))
    assert list(notes_on(found, ALONE, "")) == ["W[0]: analytic 2, numerical -2", "smallest: --size T=1"]


def test_advice_where_there_is_no_edit() -> None:
    """A finding would end without a word on what to do, or say it twice."""
    line = finding_at("a = b", "b", expected=Label("y"))
    shown = "gradcheck trace FILE shows what each line of the backward holds"
    assert advice(line) == f"make the line give dL/d(y); {shown}"
    assert advice(replace(line, expected=None)) == shown
    assert advice(finding_at("a = b", "b", "c")) == ""
    assert advice(Finding(FindingCode.FACTOR, ("W",))).startswith("look for a constant that one pass has")
    assert advice(Finding(FindingCode.CLIPPED, ("W",), (EntriesClipped(0.5, 3, 8, 0.0),))) == ""
    assert advice(Finding(FindingCode.LAW_NAMES, (), (LawBreach("names", "b is missing: return it"),))) == ""


def test_only_what_is_verified_is_called_so() -> None:
    """A guess would pass for an edit that the whole check accepts."""
    assert help_title(finding_at("a = b", "b", "c")) == "help (verified)"
    unsure = help_title(finding_at("a = b", "b", "c", verified=False))
    assert unsure == "possible edit (not verified)"


def test_a_statement_that_goes() -> None:
    """The word pass would be told as what mends the gradients."""
    assert edited_line("    pass") == "leave the statement out (pass)"
    assert edited_line("  a = passed") == "a = passed"


def test_one_other_edit() -> None:
    """Several edits that do the same would hide the one that is proposed."""
    found = finding_at("a = b", "b", "c", EquivalentEdit(1, "c = b"), EquivalentEdit(9, "d = b"))
    assert equivalent(found) == ("or as well", "c = b")
    assert equivalent(replace(found, evidence=found.evidence[1:])) == ("or as well, line 9", "d = b")
    assert equivalent(replace(found, evidence=())) == ("", "")


@pytest.mark.parametrize(
    ("error", "said"),
    [(0.341, "34 %"), (1.4142, "141 %"), (1.3e-05, "0.0013 %"), (0.0098, "0.98 %"), (12.3, "12 times its size")],
)
def test_an_error_as_people_say_it(error: float, said: str) -> None:
    """A hundredth of a per cent would be told as none."""
    assert format_share(error) == said
