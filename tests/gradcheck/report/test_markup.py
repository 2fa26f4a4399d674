"""Text becomes markup in one place, where everything in it is escaped."""

from __future__ import annotations

from gradcheck.report.markup import (
    column_head,
    data_table,
    escape,
    heading,
    inline,
    join_html,
    paragraph,
    tag,
    verdict_mark,
    verdict_sign,
)


def test_text_is_escaped() -> None:
    """A name would become an element, end an attribute, or be a character that no file can hold."""
    assert escape("<b> & \"'") == "&lt;b&gt; &amp; &quot;&#x27;"
    assert escape("a\x00\ud800") == "a\ufffd\ufffd"


def test_attributes_are_escaped_and_named() -> None:
    """An attribute would end early, or go by a name that HTML does not know."""
    made = inline("p", class_='a"b', aria_label="x", title=None)
    assert made == '<p class="a&quot;b" aria-label="x"></p>'


def test_an_element_without_content_has_no_end() -> None:
    """A browser would see </meta>, which is an error."""
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_parts_stand_in_their_element() -> None:
    """A heading, a paragraph or a list of parts would lose what is in it."""
    assert heading(2, "a<b", id="x") == '<h2 id="x">a&lt;b</h2>\n'
    assert paragraph("a", "dim") == '<p class="dim">a</p>\n'
    assert join_html(escape("a"), escape("b")) == "ab"


def test_a_table_has_a_head_and_a_name() -> None:
    """A table would be read out without saying what it is."""
    made = data_table("Laws", [column_head("law")], [tag("tr", tag("td", escape("names")))], "laws")
    assert 'aria-label="Laws"' in made
    assert '<thead><tr><th scope="col">law</th>' in made.replace("\n", "")


def test_a_verdict_is_a_sign_and_a_word() -> None:
    """A verdict would be told by its colour alone."""
    assert verdict_mark("wrong", " (÷ 4)") == '<span class="verdict wrong">✗ wrong (÷ 4)</span>'
    assert verdict_sign("right") == '<span aria-hidden="true">✓</span><span class="unseen">right</span>'
