"""The HTML page: well-formed and safe whatever is in a report, nothing beside it, and readable without colour."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradcheck
from gradcheck._common.verdict import Verdict
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import Label, LawBreach
from gradcheck.report.html import to_html
from gradcheck.report.phrases import VERDICT_SIGNS
from gradcheck.report.records import Block, Finding, Law, Worst
from gradcheck.report.report import Report
from tests.gradcheck.report.html.html_tree import Element, page, rows
from tests.gradcheck.report.sample_reports import EVERY_VERDICT, INCONCLUSIVE, RIGHT, VACUOUS, WRONG, hostile

VERDICTS: tuple[Verdict, ...] = ("right", "wrong", "inconclusive", "vacuous")


@pytest.mark.parametrize("report", EVERY_VERDICT, ids=lambda report: report.name)
def test_page_is_well_formed(report: Report) -> None:
    """A browser would have to guess where elements end."""
    root = page(report)
    assert root.one("html").attributes["lang"] == "en"
    assert (
        root.one("head").one("title").text
        == f"{VERDICT_SIGNS[report.verdict]} {report.name}: {report.verdict} · gradcheck"
    )
    assert len(root.all("h1")) == 1


@pytest.mark.parametrize("report", EVERY_VERDICT, ids=lambda report: report.name)
def test_page_needs_nothing_beside_it(report: Report) -> None:
    """Opened from a CI archive, it would be unstyled, or tell a server that it was read."""
    root = page(report)
    assert not re.search(r"https?:|//|url\(|@import", to_html([report]).partition("<body")[0])
    for element in root.one("body").all("*"):
        assert element.tag not in {"script", "link", "img", "iframe", "object", "style"}
        assert not {key for key in element.attributes if key.startswith("on") or key in {"src", "style"}}
        assert (element.attributes.get("href") or "#").startswith("#")


@pytest.mark.parametrize(
    "text",
    [
        "<b>",
        "</td></table><script>alert(1)</script>",
        '"onload="x',
        "'&amp;",
        "a\x00b\x1b[31m",
        "\ud800",
        "-->",
        "a\nb",
    ],
    ids=repr,
)
def test_what_a_user_named_is_text(text: str) -> None:
    """A parameter named <b> would become markup: a broken page, or somebody else's script."""
    root = page(hostile(text))
    shown = re.sub("[\x00-\x08\x0b-\x1f\ud800-\udfff]", "\ufffd", text)
    names = [cell.text for cell in root.one("table", "gradients").all("th") if cell.attributes["scope"] == "row"]
    assert names == [f"{shown}{shown}\n", f"{shown}2"]  # the first with a message below it
    assert root.one("h1").text.startswith(shown)
    assert not root.all("script")
    assert not [element for element in root.all("*") if "onload" in element.attributes]


@given(
    st.text(),
    st.tuples(*[st.none() | st.floats()] * 3),
    st.sampled_from(VERDICTS),
    st.tuples(st.floats(), st.floats()),
)
def test_every_name_and_number_makes_a_page(
    name: str, numbers: tuple[float | None, ...], verdict: Verdict, values: tuple[float, float]
) -> None:
    """A report with a nan, an infinity, a None or an odd name would raise, after the check was done."""
    error, error_bar, sensitivity = numbers
    worst = Worst((0,), *values)
    root = page(Report(name, verdict, {name: Block(name, (1,), verdict, error, error_bar, sensitivity, worst)}, {}))
    for element in root.one("svg", "picture").all("*"):
        for key in ("x", "y", "x1", "x2", "cx", "width"):
            if key in element.attributes:
                assert 0 <= float(str(element.attributes[key])) <= 780


@pytest.mark.parametrize("verdict", VERDICTS)
def test_verdict_is_said_without_colour(verdict: Verdict) -> None:
    """Who sees no red and green, or listens, would not know what came out."""
    report = Report("x", verdict, {"W": Block("W", (1,), verdict, 0.5, 0.1, 0.1)}, {})
    root = page(report, report)
    told = f"{VERDICT_SIGNS[verdict]} {verdict}"
    assert [row[1] for row in rows(root.one("table", "contents"))] == [told, told]
    assert [row[2] for row in rows(root.all("table", "gradients")[0])] == [told]
    assert all(heading.text == f"x {told}" for heading in root.all("h2"))
    assert root.all("svg", "picture")[0].one("text", "sign").text == VERDICT_SIGNS[verdict]


