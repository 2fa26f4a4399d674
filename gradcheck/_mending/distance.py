"""How far an edit takes the source from what stands there."""

from __future__ import annotations

import ast
import difflib
import io
import itertools
import re
import tokenize
from collections.abc import Sequence

from gradcheck._mending.outside import Edit, apply_edits, split_lines
from gradcheck._mending.syntax import Code, parsed, span

#: signs after which a minus makes a second one: a + -b
_SIGNS = frozenset({"+", "-", "+=", "-="})
#: tokens that a second sign counts for: a - b is what people write
SECOND_SIGN = 2
#: tokens that change where an item is put in the place of another one of which the file reads both
KNOWN_ITEM = 2

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


def reads_known_item(code: Code, edits: Sequence[Edit]) -> bool:
    """Whether all that changes is which item is read, and the new one stands elsewhere in the file.

    Where the sizes that a target has are equal by chance, x[:hidden] has the values of x[:steps - 1].
    """
    if len(edits) != 1:
        return False
    (edit,) = edits
    covering = [node for node in code.subscripts if span(node)[0] <= edit.start and edit.end <= span(node)[1]]
    if not covering:
        return False
    innermost = max(covering, key=lambda one: span(one)[0])
    start, end = span(innermost)
    try:
        new = parsed((code.between(start, edit.start) + edit.text + code.between(edit.end, end)).strip())
    except SyntaxError:
        return False
    of_same_array = isinstance(new, ast.Subscript) and ast.dump(new.value) == ast.dump(innermost.value)
    return of_same_array and ast.unparse(new) in code.subscript_texts


def _second_signs(tokens: Sequence[str]) -> int:
    return sum(one in _SIGNS and other == "-" for one, other in itertools.pairwise(tokens))


def _tokens(text: str) -> list[str]:
    try:
        found = tokenize.generate_tokens(io.StringIO(text.strip()).readline)
        return [one.string for one in found if one.string.strip()]
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return text.split()
