"""A derivative that overwrites another part of itself: with a sum in the place of the assignment both are there.

``dh[-1] = dlast`` where `dh` holds what comes back another way: both are parts of the derivative of one state, and no
statement behind it can make up for what is gone. So it is where dictionaries of gradients are put together.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Collection, Iterator

import numpy as np

from gradcheck._localising.ground import Ground
from gradcheck._localising.incomplete import given_whole_of_forward
from gradcheck._localising.standing import Standing
from gradcheck._mending import Mend
from gradcheck._mending.dictionaries import added_to_kept, merges
from gradcheck._mending.residual import Residual
from gradcheck._mending.statement_edits import with_sign
from gradcheck._mending.suspects import Suspect
from gradcheck._mending.syntax import Code
from gradcheck._repair.forward import forward_statements
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.wrong_values import EVIDENCE, Progress, Taped, asked_with, progress_of, wrong_gradients
from gradcheck._tape import KEEPS, MOVES, Node, Statement, TapedRun
from gradcheck._tape.sweep import numbered
from gradcheck._usercode.source import Edit

#: assignments of which a sum is tried
MOST_TRIED = 6
#: earlier writes into the same array that are looked at
MOST_WRITES = 60


def overwritten_part(found: Found, taped: Taped) -> Mended | None:
    """The assignment, with the sum in its place where a derivative is whole then that was not, and more is right.

    Args:
        found: What is found so far.
        taped: Puts edits in place, and gives a run with them.
    """
    with taped(found) as run:
        wrong, (progress, whole) = wrong_gradients(run), _reached(run)
        asked = list(_overwriting(run))[:MOST_TRIED] if wrong else []
        merging = list(itertools.islice(_merging(run), MOST_TRIED)) if wrong else []
    for statement, edit in [*((one, edit) for one in asked for edit in _with_sum(one)), *merging]:
        mend = Mend(statement.file, (edit,), statement, (), (), EVIDENCE)
        fault = Mended(statement, tuple(sorted(wrong)), None, mend, is_by_value=True)
        after = asked_with(found, fault, taped, _reached)
        if after is None or after[0] <= progress:
            continue
        # a parameter of which all parts are added up is right then
        if after[0][0] > progress[0] or (statement in asked and after[1] > whole):
            return fault
    return None


def _merging(run: TapedRun) -> Iterator[tuple[Statement, Edit]]:
    """Statements that put dictionaries together, each with the edit that adds up what has the same key."""
    forward = run.once(forward_statements)
    for statement in run.statements:
        tree = Code.of(statement.source.text).statement(statement.line, statement.kind)
        if tree is not None and id(statement) not in forward and merges(tree):
            for edits in added_to_kept(Suspect(run, statement, run.once(Residual))):
                yield statement, edits[0]


def _reached(run: TapedRun) -> tuple[Progress, frozenset[int]]:
    """How much is right, and of which values of the forward the whole derivative is given."""
    return progress_of(run), run.once(given_whole_of_forward)


def _overwriting(run: TapedRun) -> Iterator[Statement]:
    """Statements of the backward that write a derivative over entries that were written before."""
    standings, forward = run.once(Ground).standings, run.once(forward_statements)
    read = {one.index for node in run.nodes for one in node.inputs}
    told: set[int] = set()
    for node in run.backward:
        statement = None if node.place is None else node.place.statement
        if statement is None or node.op != "store" or not node.inputs or id(statement) in forward | told:
            continue
        overwrites = _overwrites(node) if _is_store(node) else _overwrites_all(run, node, read)
        if standings.of(node.inputs[-1]) <= Standing.PARTIAL and overwrites:
            told.add(id(statement))
            yield statement


def _is_store(node: Node) -> bool:
    return node.op == "store" and len(node.inputs) == 2


def _overwrites(store: Node) -> bool:
    """Whether entries are written that an earlier one has written."""
    written, before = _entries(store), store.inputs[0]
    for _ in range(MOST_WRITES):
        if not _is_store(before):
            is_calculated = before.op == "store" or before.op not in MOVES | KEEPS
            return bool(before.inputs) and is_calculated  # and not made empty
        if written & _entries(before):
            return True
        before = before.inputs[0]
    return False


def _overwrites_all(run: TapedRun, store: Node, read: Collection[int]) -> bool:
    """Whether all of an array is written anew that was calculated, and that nobody has read meanwhile."""
    before = run.before_write.get(store.index)
    return before is not None and before.op == "store" and bool(before.inputs) and before.index not in read


def _entries(store: Node) -> frozenset[int]:
    """Which entries of the array it writes, counted from one."""
    return frozenset(np.ravel(store.pulls[1](numbered(store))).astype(int).tolist())


def _with_sum(statement: Statement) -> Iterator[Edit]:
    """The edit that makes a sum of the assignment."""
    code = Code.of(statement.source.text)
    match code.statement(statement.line, statement.kind):
        case ast.Assign(targets=[ast.Subscript() as target], value=value):
            yield with_sign(code, target, "+=", value)
