"""A value of the forward that is fetched in the wrong place, where several statements calculate with it.

`h_prev = hs[t - 1]` for `hs[t]` spoils every statement that reads `h_prev`. No edit of one of them mends all, and since
the gradients move with products of what they read, the tape does not tell that the value could be to blame.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence

from gradcheck._localising.spoiling import readers_of
from gradcheck._mending import Again, MendSearch
from gradcheck._mending.syntax import Code
from gradcheck._repair.forward import at_work, forward_statements
from gradcheck._repair.found import Mended
from gradcheck._repair.likeliest_mend import FULL_BUDGET
from gradcheck._tape import Statement, TapedRun

#: statements that are tried, those first that most others read
MOST = 6
#: statements that calculate with what one fetches, at least: what one reads alone can be mended there
_FEWEST = 2


def misread(run: TapedRun, again: Sequence[Again]) -> Mended | None:
    """The fault of such a statement, if a small edit of it mends all."""
    for statement in _fetching(run)[:MOST]:
        whole = [one for one in MendSearch(run, statement, again, FULL_BUDGET).small() if not one.remaining]
        if whole:
            return Mended.of(statement, whole)
    return None


def _fetching(run: TapedRun) -> list[Statement]:
    """Statements of the backward that give a name to an item of what the forward keeps, the most read first."""
    others = run.once(forward_statements) | run.once(at_work)
    given: dict[int, list[int]] = defaultdict(list)
    for node in run.backward:
        if node.place is not None and id(node.place.statement) not in others:
            given[id(node.place.statement)].append(node.index)
    fetching = [one for one in run.statements if id(one) in given and _fetches(one)]
    readers = {id(one): len(readers_of(run, given[id(one)])) for one in fetching}
    read = [one for one in fetching if readers[id(one)] >= _FEWEST]
    return sorted(read, key=lambda one: -readers[id(one)])


def _fetches(statement: Statement) -> bool:
    """Whether it binds names to items, and nothing else."""
    tree = Code.of(statement.source.text).statement(statement.line, statement.kind)
    return isinstance(tree, ast.Assign) and all(isinstance(one, ast.Subscript) for one in _values(tree.value))


def _values(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.Tuple):
        for one in node.elts:
            yield from _values(one)
    else:
        yield node
