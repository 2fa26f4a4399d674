"""A small edit of a statement that a value comes from, in the place of a long one where that is read.

A sum that is begun with a wrong term can be written out anew where it is returned. What was meant is a word further up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from gradcheck._common.errors import TargetError
from gradcheck._localising.tape import ancestors
from gradcheck._repair.forward import forward_statements
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.points import Point
from gradcheck._repair.telling_signs import first_mend
from gradcheck._repair.where_bound import Instead, takes
from gradcheck._repair.wrong_values import LONG, Taped, growth_of
from gradcheck._tape import Statement, TapedRun
from gradcheck._usercode.patching import RebindError

#: statements that are tried, the nearest before first
MOST_STATEMENTS = 16


def shorten_elsewhere(found: Found, taped: Taped, others: Sequence[Point]) -> None:
    """Take small edits of other statements of the function for long ones, where all is right with them as well.

    Args:
        found: What is found.
        taped: Puts edits in place, and gives a run with them.
        others: Where else edits are tried.
    """
    for fault in [one for one in found.faults if growth_of(one.edits) > LONG and "\n" not in one.edits[0].text]:
        instead = _small_edit(found, taped, fault, others)
        if instead is not None:
            takes(found, taped, [fault], instead, spares_givers=False)


def _small_edit(found: Found, taped: Taped, fault: Mended, others: Sequence[Point]) -> Instead | None:
    without = found.copy()
    without.take_back(without.faults[found.faults.index(fault)])
    left = without.edits.get(fault.statement.file, [])
    if any("\n" in one.text or one.start[0] != one.end[0] for one in left):
        return None  # what is found in edited code stands in other lines there
    with suppress(TargetError, SyntaxError, RebindError), taped(without) as run:
        told = ((one, None) for one in list(_behind(run, fault))[:MOST_STATEMENTS])
        mended = first_mend(run, told, [one.taped for one in others])
        if mended is not None and mended.mend is not None and len(mended.mend.edits) == 1:
            statement, (edit,) = mended.statement, mended.mend.edits
            if any(one.start[0] in (edit.start[0], statement.line) for one in left):
                return None
            if growth_of([edit]) < growth_of(fault.edits) and not mended.mend.remaining:
                return Instead(statement.file, statement.line, statement.kind, statement.text, edit)
    return None


def _behind(run: TapedRun, fault: Mended) -> Iterator[Statement]:
    """The statements of the same function that the values of a fault's statement come from, the nearest first."""
    at = fault.statement.file, fault.line
    own = [node for node in run.backward if node.place is not None and (node.place.file, node.place.line) == at]
    indices = ancestors(*own)
    forward = run.once(forward_statements)
    behind = (run.nodes[index].place for index in sorted(indices, reverse=True))
    statements = {id(one.statement): one.statement for one in behind if one is not None}
    for number, statement in statements.items():
        is_other = (statement.file, statement.line) != at and number not in forward
        if is_other and statement.function == fault.statement.function:
            yield statement
