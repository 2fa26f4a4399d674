"""Faults that show whatever the values are, with the edits that mend them: told by a sign of the run, or by their form.

What has such a form need not be wrong. It is where gradients become right with it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence

from gradcheck._localising import Localisation
from gradcheck._mending import Again, MendSearch, mends
from gradcheck._mending.late_binding import bound_early
from gradcheck._mending.mirrored import other_end
from gradcheck._mending.one_array import copied, made_for_each, written_into
from gradcheck._mending.overbound import added_up, kept_beside
from gradcheck._mending.overwritten import bound_elsewhere, written_apart
from gradcheck._mending.resets import reset_left_out
from gradcheck._mending.syntax import Code
from gradcheck._mending.thrown_away import taken_up
from gradcheck._repair.found import Mended
from gradcheck._repair.likeliest_mend import SMALL_BUDGET
from gradcheck._tape import Statement, TapedRun
from gradcheck._usercode.source import Edit
from gradcheck.report.codes import FindingCode

#: statements that are looked at, whatever the suspects: with a sign, and of one form
MOST_SIGNS = 3
MOST_OF_FORM = 6
_CODES = {
    "order of executions": FindingCode.WRONG_ORDER,
    "repeated index": FindingCode.INDEX_REPEATS,
    "overwritten": None,
    "no effect": None,
    "never read": None,
}
#: edits of a statement that has the form
Form = Callable[[Code, ast.stmt], Iterator[tuple[Edit, ...]]]


def fault_by_sign(run: TapedRun, found: Localisation, again: Sequence[Again]) -> Mended | None:
    """The first such fault of which an edit makes gradients right."""
    told = [(one.statement, _CODES[one.kind]) for one in found.signs if one.statement and one.kind in _CODES]
    return (
        first_mend(run, told[:MOST_SIGNS], again)
        or _of_form(run, run.statements, bound_early, FindingCode.BINDS_LATE, again)
        or _of_form(run, run.statements, reset_left_out, FindingCode.EXTRA_STATEMENT, again)
        or _of_form(run, run.statements, made_for_each, FindingCode.SHARED_ARRAY, again)
        or _of_form(run, run.statements, copied, FindingCode.SHARED_ARRAY, again)
        or _of_form(run, run.statements, written_into, None, again)
        or _of_form(run, run.statements, added_up, FindingCode.ASSIGNED_NOT_ADDED, again)
        or _of_form(run, run.statements, kept_beside, None, again)
        or _of_form(run, run.statements, other_end, FindingCode.MISSING_STATEMENT, again)
        or _of_form(run, run.statements, taken_up, None, again)
        or _of_form(run, run.statements, bound_elsewhere, None, again)
        or _of_form(run, _overwriting(run), written_apart, FindingCode.MISSING_COPY, again)
    )


def first_mend(
    run: TapedRun, statements: Iterable[tuple[Statement, FindingCode | None]], again: Sequence[Again]
) -> Mended | None:
    """The first of these statements that an edit mends."""
    for statement, code in statements:
        edits = mends(run, statement, again, SMALL_BUDGET)
        if edits:
            return Mended.of(statement, edits, code=code)
    return None


def _of_form(
    run: TapedRun, statements: Iterable[Statement], form: Form, name: FindingCode | None, again: Sequence[Again]
) -> Mended | None:
    trees = ((one, Code.of(one.source.text)) for one in statements)
    edits = ((one, code, code.statement(one.line, one.kind)) for one, code in trees)
    told = ((one, list(form(code, tree))) for one, code, tree in edits if tree is not None)
    for statement, of_one in [(one, of_one) for one, of_one in told if of_one][:MOST_OF_FORM]:
        mended = MendSearch(run, statement, again, SMALL_BUDGET).given(of_one)
        if mended:
            return Mended.of(statement, mended, code=name)
    return None


def _overwriting(run: TapedRun) -> list[Statement]:
    """Statements that write into arrays of the forward, which may be kept for the backward as they were before."""
    forward = {id(one.place.statement) for one in run.nodes if one.place is not None and run.is_forward(one)}
    writing = dict.fromkeys(one.place.statement for one in run.writes if one.place is not None)
    return [one for one in writing if id(one) in forward]
