"""What a page on a finding code has, and the page as text."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from gradcheck.report.codes import FindingCode

#: of a page as text
WIDTH = 88


@dataclass(frozen=True)
class Page:
    """A page: `wrong` and `right` are code, and `equation` is what the right code computes."""

    code: FindingCode
    meaning: str
    equation: str
    wrong: str
    right: str
    mend: str

    @property
    def family(self) -> str:
        """What kind of code it is."""
        if self.code.is_law:
            return "a law that is broken"
        return "what a wrong gradient looks like" if self.code.is_pattern else "a mistake on a line"


def page_to_text(page: Page) -> str:
    """The page for a terminal."""
    parts = [
        f"{page.code.value}: {page.family}",
        "",
        textwrap.fill(page.meaning, WIDTH),
        "",
        *_block("the equation", page.equation),
        *_block("wrong", page.wrong),
        *_block("right", page.right),
        textwrap.fill(f"how to mend it: {page.mend}", WIDTH),
    ]
    return "\n".join(parts)


def page_to_markdown(page: Page) -> str:
    """The page as a section of the documentation."""
    return "\n".join(
        [
            f"### {page.code.value}",
            "",
            textwrap.fill(page.meaning, 118),
            "",
            *_fenced("text", page.equation),
            *_fenced("python", f"# wrong\n{page.wrong}\n\n# right\n{page.right}"),
            textwrap.fill(f"How to mend it: {page.mend}", 118),
            "",
        ]
    )


def _block(title: str, text: str) -> list[str]:
    return [f"{title}:", textwrap.indent(text, "    "), ""]


def _fenced(language: str, text: str) -> list[str]:
    return [f"```{language}", text, "```", ""]
