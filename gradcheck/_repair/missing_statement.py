"""A statement that is missing: nothing that stands there can be edited so that the gradients are right.

Statements that change nothing are put wherever one could be missing, all at once; the tape tells which of them could
make all gradients right if it gave something else, and the search for edits what that is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from traceback import walk_tb

import numpy as np

from gradcheck._common.errors import TargetError
from gradcheck._localising import Suspect, able_alone
from gradcheck._localising.standing import origin
from gradcheck._localising.suspects import Need
from gradcheck._mending import Mend, MendSearch
from gradcheck._mending.begun import added_where_begun
from gradcheck._mending.gaps import Function, Gap, Idle, has_idle_place, left_unused
from gradcheck._mending.idle import Held, Known, idle_statements
from gradcheck._mending.looking import frames_at
from gradcheck._repair.forward import backward_functions
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.likeliest_mend import SMALL_BUDGET
from gradcheck._repair.points import Point
from gradcheck._repair.wrong_values import Taped, wrong_gradients
from gradcheck._tape import Node, Statement, TapedRun
from gradcheck._tape.parts import whole_name
from gradcheck._usercode.patching import RebindError
from gradcheck._usercode.source import Edit, Source
from gradcheck._usercode.style import in_file_style

#: statements more of which edits are looked for
MOST_TRIED = 6
#: edits of one of these that are confirmed
MOST_EDITS = 4
#: statements that stop the code and are left out
MOST_LEFT_OUT = 5
#: statements that add what is never read
MOST_UNUSED = 30


@dataclass(frozen=True)
class _Planted:
    """Statements that change nothing in one file: the edits that put them there, and which stands at which line."""

    file: str
    edits: list[Edit]
    at_line: dict[int, tuple[Gap, Idle]]


def keeps_a_place(run: TapedRun) -> bool:
    """Whether a statement that does nothing stands where gradients are calculated."""
    return any(has_idle_place(function) for _, function in backward_functions(run))


def missing_statement(found: Found, taped: Taped, others: Sequence[Point]) -> Mended | None:
    """The fault that a statement is missing, with the edit that adds it; None if none makes all gradients right.

    Or one gradient that nothing is added to, where others are wrong in their own ways.

    Args:
        found: What is found so far.
        taped: Puts edits in place, and gives a run with them.
        others: Where else edits are tried.
    """
    with taped(found) as run:
        of_file = _idle_statements(run)
        fault = _unused_that_mends(run, of_file, others) or _left_out_that_mends(run, of_file, others)
        if fault is not None:
            return _where_begun(run, fault, others) or fault
    for file, gaps in ((file, part) for file, whole in of_file.items() for part in _names_first(whole)):
        with suppress(TargetError, RebindError, SyntaxError):
            with _running(found, taped, file, gaps) as (planted, run):
                edits = _written(run, planted, others)
            for edit in edits:
                with taped(found) as run:
                    fault = _confirmed(run, file, [edit], others)
                    if fault is not None:
                        return _where_begun(run, fault, others) or fault
    return None


def _where_begun(run: TapedRun, fault: Mended, others: Sequence[Point]) -> Mended | None:
    """The same term added where its variable is given its value, if as much is right with that."""
    mend = fault.mend
    if mend is None or len(mend.edits) > 1:
        return None
    functions = [function for statement, function in backward_functions(run) if statement.file == mend.file]
    edit = added_where_begun(functions, mend.edits[0])
    return None if edit is None else _confirmed(run, mend.file, [edit], others, mend.gradients)


def _names_first(gaps: Mapping[Gap, list[Idle]]) -> Iterator[dict[Gap, list[Idle]]]:
    """Those that bind names, and then those that write into arrays: what sees these only hands on what is written."""
    for is_name in (True, False):
        part = {gap: [one for one in idles if _keeps_memory(one) is is_name] for gap, idles in gaps.items()}
        if any(part.values()):
            yield part


def _keeps_memory(idle: Idle) -> bool:
    return idle.is_sum or idle.target.isidentifier()


def _unused_that_mends(
    run: TapedRun, of_file: Mapping[str, Mapping[Gap, list[Idle]]], others: Sequence[Point]
) -> Mended | None:
    """What is calculated and never read, added to something that stands there."""
    for file, gaps in of_file.items():
        functions = [function for statement, function in backward_functions(run) if statement.file == file]
        unused = [pair for one in functions for pair in left_unused(one)]
        pairs = [(gap, idle, name) for gap, name in unused for idle in gaps.get(gap, ())]
        edits = [gap.filled(f"{idle.target} += {name}") for gap, idle, name in pairs if idle.target != name]
        fault = _confirmed(run, file, edits[:MOST_UNUSED], others) if edits else None
        if fault is not None:
            return fault
    return None


def _left_out_that_mends(
    run: TapedRun, of_file: Mapping[str, Mapping[Gap, list[Idle]]], others: Sequence[Point]
) -> Mended | None:
    """What is at hand, added to a gradient that nothing is added to: as one for all states but the first."""
    wrong = wrong_gradients(run)
    empty = [name for name in sorted(wrong) if not np.any(run.gradients.get(name, 1.0))]
    for name in empty:
        for statement, function, known in run.once(functions_known):
            shape = run.true_gradients[name].shape
            held = [key for key, one in known.local.items() if isinstance(one, np.ndarray) and one.shape == shape]
            pairs = [
                (gap, idle)
                for gap, idles in of_file.get(statement.file, {}).items()
                for idle in idles
                if idle.is_sum and name in idle.target and _lies_in(gap, function)
            ]
            source = Source(statement.file, statement.source.text)

            def nearness(pair: tuple[Gap, Idle], source: Source = source) -> tuple[bool, int]:
                """In the place of what does nothing first, then behind all loops."""
                return not _is_idle(pair[0], source), pair[0].indent

            for _, of_one in groupby(sorted(pairs, key=nearness), key=nearness):
                texts = [(gap, f"{idle.target} += {key}") for gap, idle in of_one for key in held]
                edits = [gap.filled(in_file_style(text, source)) for gap, text in texts]
                fault = _confirmed(run, statement.file, edits[:MOST_UNUSED], others, {name}) if edits else None
                if fault is not None:
                    return fault
    return None


def _is_idle(gap: Gap, source: Source) -> bool:
    """Whether a statement that does nothing stands there."""
    return source.segment(gap.start, gap.end).strip().endswith("pass")


def _lies_in(gap: Gap, function: Function) -> bool:
    return function.lineno <= gap.line <= (function.end_lineno or function.lineno) + 1


@contextmanager
def _running(
    found: Found, taped: Taped, file: str, gaps: Mapping[Gap, list[Idle]]
) -> Iterator[tuple[_Planted, TapedRun]]:
    """Those statements that can run, in the code: a variable may not be bound on each way to a gap, or no item there.

    Raises:
        TargetError: If others stop the code than a few.
    """
    with ExitStack() as stack:
        for left in reversed(range(MOST_LEFT_OUT)):
            planted = _in_file(file, gaps)
            try:
                run = stack.enter_context(taped(found.with_more(planted.file, planted.edits)))
                break
            except TargetError as error:
                lines = [line for line in _lines(error, file) if line in planted.at_line]
                if not lines or not left:
                    raise
                gap, idle = planted.at_line[lines[-1]]
                gaps = {**gaps, gap: [one for one in gaps[gap] if one.name != idle.name]}
        yield planted, run


def _lines(error: BaseException, file: str) -> Iterator[int]:
    """The lines of a file through which an exception went, the outermost first."""
    for one in (error, error.__cause__):
        if one is not None:
            yield from (line for frame, line in walk_tb(one.__traceback__) if frame.f_code.co_filename == file)


def _idle_statements(run: TapedRun) -> dict[str, dict[Gap, list[Idle]]]:
    """Statements that change nothing in the functions that calculate gradients, by file and gap."""
    of_file: dict[str, dict[Gap, list[Idle]]] = defaultdict(dict)
    for statement, function, known in run.once(functions_known):
        of_file[statement.file] |= idle_statements(function, known)
    return of_file


def functions_known(run: TapedRun) -> list[tuple[Statement, Function, Known]]:
    """The functions that calculate gradients, each with a statement of it and what is known of it."""
    return [(statement, function, _known(run, statement)) for statement, function in backward_functions(run)]


def _known(run: TapedRun, statement: Statement) -> Known:
    """What is known of the function that a statement stands in: what is no value of the forward, calculated again."""
    held = {
        one.place.name: Held(_memory(one.node), bool(one.node.shape))
        for one in run.bindings
        if one.place.name is not None
        and (one.place.file, one.place.function) == (statement.file, statement.function)
        and one.node is not None
        and not _is_of_forward(run, one.node)
    }
    frames = next((frames for place in statement.places if (frames := frames_at(run, place))), [])
    wrong = frozenset(map(whole_name, wrong_gradients(run)))
    return Known(held, frames[-1].local if frames else {}, wrong, frozenset(run.true_gradients) - wrong)


def _is_of_forward(run: TapedRun, node: Node) -> bool:
    """Whether it is a value of the forward that was handed on, or was calculated again."""
    begin = origin(run.twins.get(node.index, node))
    return run.is_forward(begin) or begin.index in run.twins


def _memory(node: Node) -> int:
    while node.op in ("view", "pack") and node.inputs:
        node = node.inputs[0]
    return node.index


def _in_file(file: str, gaps: Mapping[Gap, list[Idle]]) -> _Planted:
    edits, at_line, shift = list[Edit](), dict[int, tuple[Gap, Idle]](), 0
    # where several begin at one place, the end of the inner block comes first
    for gap in sorted(filter(gaps.get, gaps), key=lambda one: (one.start, one.end, -one.indent)):
        edit = gap.filled(*(one.text for one in gaps[gap]))
        at_line |= {gap.line + shift + number: (gap, one) for number, one in enumerate(gaps[gap])}
        edits.append(edit)
        shift += edit.text.count("\n") - (gap.end[0] - gap.start[0])
    return _Planted(file, edits, at_line)


def _written(run: TapedRun, planted: _Planted, others: Sequence[Point]) -> list[Edit]:
    """Edits of the text that fill one gap each, the likeliest first; each makes all gradients right there."""
    again = [one.taped for one in others]
    mine = [one for one in run.statements if one.file == planted.file and one.line in planted.at_line]
    wrong = wrong_gradients(run)
    suspects = [one for one in able_alone(run, sorted(wrong), mine) if not _could_give_all(one)]
    suspects.sort(key=lambda one: not planted.at_line[one.line][1].is_sum or len(wrong) > 1)
    searches = [MendSearch(run, one.statement, again, SMALL_BUDGET) for one in suspects[:MOST_TRIED]]
    for step in (MendSearch.small, MendSearch.large):
        edits: dict[str, list[Edit]] = {}  # one text may stand in several gaps: in the first of them
        for search in searches:
            idle = planted.at_line[search.statement.line][1]
            if edits and idle.text not in edits:
                break
            if found_here := list(_filling(planted, search.statement, step(search))):
                edits.setdefault(idle.text, []).extend(found_here)
        if edits:
            return sorted((one for of_idle in edits.values() for one in of_idle[:MOST_EDITS]), key=_place)
    return []


def _place(edit: Edit) -> tuple[int, int]:
    return edit.start


def _could_give_all(suspect: Suspect) -> bool:
    """Whether its values reach every combination of the gradients: that it could be at fault says nothing then."""
    return suspect.need is not Need.KNOWN and suspect.rank >= len(suspect.system.difference)


def _filling(planted: _Planted, statement: Statement, mends: Sequence[Mend]) -> Iterator[Edit]:
    gap, idle = planted.at_line[statement.line]
    source = Source(planted.file, statement.source.text)
    for mend in mends:
        if not mend.remaining and all(edit.start[0] == edit.end[0] == statement.line for edit in mend.edits):
            yield gap.filled(in_file_style(idle.written(source.change(*mend.edits)[2]), source))


def _confirmed(
    run: TapedRun, file: str, edits: Sequence[Edit], others: Sequence[Point], asked: Collection[str] = ()
) -> Mended | None:
    """The fault, if the gradients that are asked, or all, are right with one of these edits alone."""
    near = [one for one in run.statements if one.file == file and one.line <= edits[0].start[0]]
    statement = max(near, key=lambda one: one.line)
    again = [one.taped for one in others]
    mends = MendSearch(run, statement, again, SMALL_BUDGET).given([(edit,) for edit in edits])
    whole = [one for one in mends if (set(asked) <= set(one.gradients) if asked else not one.remaining)]
    return Mended.of(statement, whole) if whole else None
