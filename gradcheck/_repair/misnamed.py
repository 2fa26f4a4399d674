"""A value that goes by another's name: told where it is bound to it, handed over, or kept for it.

All statements that read it are right, and those that read right derivatives besides give none. Each could be mended by
itself, and none is at fault.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice

from gradcheck._localising.spoiling import spoiling
from gradcheck._mending import Again, MendSearch
from gradcheck._mending.gaps import Function
from gradcheck._mending.misnamed import (
    bound_names,
    kept_by_name,
    kept_otherwise,
    passed_instead,
    rebound,
    with_others,
    words_in,
)
from gradcheck._mending.outside import Edit
from gradcheck._mending.residual import Residual
from gradcheck._mending.search import MOST_ENDLESS, spelled_otherwise
from gradcheck._mending.suspects import Suspect
from gradcheck._mending.syntax import Code, names_in
from gradcheck._mending.trials import Trial
from gradcheck._repair.forward import backward_functions, function_around, taped_at
from gradcheck._repair.found import Mended
from gradcheck._repair.handed_on import argument_of, call_at, calls_of
from gradcheck._repair.likeliest_mend import SMALL_BUDGET
from gradcheck._tape import Statement, TapedRun

#: edits that are run
MOST_EDITS = 150


def misnamed(run: TapedRun, again: Sequence[Again], likeliest: Statement | None = None) -> Mended | None:
    """The fault, with an edit of what is bound or kept after which all gradients are right; None if there is none.

    Args:
        run: The loss and the gradients, on the tape.
        again: What else edits are tried at.
        likeliest: The statement that could be to blame before all others: it may be right, and read a wrong value.
    """
    trial = Trial(run)
    spoilers = [one.statement for one in run.once(spoiling) if one.executions]
    readers = [spoilers, [likeliest]] if likeliest is not None and spoilers != [likeliest] else [spoilers]
    found = chain(_spelled(run), (one for some in readers for one in _edits(run, some)))
    for statement, edits in islice(found, MOST_EDITS):
        if trial.endless >= MOST_ENDLESS:
            break
        if trial.mended_by(statement.file, edits) == trial.wrong:
            mends = MendSearch(run, statement, again, SMALL_BUDGET).given([edits])
            if mends and not mends[0].remaining:
                return Mended.of(statement, mends)
    return None


def _spelled(run: TapedRun) -> Iterator[tuple[Statement, tuple[Edit, ...]]]:
    """Where a statement of the backward spells the name of a wrong gradient."""
    residual = run.once(Residual)
    functions = {id(function) for _, function in backward_functions(run)}
    for one in run.statements:
        tree = Code.of(one.source.text).statement(one.line, one.kind)
        if tree is not None and _has_text(tree) and id(function_around(one)) in functions:
            yield from ((one, edits) for edits in spelled_otherwise(Suspect(run, one, residual)))


def _has_text(tree: ast.AST) -> bool:
    return any(isinstance(node, ast.Constant) and isinstance(node.value, str) for node in ast.walk(tree))


def _edits(run: TapedRun, readers: Sequence[Statement]) -> Iterator[tuple[Statement, tuple[Edit, ...]]]:
    """Where names are bound that all these statements read; and then where what is bound is handed over, or kept."""
    around = {id(function): function for one in readers if (function := function_around(one)) is not None}
    if len(around) != 1:
        return
    file, (function,) = readers[0].file, around.values()
    code = Code.of(readers[0].source.text)
    trees = [tree for one in readers if (tree := code.statement(one.line, one.kind)) is not None]
    binding = list(_binding(function, [names_in(one) for one in trees]))
    for node, names in binding:
        statement = taped_at(run, file, node.lineno)
        if statement is not None:
            yield from ((statement, edits) for edits in rebound(code, node, names))
    for node, names in binding:
        for other_file, other_code, other in _functions(run):
            for kept, edits in kept_otherwise(other_code, other, node, names):
                statement = taped_at(run, other_file, kept.lineno)
                if statement is not None:
                    yield statement, edits
    yield from _handed_over(run, readers[0], function, [names_in(one) for one in trees])
    yield from _kept_by_name(run, [_words_read(function, one) for one in trees])


def _handed_over(
    run: TapedRun, statement: Statement, function: Function, reads: Sequence[Collection[str]]
) -> Iterator[tuple[Statement, tuple[Edit, ...]]]:
    """Where the function of a statement is called, with what is handed over under a name that each reader reads."""
    names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    for place in calls_of(run, statement):
        code, call = Code.of(place.statement.source.text), call_at(place)
        for name in names if call is not None else ():
            argument = argument_of(call, names.index(name)) if call and all(name in read for read in reads) else None
            if argument is not None:
                yield from ((place.statement, edits) for edits in passed_instead(code, argument))


def _kept_by_name(run: TapedRun, reads: Sequence[Collection[str]]) -> Iterator[tuple[Statement, tuple[Edit, ...]]]:
    """Where values are kept by names of which each reader reads one."""
    for file, code, function in _functions(run):
        for element, words in kept_by_name(function):
            around = code.statement_around(element) if all(words & set(read) for read in reads) else None
            statement = None if around is None else taped_at(run, file, around.lineno)
            if statement is not None:
                yield from ((statement, edits) for edits in with_others(code, element))


def _words_read(function: Function, statement: ast.stmt) -> set[str]:
    """The names, attributes and keys that a statement reads, and those of what its names are bound to."""
    own = words_in(statement)
    bound = (one for one in ast.walk(function) if isinstance(one, ast.stmt))
    return own.union(*(words_in(one) for one in bound if own & {each.id for each in bound_names(one)}))


def _binding(function: Function, reads: Sequence[Collection[str]]) -> Iterator[tuple[ast.stmt, set[str]]]:
    """Statements of a function with the names that they bind, where each of the readers reads some of these."""
    for node in ast.walk(function):
        if isinstance(node, ast.stmt):
            names = {one.id for one in bound_names(node)}
            if reads and all(names & set(read) for read in reads):
                yield node, names & set().union(*map(set, reads))


def _functions(run: TapedRun) -> Iterator[tuple[str, Code, Function]]:
    """All that run, in the order in which they stand in the list of statements."""
    known: set[int] = set()
    for one in run.statements:
        function = function_around(one)
        if function is not None and id(function) not in known:
            known.add(id(function))
            yield one.file, Code.of(one.source.text), function