@pytest.mark.parametrize("table", ["contents", "gradients", "laws", "sizes"])
def test_tables_are_read_by_their_heads(table: str) -> None:
    """A screen reader would read out cells without saying what they are."""
    found = page(WRONG, RIGHT).all("table", table)[0]
    assert {cell.attributes.get("scope") for cell in found.one("thead").all("th")} == {"col"}
    for row in found.one("tbody").all("tr"):
        assert [cell.attributes.get("scope") for cell in row.all("th")] == ["row"]
        assert len([cell for cell in row.children if isinstance(cell, Element)]) == len(found.one("thead").all("th"))


def test_what_is_wrong_comes_first() -> None:
    """The reader would have to search for what matters among what is fine."""
    root = page(WRONG)
    text = root.one("article").text
    marks = ["sign is wrong", "Smallest size", "T=2, H=1", "Gradients", "Laws", "Sizes tried", "321 evaluations"]
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)
    assert [row[0] for row in rows(root.one("table", "gradients"))] == ["b", "U", "W"]
    assert [row[:2] for row in rows(root.one("table", "laws"))] == [["purity", "✗ broken"], ["names", "✓ holds"]]


def test_gradients_show_both_values() -> None:
    """The numbers to compare would be missing or in each other's columns."""
    table = page(WRONG).one("table", "gradients")
    assert [cell.text for cell in table.one("thead").all("th")] == [
        *("gradient", "shape", "verdict", "error", "± bar", "would see", "worst entry", "analytic", "numerical")
    ]
    assert rows(table)[:2] == [
        ["b", "scalar", "✗ wrong", "7.0e-01", "5.0e-14", "2.0e-13", "[]", "2", "-2"],
        ["U", "4×4", "✗ wrong", "3.0e-03", "4.0e-14", "9.0e-14", "[1, 0]", "0.5", "0.625"],
    ]


def test_numbers_that_are_missing_are_dashes() -> None:
    """None would be printed as a number of some kind, or a cell left empty as if forgotten."""
    assert rows(page(VACUOUS).one("table", "gradients")) == [["W", "2", "∅ vacuous", *["–"] * 3]]


def test_columns_without_numbers_are_left_out() -> None:
    """Where all is right, a third of the table would be dashes, and push the rest off a small screen."""
    heads = [head.text for head in page(RIGHT).one("table", "gradients").one("thead").all("th")]
    assert heads == ["gradient", "shape", "verdict", "error", "± bar", "would see"]
    inconclusive = {row[0]: row[3:] for row in rows(page(INCONCLUSIVE).one("table", "gradients"))}
    assert inconclusive["W"] == ["1.0e-02", "inf", "inf", "[0]", "nan", "3"]
    assert inconclusive["b"] == ["nan", *["–"] * 5]


def test_divided_factor_is_told() -> None:
    """A gradient would be called right that is eight times too large, and the page would not say why."""
    root = page(INCONCLUSIVE)
    assert rows(root.one("table", "gradients"))[-1][2] == "✓ right (÷ 8)"
    assert "divided out" in root.text
    assert "divided out" not in page(WRONG).text


def test_reasons_are_said_once() -> None:
    """Ten gradients at one kink would say so ten times, or not at all."""
    root = page(INCONCLUSIVE)
    assert [item.text for item in root.all("li")] == ["? W, ? b: the loss has a kink"]
    assert root.text.count("the loss has a kink") == 1


def test_messages_of_judged_gradients_are_beside_them() -> None:
    """A gradient judged at other sizes than the rest would look as if it were judged at these."""
    assert rows(page(RIGHT).one("table", "gradients"))[0][0] == "Vboth gradients are zero here; judged at T=7\n"


