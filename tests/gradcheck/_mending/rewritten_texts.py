"""What a text becomes with each of the edits that one form offers for its statements."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from gradcheck._mending.syntax import Code
from gradcheck._usercode.source import Edit, apply_edits


def rewritten_texts(form: Callable[[Code, ast.stmt], Iterator[tuple[Edit, ...]]], text: str) -> list[str]:
    """The text with each edit, in their order, each once; all of them compile."""
    code = Code(text)
    statements = [node for node in ast.walk(code.tree) if isinstance(node, ast.stmt)]
    edits = [list(one) for statement in statements for one in form(code, statement)]
    made = list(dict.fromkeys(apply_edits(text, one) for one in edits))
    for one in made:
        compile(one, "made", "exec")
    return made
