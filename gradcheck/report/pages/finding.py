"""The page on a code, and all of them."""

from __future__ import annotations

from gradcheck._common.similar import did_you_mean
from gradcheck.report.pages.laws import LAWS
from gradcheck.report.pages.page import Page, page_to_markdown, page_to_text
from gradcheck.report.pages.patterns import PATTERNS
from gradcheck.report.pages.shapes import SHAPES
from gradcheck.report.pages.statements import STATEMENTS
from gradcheck.report.pages.values import VALUES

_FAMILIES = (
    ("Laws", LAWS),
    ("What a wrong gradient looks like", PATTERNS),
    ("Mistakes on a line", (*VALUES, *SHAPES, *STATEMENTS)),
)
#: by code
PAGES: dict[str, Page] = {page.code.value: page for _, pages in _FAMILIES for page in pages}
_HEAD = """\
# Finding codes

What each finding of a report means, by its code. `gradcheck explain CODE` prints the same; `python docs/write_codes.py`
writes this page.
"""


#: codes that are named at most for a word that is a part of them
MOST_NAMED = 4


class NoPageError(ValueError):
    """There is no page on a code of this name; the message names similar ones."""


def page_text(code: str) -> str:
    """The page on a code as text; ``error[wrong-sign]`` or ``gradcheck[wrong-sign]`` will do, too.

    Raises:
        NoPageError: If there is no such code.
    """
    name = code.rpartition("[")[2].rstrip("]").strip().lower().replace("_", "-").replace(":", "-")
    name = name if name in PAGES or f"law-{name}" not in PAGES else f"law-{name}"
    if name not in PAGES:
        raise NoPageError(f"there is no code {code!r}{_likely_meant(name)}")
    return page_to_text(PAGES[name])


def _likely_meant(name: str) -> str:
    """A similar code; else those of which the word is a part; else where all of them are."""
    parts = [one for one in PAGES if name and name in one][:MOST_NAMED]
    meant = f": did you mean {' or '.join(parts)}?" if parts else ""
    return did_you_mean(name, PAGES) or meant or "; gradcheck explain lists all of them"


def list_of_codes() -> str:
    """All codes, each with the first sentence of its page."""
    width = max(map(len, PAGES))
    return "\n".join(f"{code:{width}}  {first_sentence(page.meaning)}" for code, page in PAGES.items())


def pages_to_markdown() -> str:
    """docs/codes.md."""
    parts = [_HEAD]
    for title, pages in _FAMILIES:
        parts += [f"## {title}\n", *map(page_to_markdown, pages)]
    return "\n".join(parts)


def first_sentence(text: str) -> str:
    """What a page says first."""
    first = text.split(". ")[0].split(": ")[0]
    return first.rstrip(".")
