"""A value of the forward that is fetched in the wrong place, where several statements calculate with it.

`h_prev = hs[t - 1]` for `hs[t]` spoils every statement that reads `h_prev`. No edit of one of them mends all, and since
the gradients move with products of what they read, the tape does not tell that the value could be to blame.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence

from gradcheck._localising.ground import Ground
from gradcheck._localising.spoiling import readers_of
from gradcheck._mending import Again, MendSearch
from gradcheck._mending.syntax import Code
from gradcheck._repair.forward import forward_statements
from gradcheck._repair.found import Mended
from gradcheck._repair.likeliest_mend import FULL_BUDGET
from gradcheck._tape import MOVES, Statement, TapedRun

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
    carries, forward = run.once(Ground).standings.carries, run.once(forward_statements)
    given: dict[int, set[int]] = defaultdict(set)
    statements: dict[int, Statement] = {}
    for node in run.backward:
        if node.place is None or id(node.place.statement) in forward or not _fetches(node.place.statement):
            continue
        if node.op not in MOVES or carries[node.index]:
            given[id(node.place.statement)] = {-1}  # it calculates, or hands a derivative on
        elif -1 not in given[id(node.place.statement)]:
            given[id(node.place.statement)].add(node.index)
            statements[id(node.place.statement)] = node.place.statement
    readers = {key: len(readers_of(run, indices)) for key, indices in given.items() if -1 not in indices}
    read = [key for key in statements if readers.get(key, 0) >= _FEWEST]
    return [statements[key] for key in sorted(read, key=lambda key: -readers[key])]


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
