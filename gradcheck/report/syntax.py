"""Python in colour: a line, or a part of one, with a class around each keyword, string, number and comment."""

from __future__ import annotations

import keyword
import re

from gradcheck.report.markup import Html, escape, inline

_TOKENS = re.compile(
    r"(?P<comment>#.*)"
    r"""|(?P<string>(?:\b[rRbBfFuU]{1,2})?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))"""
    r"|(?P<number>(?<![\w.])(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?j?\b)"
    rf"|(?P<keyword>\b(?:{'|'.join(keyword.kwlist)})\b)"
)


def coloured(code: str) -> Html:
    """The code with its tokens in colour; a string of several lines is none here, and stays as it is."""
    parts: list[str] = []
    end = 0
    for found in _TOKENS.finditer(code):
        parts.append(escape(code[end : found.start()]))
        parts.append(inline("span", escape(found[0]), class_=f"code-{found.lastgroup}"))
        end = found.end()
    return Html("".join([*parts, escape(code[end:])]))
