"""Text as it may be shown: names and messages are the user's, and a terminal obeys some characters."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, TypeVar, cast

_T = TypeVar("_T")

#: control characters (an escape sequence begins with one), lone surrogates, marks that turn the direction of writing
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text with what a terminal would obey, or what no encoding has, as Python writes it: ``\\x1b``."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def made_printable(value: _T) -> _T:
    """A copy in which every text is printable: of dataclasses, named tuples, tuples, lists and dicts."""
    return cast("_T", _copied(value))


def _copied(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value) if type(value) is str else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {one.name: _copied(getattr(value, one.name)) for one in dataclasses.fields(value) if one.init}
        return dataclasses.replace(value, **changes)
    if isinstance(value, dict):
        result: dict[Any, Any] = {}
        for key, part in value.items():
            shown = _copied(key)
            result[key if shown in result else shown] = _copied(part)  # none may hide another
        return result
    if isinstance(value, tuple):
        parts = [_copied(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return [_copied(part) for part in value] if isinstance(value, list) else value
