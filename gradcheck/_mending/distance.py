"""How far an edit takes the source from what stands there."""

from __future__ import annotations

import difflib
import io
import itertools
import re
import tokenize
from collections.abc import Sequence

from gradcheck._mending.outside import Edit, apply_edits, split_lines

#: signs after which a minus makes a second one: a + -b
_SIGNS = frozenset({"+", "-", "+=", "-="})
#: tokens that a second sign counts for: a - b is what people write
SECOND_SIGN = 2

_WORD = re.compile(r"\w+|\S")


def words_of(text: str) -> list[str]:
    """The names, numbers and signs of a piece of code, whether or not it is whole."""
    return _WORD.findall(text)


def distance(text: str, edits: Sequence[Edit]) -> float:
    """How many tokens of the source change; of equal ones, the shorter text is nearer."""
    first, last = min(one.start[0] for one in edits), max(one.end[0] for one in edits)
    old = "".join(split_lines(text)[first - 1 : last])
    new = apply_edits("\n" * (first - 1) + old, edits)
    a, b = _tokens(old), _tokens(new)
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
    same = sum(block.size for block in matcher.get_matching_blocks())
    signs = max(0, _second_signs(b) - _second_signs(a))
    return len(a) + len(b) - 2 * same + SECOND_SIGN * signs + 0.01 * len(new)


def _second_signs(tokens: Sequence[str]) -> int:
    return sum(one in _SIGNS and other == "-" for one, other in itertools.pairwise(tokens))


def _tokens(text: str) -> list[str]:
    try:
        found = tokenize.generate_tokens(io.StringIO(text.strip()).readline)
        return [one.string for one in found if one.string.strip()]
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return text.split()
