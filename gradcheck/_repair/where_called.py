"""One edit in a function, in the place of those of all its calls: else all callers would take it for another."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress

from gradcheck._common.errors import TargetError
from gradcheck._mending import Budget, MendSearch
from gradcheck._mending.suspects import roots
from gradcheck._mending.syntax import Code
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.points import Point
from gradcheck._repair.right_helpers import is_right_helper
from gradcheck._repair.where_bound import Instead, statement_of, takes
from gradcheck._repair.wrong_values import Taped
from gradcheck._tape import Statement
from gradcheck._usercode.patching import RebindError
from gradcheck._usercode.source import Edit, Source

#: edits of a function that are tried
MOST_EDITS = 2


def mend_where_called(found: Found, taped: Taped, others: Sequence[Point]) -> None:
    """Where every call of a function got an edit, take one of what it returns if as much is right with it.

    Args:
        found: What is found.
        taped: Puts edits in place, and gives a run with them.
        others: Where else edits are tried.
    """
    for name, group in _by_function(found).items():
        if len(group) > 1 and all(one in found.faults for one in group):
            instead = _of_function(found, taped, others, name, group)
            any(takes(found, taped, group, one, goes_by_values=False) for one in instead)


def _by_function(found: Found) -> dict[str, list[Mended]]:
    """By the name of a function: the faults of statements that call it, if these are all its calls.

    Not of a function that is the derivative of what it says: that it is handed something else is its callers' mistake.
    """
    trees = {file: Code.of(source.text).tree for file, source in found.sources.items()}
    calls = Counter(name for tree in trees.values() for name in _called(tree))
    result: dict[str, list[Mended]] = defaultdict(list)
    for fault in found.faults:
        before = None if fault.line is None else statement_of(trees[fault.statement.file], fault.line)
        called = [name for root in roots(before) for name in _called(root)] if before is not None else []
        for name in set(called) if fault.is_mended else ():
            result[name].append(fault)
    right = {code.co_name for code in found.codes if is_right_helper(code)}
    return {name: group for name, group in result.items() if calls[name] == len(group) and name not in right}


def _called(tree: ast.AST) -> list[str]:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [one.id for one in calls if isinstance(one, ast.Name)]


def _of_function(
    found: Found, taped: Taped, others: Sequence[Point], name: str, group: Sequence[Mended]
) -> list[Instead]:
    """The edits of what the function of this name returns, after which nothing is wrong any more that these mend."""
    meant, without = {gradient for one in group for gradient in one.gradients}, found.copy()
    for one in [without.faults[found.faults.index(fault)] for fault in group]:
        without.take_back(one)
    with suppress(TargetError, SyntaxError, RebindError), taped(without) as run:
        returned = [one for one in run.statements if one.function == name and one.kind == "Return"]
        if len(returned) == 1 and _stands_as_it_was(returned[0], without):
            statement = returned[0]
            mends = MendSearch(run, statement, [one.taped for one in others], Budget()).small()
            edits = [
                _as_one(one.edits, found.sources[statement.file]) for one in mends if not meant & set(one.remaining)
            ]
            return [
                Instead(statement.file, statement.line, "Return", statement.text, edit) for edit in edits[:MOST_EDITS]
            ]
    return []


def _stands_as_it_was(statement: Statement, found: Found) -> bool:
    """Whether no edit is above a statement, or in it."""
    return all(edit.start[0] > statement.end_line for edit in found.edits.get(statement.file, ()))


def _as_one(edits: Sequence[Edit], source: Source) -> Edit:
    """The same as one edit, with what stands between them."""
    first, *more = sorted(edits)
    text, end = first.text, first.end
    for one in more:
        text, end = text + source.segment(end, one.start) + one.text, one.end
    return Edit(first.start, end, text)
