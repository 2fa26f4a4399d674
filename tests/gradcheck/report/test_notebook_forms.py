"""Records as a notebook shows them: in short, and as parts of a page that is somebody else's."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import gradcheck
from gradcheck.report.mutation_records import Mutation, MutationReport
from gradcheck.report.stylesheet import page_style, scoped_style
from tests.gradcheck.report.html.html_tree import parse
from tests.gradcheck.report.sample_reports import EVERY_VERDICT, WRONG, hostile

NASTY = "<script>alert(1)</script>\x1b[31m"


def target(name: str = "net") -> gradcheck.Target:
    """A target of two arrays and an input."""
    w, b = np.zeros((3, 4)), np.zeros(())
    return gradcheck.Target({name: w, "b": b}, lambda: 0.0, dict, inputs={"x": np.zeros(2, int)}, name=name)


def mutants(text: str = "a") -> MutationReport:
    """One bug that was seen and one that was not."""
    killed = Mutation(text, text, 1, text, text, "killed", text, text)
    return MutationReport(text, (killed, Mutation(text, text, 1, text, text, "survived", text, text)))


SHOWN = [*EVERY_VERDICT, *WRONG.findings, target(), mutants()]


@pytest.mark.parametrize("one", SHOWN, ids=lambda one: type(one).__name__)
def test_each_is_one_element_that_needs_nothing(one: gradcheck.Report) -> None:
    """A notebook's output would need a file or the network, leave elements open, or share names with other outputs."""
    html = one._repr_html_()
    root = parse(html)
    assert [child.tag for child in root.children if not isinstance(child, str)] == ["div"]
    assert not re.search(r"https?:|url\(|@import|<script|<link| id=", html.replace("http://www.w3.org/2000/svg", ""))


@pytest.mark.parametrize("one", [hostile(NASTY), *hostile(NASTY).findings, target(NASTY), mutants(NASTY)])
def test_names_are_not_markup(one: gradcheck.Report) -> None:
    """A parameter's name would run as a script in the reader's notebook, or recolour their terminal."""
    assert "<script" not in one._repr_html_()
    assert "\x1b" not in repr(one)


@pytest.mark.parametrize(
    ("one", "short"),
    [
        (WRONG, "<Report lstm: wrong · 2 of 3 gradients wrong; 1 of 3 gradients right; law broken: purity>"),
        (WRONG.findings[1], "<Finding wrong-sign at model.py:7: the sign is wrong>"),
        (WRONG.findings[0], "<Finding law-purity: law purity is broken>"),
        (target(), "<Target net: net 3×4, b scalar>"),
        (mutants(), "<MutationReport ✗ a: 1 of 2 mutants killed (50%) · 0 change no gradient · 0 change the loss · "
         "0.0 s · seed 0>"),
    ],
)  # fmt: skip
def test_each_is_told_in_a_line(one: object, short: str) -> None:
    """A session would print a page of fields where somebody looks at a variable."""
    assert repr(one) == short


def test_a_target_whose_parameters_cannot_be_had_is_shown_all_the_same() -> None:
    """Looking at a variable would raise."""
    state = {"w": np.zeros(2)}
    one = gradcheck.Target(lambda: {"w": state["w"]}, lambda: 0.0, dict)
    del state["w"]
    assert repr(one) == "<Target target>"
    assert "target" in one._repr_html_()


def test_the_style_touches_nothing_else() -> None:
    """A report would restyle the notebook around it."""
    selectors = re.findall(r"^ *([^@{}\n]+)\{", scoped_style(), re.MULTILINE)
    assert len(selectors) > 40
    assert all(".gradcheck" in one for line in selectors for one in line.split(","))


def test_both_themes_have_all_colours() -> None:
    """In a dark notebook some text would be dark on dark."""
    for style in (page_style(), scoped_style()):
        blocks = [set(re.findall(r"(--[\w-]+):", block)) for block in re.findall(r"\{([^{}]*--page:[^{}]*)\}", style)]
        assert len(blocks) in (2, 4)
        assert all(block == blocks[0] for block in blocks)


def test_all_that_a_fragment_uses_is_styled() -> None:
    """A verdict would stand there without its colour."""
    html = "".join(one._repr_html_() for one in SHOWN)
    used = {name for value in re.findall(r'class="([^"]+)"', html) for name in value.split()}
    assert {name for name in used if f".{name}" not in scoped_style()} == set()


def test_the_styles_are_packed(request: pytest.FixtureRequest) -> None:
    """An installed package would show reports without any style."""
    root = Path(request.config.rootpath)
    assert "report/styles/*.css" in (root / "setup.cfg").read_text(encoding="utf-8")
    assert {one.name for one in (root / "gradcheck" / "report" / "styles").iterdir()} == {
        "dark.css", "light.css", "style.css",
    }  # fmt: skip
