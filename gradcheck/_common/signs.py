"""The signs of a report where the encoding has none: each has a letter of its own, so that they stay apart."""

from __future__ import annotations

import codecs

#: the name of the error handler, for `io.TextIOWrapper.reconfigure`
HANDLER = "gradcheck-signs"
#: each of the width of what it stands for, since tables are laid out before
_PLAIN = {"✓": "+", "✗": "x", "∅": "0", "·": "-", "÷": "/", "±": "~", "×": "x", "–": "-", "…": ".", "σ": "s", "→": ">"}


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(one, "?") for one in error.object[error.start : error.end]), error.end


codecs.register_error(HANDLER, _plain)
