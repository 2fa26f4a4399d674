"""Markup as a type of its own: only `escape` makes `Html` of what a user named, so nothing gets past it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NewType

from gradcheck._common.verdict import Verdict
from gradcheck.report.signs import VERDICT_SIGNS

#: markup, with everything in it escaped
Html = NewType("Html", str)

#: what HTML or UTF-8 cannot hold: control characters, lone surrogates; and marks that turn the direction of writing
_UNWRITABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
#: what is markup in HTML
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
#: elements that have no content
_VOID = frozenset({"meta"})
NOTHING = Html("")
#: in the place of a number that there is none of
MISSING = Html('<span class="dim">–</span>')


def escape(value: object) -> Html:
    """Text as markup, whatever is in it."""
    return Html(_UNWRITABLE.sub("\ufffd", str(value)).translate(_ESCAPES))


def tag(name: str, /, *parts: Html, **attributes: object) -> Html:
    """An element; attributes are escaped here: `class_` is class, `http_equiv` is http-equiv, None is left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>" if name in _VOID else f"<{name}{given}>{''.join(parts)}</{name}>\n")


def inline(name: str, /, *parts: Html, **attributes: object) -> Html:
    """An element within a sentence, with no line break after it."""
    return Html(tag(name, *parts, **attributes).rstrip("\n"))


def join_html(*parts: Html) -> Html:
    """The parts one after the other."""
    return Html("".join(parts))


def heading(level: int, words: str, **attributes: object) -> Html:
    """A heading of this level."""
    return tag(f"h{level}", escape(words), **attributes)


def paragraph(words: str, class_: str | None = None) -> Html:
    """A paragraph of plain text."""
    return tag("p", escape(words), class_=class_)


def data_table(label: str, columns: Iterable[Html], rows: Iterable[Html], class_: str) -> Html:
    """A table with its head; too wide for the page, it scrolls by itself."""
    parts = tag("thead", tag("tr", *columns)), tag("tbody", *rows)
    return scrolling(label, tag("table", *parts, class_=class_))


def scrolling(label: str, part: Html) -> Html:
    """A part that scrolls by itself where it is too wide."""
    return tag("div", part, class_="scroll", role="region", aria_label=label, tabindex=0)


def column_head(words: str, class_: str | None = None) -> Html:
    """The head of a column."""
    return tag("th", escape(words), scope="col", class_=class_)


def verdict_mark(verdict: Verdict, more: str = "") -> Html:
    """A sign and a word; the colour only repeats them."""
    return inline("span", escape(f"{VERDICT_SIGNS[verdict]} {verdict}{more}"), class_=f"verdict {verdict}")


def verdict_sign(verdict: Verdict) -> Html:
    """A sign alone, and the word for those who are read to."""
    shown = inline("span", escape(VERDICT_SIGNS[verdict]), aria_hidden="true")
    return join_html(shown, inline("span", escape(verdict), class_="unseen"))
