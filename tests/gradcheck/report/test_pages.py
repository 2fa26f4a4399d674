"""The pages on finding codes: there is one on each, it is true, and the documentation has the same."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gradcheck.report.codes import FindingCode
from gradcheck.report.pages.finding import PAGES, NoPageError, list_of_codes, page_text, pages_to_markdown
from gradcheck.report.pages.page import WIDTH, Page

DOCS = Path(__file__).parents[3] / "docs"
EVERY = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


def test_every_code_has_a_page() -> None:
    """A report would send its reader to a page that is not there."""
    assert set(PAGES) == {code.value for code in FindingCode}


def test_the_documentation_has_the_same_pages() -> None:
    """The site would say something else than the command: run python docs/write_codes.py."""
    assert (DOCS / "codes.md").read_text(encoding="utf-8") == pages_to_markdown()


@EVERY
def test_a_page_is_whole(page: Page) -> None:
    """A page would lack the equation, the example or the way out."""
    text = page_text(page.code.value)
    parts = [page.code.value, "the equation:", "wrong:", "right:", "how to mend it: "]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert page.wrong != page.right
    assert page.meaning.endswith(".")
    assert page.mend.endswith(".")


@EVERY
def test_the_examples_are_python(page: Page) -> None:
    """A reader would copy what does not run."""
    for code in (page.wrong, page.right):
        ast.parse(code if not code.lstrip().startswith("return") else f"def f():\n    {code}")


@EVERY
def test_a_page_fits_a_terminal(page: Page) -> None:
    """An example would be broken in the middle of a line."""
    assert max(map(len, page_text(page.code.value).splitlines())) <= WIDTH


@pytest.mark.parametrize("code", ["wrong-sign", "error[wrong-sign]", "gradcheck[wrong-sign]", "WRONG_SIGN"])
def test_a_code_is_found_as_it_is_shown(code: str) -> None:
    """What somebody copies from an annotation would not be found."""
    assert page_text(code).startswith("wrong-sign: ")


@pytest.mark.parametrize("code", ["purity", "law:purity", "law-purity"])
def test_a_law_is_found_by_its_name(code: str) -> None:
    """The report says "law purity is broken", and explain would not know purity."""
    assert page_text(code).startswith("law-purity: a law that is broken")


def test_a_wrong_code_names_similar_ones() -> None:
    """A slip of the finger would end without a hint."""
    with pytest.raises(NoPageError, match=r"there is no code 'tanh': did you mean tanh-derivative\?"):
        page_text("tanh")
    with pytest.raises(NoPageError, match="there is no code 'wrong-sgn': did you mean wrong-sign"):
        page_text("wrong-sgn")
    with pytest.raises(NoPageError, match="gradcheck explain lists all of them"):
        page_text("zzz")


def test_the_list_has_every_code() -> None:
    """A code could not be found without a report that has it."""
    assert [line.split()[0] for line in list_of_codes().splitlines()] == list(PAGES)
