"""Reports as Markdown: headings, lists and tables that a pull request shows as such."""

from __future__ import annotations

import pytest

from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import Mistake
from gradcheck.report.markdown import to_markdown
from gradcheck.report.phrases import VERDICT_SIGNS
from gradcheck.report.records import Finding, Law
from gradcheck.report.report import Report
from tests.gradcheck.report.sample_reports import EVERY_VERDICT, INCONCLUSIVE, WRONG, hostile


def table(report: Report) -> list[list[str]]:
    """The cells of the table's rows, without the head."""
    lines = [line for line in to_markdown(report).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("report", EVERY_VERDICT, ids=lambda report: report.name)
def test_heading_is_the_outcome(report: Report) -> None:
    """A comment on a pull request would not say in its first line what came out."""
    assert to_markdown(report).startswith(f"### {VERDICT_SIGNS[report.verdict]} `{report.name}`: {report.verdict}\n\n")


@pytest.mark.parametrize("report", EVERY_VERDICT, ids=lambda report: report.name)
def test_table_stands_by_itself(report: Report) -> None:
    """Without a blank line before it and equally many cells in each row, a table is shown as a heap of bars."""
    before, head, _ = to_markdown(report).partition("| gradient |")
    assert head
    assert before.endswith("\n\n")
    assert {len(row) for row in table(report)} == {8}


def test_rows_are_the_worst_first() -> None:
    """The numbers would be in each other's columns, or what is wrong below what is right."""
    assert table(WRONG)[0] == ["`b`", "✗ wrong", "7.0e-01", "5.0e-14", "2.0e-13", "[]", "2", "-2"]
    assert [row[0] for row in table(WRONG)] == ["`b`", "`U`", "`W`"]


def test_findings_are_numbered_before_the_table() -> None:
    """What is wrong would have to be worked out from the numbers."""
    text = to_markdown(WRONG)
    places = [
        text.index(mark)
        for mark in ("\n1. law purity is broken: the parameter W", "\n2. the sign is wrong", "\n3. ", "| gradient |")
    ]
    assert places == sorted(places)


def test_findings_are_not_formatted() -> None:
    """A name like __init__ or a product a*b*c would turn bold or italic and lose its characters."""
    finding = Finding(FindingCode.WRONG_VARIABLE, evidence=(Mistake("a*b*c", "__init__"),))
    text = to_markdown(Report("x", "wrong", {}, {}, (finding,)))
    assert r"1. a\*b\*c stands where \_\_init\_\_ should" in text


def test_numbers_that_are_missing_are_blank() -> None:
    """None would be printed as a word among the numbers."""
    assert next(row for row in table(INCONCLUSIVE) if row[0] == "`b`")[2:] == ["nan", *[""] * 5]
    assert "None" not in to_markdown(INCONCLUSIVE)


def test_footer_says_how_to_repeat_it() -> None:
    """The seed and the sizes would be missing from where a reader looks for them."""
    assert (
        to_markdown(WRONG)
        .rstrip()
        .endswith("sizes T=4, H=3 and 4 others · complex step · 321 evaluations of the loss in 0.25 s · seed 3")
    )


def test_nothing_that_a_user_names_is_markup() -> None:
    """A name or a message with a pipe, a backtick or a line break would break the table or the list."""
    lines = to_markdown(hostile("a|b`c\n<d>")).splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    assert [row.replace("\\|", "").count("|") for row in rows] == [9, 9]
    found = [line for line in lines if line.startswith(("1.", "2."))]
    assert found[0] == r"1. law names is broken: a\|b\`c \<d\>"
    assert found[1].startswith(
        r"2. a\|b\`c \<d\> stands where a\|b\`c \<d\> should (in a\|b\`c \<d\>); expected dL/d(a\|b"
    )


def test_what_is_not_decided_is_explained() -> None:
    """A reader of a pull request would see a question mark and no reason."""
    assert "- `W`, `b`: the loss has a kink" in to_markdown(INCONCLUSIVE)


def test_laws_that_were_not_tested_are_told() -> None:
    """A comment on a pull request would not tell what the verdict does not rest on."""
    report = Report("x", "right", {}, {"scale": Law.untested("scale", "no weight is larger")})
    assert "- law scale was not tested: no weight is larger\n" in to_markdown(report)
