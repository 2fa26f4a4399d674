"""What a loop begins with: where there is one step, an edit in the loop does what is meant where the variable is bound.

``dh = dh + d[t]`` reads in the first round what was bound before the loop, and in all others what it gave itself.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

from gradcheck._mending import Mend
from gradcheck._mending.gaps import names_bound
from gradcheck._mending.outside import apply_edits
from gradcheck._mending.syntax import Code, difference, names_in
from gradcheck._repair.forward import taped_at
from gradcheck._repair.found import Mended
from gradcheck._repair.where_bound import Replacing, bindings, statement_of
from gradcheck._tape import TapedRun


def edits_before_loop(run: TapedRun, fault: Mended) -> Iterator[Mended]:
    """The edits of a statement in a loop that put something in the place of a variable, made where that is bound.

    Args:
        run: With the code that the fault was found in.
        fault: With its edits.
    """
    for mend in (fault.mend, *fault.others):
        replaced = _replaced_in_loop(fault, mend)
        if mend is not None and replaced is not None:
            yield from _moved_before(run, fault, mend, replaced)


def drops_carry(fault: Mended) -> bool:
    """Whether with its edit nobody reads in a loop what the round before has left under a name."""
    replaced = _replaced_in_loop(fault, fault.mend)
    if replaced is None or replaced.name in names_in(replaced.new) or replaced.name not in _bound_in(replaced.loop):
        return False
    named = (node for node in ast.walk(replaced.loop) if isinstance(node, ast.Name) and node.id == replaced.name)
    read = [node for node in named if isinstance(node.ctx, ast.Load) and node.lineno <= fault.statement.line]
    return len(read) == 1


class _Replaced(NamedTuple):
    """A variable that an edit in a loop puts something in the place of."""

    code: Code
    statement: ast.stmt
    loop: ast.For | ast.While
    name: str
    new: ast.expr


def _replaced_in_loop(fault: Mended, mend: Mend | None) -> _Replaced | None:
    code = Code.of(fault.statement.source.text)
    before = code.statement(fault.statement.line, fault.statement.kind)
    loops = [] if before is None else list(code.loops_around(before))
    if mend is None or mend.file != fault.statement.file or before is None or not loops:
        return None
    with suppress(SyntaxError):
        after = statement_of(ast.parse(apply_edits(code.text, mend.edits)), fault.statement.line)
        match None if after is None else difference(before, after):
            case (ast.Name(id=name), ast.expr() as new):
                return _Replaced(code, before, loops[-1], name, new)
    return None


def _moved_before(run: TapedRun, fault: Mended, mend: Mend, replaced: _Replaced) -> Iterator[Mended]:
    code, statement, loop, name, new = replaced
    if (_bound_in(loop) - {name}) & names_in(new):
        return
    above = [one for one in bindings(name, statement, code) if one[0].lineno < loop.lineno]
    for bound, value in above[:1]:
        edit = code.replaced(value, Replacing(name, value).visit(deepcopy(new)))
        taped = taped_at(run, mend.file, bound.lineno)
        if taped is not None:
            moved = replace(mend, edits=(edit,), statement=taped)
            yield replace(fault, statement=taped, suspect=None, mend=moved, others=(), edits=[])


def _bound_in(loop: ast.For | ast.While) -> set[str]:
    """What is bound anew in each round."""
    inside = [one for one in ast.walk(loop) if isinstance(one, ast.stmt)]
    counted = (names_in(one.target) for one in inside if isinstance(one, ast.For))
    return set().union(*map(names_bound, inside), *counted)