def test_right_says_what_would_have_been_seen() -> None:
    """A right report would not say how much it is worth, or promise what was not measured."""
    assert "An error of 8.0e-12 of a gradient, or more, in any of them would have been missed" in page(RIGHT).text
    for sensitivity in (None, math.inf):
        blocks = {**RIGHT.blocks, "W": replace(RIGHT.blocks["W"], sensitivity=sensitivity)}
        promised = "An error of" in page(replace(RIGHT, blocks=blocks)).text
        assert promised is (sensitivity is None)


def test_findings_say_where_and_what_to_do() -> None:
    """The line at fault and its repair would be lost on the way to the page."""
    law, sign, gradient = findings(WRONG)
    assert law.one("strong").text == "a call changes parameters, inputs or cotangents"
    assert notes(law) == ["the parameter W was changed: work on a copy"]
    assert sign.one("strong").text == "the sign is wrong"
    assert "at model.py:7:12, in backward" in sign.text
    assert "This edit makes it right (verified):" in sign.text
    assert notes(sign) == [
        "the line should give dL/d(b); the value has the wrong sign",
        "what it reads is right: dz is dL/d(z)",
        "makes b wrong, by 70 %",
    ]
    source, edit = sign.all("pre")
    assert source.text == "7 grads['b'] -= dz"
    assert edit.text == "- grads['b'] -= dz\n+ grads['b'] += dz"
    assert sign.one("span", "removed").text == "- grads['b'] -= dz"
    assert not gradient.all("pre")


def findings(report: Report) -> list[Element]:
    """What stands for each finding."""
    listed = page(report).one("ol")
    return [item for item in listed.all("li") if item.all("p", "message")]


def notes(item: Element) -> list[str]:
    """What is said below a finding."""
    return [note.text for note in item.one("ul", "notes").all("li")]


@pytest.mark.parametrize("found", ["all of it", "a\nb: c", "; ", "law names: x; y", "law : x"])
def test_messages_are_whole(found: str) -> None:
    """Setting off what is wrong from why would lose a part of the message."""
    (item,) = findings(replace(WRONG, findings=(replace(WRONG.findings[0], evidence=(LawBreach("purity", found),)),)))
    assert notes(item) == [found]


def test_a_finding_of_which_no_more_is_known_has_no_empty_list() -> None:
    """A bullet with nothing behind it would stand there."""
    (item,) = findings(replace(WRONG, findings=(replace(WRONG.findings[0], evidence=(LawBreach("purity", ""),)),)))
    assert not item.all("ul")


def test_the_wrong_part_is_marked_in_its_source(tmp_path: Path) -> None:
    """A reader would have to find the wrong part of the line, or markup in the source would become that of the page."""
    (tmp_path / "m.py").write_text("if a < b:\n    x = '<i>' + y\n")
    finding = Finding(
        FindingCode.WRONG_LINE, file=str(tmp_path / "m.py"), line=2, column=9, end_column=14, statement="x = '<i>' + y",
        expected=Label("z"),
    )  # fmt: skip
    (item,) = findings(replace(WRONG, findings=(finding,)))
    assert item.one("mark").text == "'<i>'"
    assert item.one("pre").text == "1 if a < b:\n2     x = '<i>' + y\n          ^ expected dL/d(z)"


def test_finding_without_fix_shows_its_statement() -> None:
    """A line would be named by its number alone, in a file that the reader of the page may not have."""
    (item,) = findings(replace(WRONG, findings=(replace(WRONG.findings[1], fix=None),)))
    assert item.one("pre").text == "7 grads['b'] -= dz"
    assert "What to do: " in item.text


def test_fix_that_is_not_verified_says_so() -> None:
    """A guess would be taken for a repair; a fix without a diff would not be shown at all."""
    fix = WRONG.findings[1].fix
    assert fix is not None
    (item,) = findings(
        replace(WRONG, findings=(replace(WRONG.findings[1], fix=replace(fix, verified=False, diff="")),))
    )
    assert "not verified" in item.text
    assert item.all("pre")[1].text == "- grads['b'] -= dz\n+ grads['b'] += dz"


