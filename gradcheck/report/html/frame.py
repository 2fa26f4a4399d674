"""What is around everything on a page: its head, and sections that fold."""

from __future__ import annotations

from gradcheck.report.markup import Html, escape, heading, tag
from gradcheck.report.stylesheet import page_style

#: a browser that reads the file fetches nothing and runs nothing
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def whole_page(title: str, *body: Html) -> str:
    """A file that needs nothing beside it."""
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", escape(title)),
        tag("style", page_style()),
    ]
    page = tag("html", tag("head", *head), tag("body", tag("main", *body)), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def folded(title: str, level: int, *parts: Html, is_open: bool = True) -> Html:
    """A section that folds at its heading."""
    summary = tag("summary", heading(level, title))
    return tag("details", summary, *parts, open="" if is_open else None)
