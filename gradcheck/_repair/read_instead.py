"""One name where it is read, in the place of two that are exchanged where they are bound.

Who takes the new state for the old one reads a wrong name. As much would be right if the two were unpacked in each
other's place, where nobody else reads them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck._mending.syntax import Code, span
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.where_bound import Instead, statement_of, takes
from gradcheck._repair.wrong_values import Taped
from gradcheck._usercode.source import Edit


def read_instead(found: Found, taped: Taped) -> None:
    """Take the edit of what is read for an exchange of names that are read once in all, where as much is right with it.

    Args:
        found: What is found.
        taped: Puts edits in place, and gives a run with them.
    """
    for fault in list(found.faults):
        any(takes(found, taped, [fault], instead) for instead in _read_once(found, fault))


def _read_once(found: Found, fault: Mended) -> Iterator[Instead]:
    source = found.sources.get(fault.statement.file)
    if source is None or fault.line is None or len(fault.edits) != 2:
        return
    code = Code.of(source.text)
    statement = statement_of(code.tree, fault.line)
    match statement:
        case ast.Assign(targets=[ast.Tuple(elts=targets)]):
            bound = {span(one): one.id for one in targets if isinstance(one, ast.Name)}
        case _:
            return
    names = [bound.get((edit.start, edit.end)) for edit in fault.edits]
    if None in names or names[::-1] != [edit.text for edit in fault.edits]:
        return
    function = code.function(statement)
    nodes = (node for node in ast.walk(function) if isinstance(node, ast.Name)) if function is not None else ()
    read = [node for node in nodes if isinstance(node.ctx, ast.Load) and node.id in names]
    around = code.statement_around(read[0]) if len(read) == 1 else None
    if around is not None:
        other = next(name for name in names if name is not None and name != read[0].id)
        text = source.segment_of(around)
        yield Instead(source.file, around.lineno, type(around).__name__, text, Edit(*span(read[0]), other))