def test_smallest_size_can_be_run() -> None:
    """The command on the page would check something else, or not exist."""
    command = next(code.text for code in page(WRONG).all("code") if code.text.startswith("gradcheck"))
    assert command == "gradcheck check FILE::lstm --size T=2 --size H=1 --seed 3"
    told = replace(WRONG, name="nets/check.py::lstm")  # of several files
    assert "gradcheck check nets/check.py::lstm --size T=2" in page(told).text
    from gradcheck.cli_parser import build_parser

    options = build_parser().parse_args(command.split()[1:])
    assert options.size == [("T", 2), ("H", 1)]
    assert options.seed == 3
    assert "Smallest" not in page(RIGHT).text


def test_several_reports_have_contents() -> None:
    """The one wrong target among many would have to be found by scrolling."""
    root = page(*EVERY_VERDICT)
    assert root.one("h1").text == "4 targets: 1 wrong, 1 inconclusive, 1 vacuous, 1 right"
    targets = [article.attributes["id"] for article in root.all("article")]
    assert [link.attributes["href"] for link in root.one("nav").all("a")] == [f"#{target}" for target in targets]
    assert [link.text for link in root.one("nav").all("a")] == ["lstm", "gru", "relu", "nothing"]
    assert not page(WRONG).all("nav")


def test_reports_of_one_name_are_kept_apart() -> None:
    """Two files with a target of the same name would share their anchors: `page` looks for that."""
    assert len(page(WRONG, WRONG).all("article")) == 2


def test_no_reports() -> None:
    """A page about nothing would claim that all is well."""
    assert page().one("h1").text == "no targets were checked"


def test_no_gradients() -> None:
    """A target whose loss cannot be read would have an empty table and an empty picture."""
    root = page(Report("x", "wrong", {}, {}))
    assert not root.all("table")
    assert not root.all("svg")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        *((name, "page") for name in ("ink", "dim", "link", *VERDICTS)),
        *((name, "soft") for name in ("ink", "dim")),
        *((verdict, f"{verdict}-back") for verdict in VERDICTS),
    ],
)
def test_contrast(scheme: str, ink: str, paper: str) -> None:
    """Text would be too faint to read (WCAG 2.1 AA asks for 4.5:1)."""
    light, dark = re.findall(r":root \{(.*?)\}", to_html([RIGHT]), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", dark if scheme == "dark" else light))
    brighter, darker = sorted((_luminance(colours[ink]), _luminance(colours[paper])), reverse=True)
    assert (brighter + 0.05) / (darker + 0.05) >= 4.5


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_every_class_is_styled() -> None:
    """A misspelt class would leave a verdict without its colour."""
    source = to_html(EVERY_VERDICT)
    style = source.partition("<style>")[2].partition("</style>")[0]
    used = {name for value in re.findall(r'class="([^"]+)"', source) for name in value.split()}
    assert {name for name in used if f".{name}" not in style} == set()


def test_page_of_a_real_check(tmp_path: Path) -> None:
    """`Report.to_html` would not write what the check found."""
    x = np.linspace(-1.0, 2.0, 4)

    @gradcheck.target
    def cubic(rng: np.random.Generator, *, n: int = 3) -> gradcheck.Target:
        """A sum of cubes, one factor short."""
        params = {"<w>": rng.normal(size=n), "v": rng.normal(size=4)}
        return gradcheck.Target(
            params,
            lambda: (params["<w>"] ** 3).sum() + x @ params["v"],
            lambda: {"<w>": 2 * params["<w>"] ** 2, "v": x},
        )

    report = gradcheck.check(cubic)
    report.to_html(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == to_html([report])
    root = page(report)
    assert [row[:3] for row in rows(root.one("table", "gradients"))] == [
        ["<w>", "3", "✗ wrong"],
        ["v", "4", "✓ right"],
    ]
    assert "A sum of cubes, one factor short." in root.text
    assert "n=1" in root.text


def test_a_law_that_was_not_tested_is_told_as_such() -> None:
    """A page would give a law that was never asked the sign of one that holds."""
    root = page(replace(RIGHT, laws={**RIGHT.laws, "scale": Law.untested("scale", "no weight is larger")}))
    assert rows(root.one("table", "laws")) == [
        ["scale", f"{VERDICT_SIGNS['vacuous']} not tested", "no weight is larger"],
        ["names", "✓ holds", "grads() has one entry for each parameter"],
    ]
