"""The signs of a report where the encoding has none: each has a letter of its own, so that they stay apart."""

from __future__ import annotations

import codecs
import unicodedata

#: the name of the error handler, for `io.TextIOWrapper.reconfigure`
HANDLER = "gradcheck-signs"
#: each of the width of what it stands for, since tables are laid out before
_PLAIN = {"✓": "+", "✗": "x", "∅": "0", "·": "-", "÷": "/", "±": "~", "×": "x", "–": "-", "…": ".", "σ": "s", "→": ">"}


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_replaced, error.object[error.start : error.end])), error.end


def _replaced(sign: str) -> str:
    """As wide as the sign is: what is underlined stays above its line."""
    if sign in _PLAIN:
        return _PLAIN[sign]
    if unicodedata.combining(sign):
        return ""
    return "??" if unicodedata.east_asian_width(sign) in "WF" else "?"


codecs.register_error(HANDLER, _plain)
