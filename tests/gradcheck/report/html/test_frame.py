"""What is around everything on a page."""

from __future__ import annotations

from gradcheck.report.html.frame import folded, whole_page
from gradcheck.report.markup import escape, tag
from tests.gradcheck.report.html.html_tree import parse


def test_a_section_folds_at_its_heading() -> None:
    """A long page could not be made short; or what is broken would be hidden at first."""
    part = folded("Laws", 2, tag("p", escape("all hold")), is_open=False)
    details = parse(part).one("details")
    assert details.one("summary").one("h2").text == "Laws"
    assert "open" not in details.attributes
    assert "open" in parse(folded("Laws", 2)).one("details").attributes


def test_a_page_fetches_nothing() -> None:
    """A page from a CI archive would ask a server, or run a script."""
    policy = [one.attributes["content"] for one in parse(whole_page("x")).all("meta") if "http-equiv" in one.attributes]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
