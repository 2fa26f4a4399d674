"""Several faults on one way: what reads right derivatives and gives none is edited until it gives one.

No gradient becomes right by one of these edits alone, where another fault stands between. So they are taken on trust,
one after the other. Those after which no gradient is right in the end are told, and not called verified.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import TypeVar

import numpy as np

from gradcheck._common.errors import TargetError
from gradcheck._localising.given_twice import given_twice
from gradcheck._localising.ground import Ground
from gradcheck._localising.misdirected import spoiling_or_misdirected
from gradcheck._localising.order import out_of_order
from gradcheck._localising.spoiling import Multiple, Spoiling, multiples, readers_of, spoiling, spoiling_further_on
from gradcheck._localising.standing import Standing, origin
from gradcheck._mending import Mend
from gradcheck._mending.carried import left_by_another_name
from gradcheck._mending.residual import Residual, wrong_names
from gradcheck._mending.statement_edits import other_direction, scaled_afterwards
from gradcheck._mending.suspects import Suspect
from gradcheck._mending.syntax import Code
from gradcheck._repair.derivative_edits import Tried, edits_to_derivatives
from gradcheck._repair.each_gradient import gradients_behind, spoil_only
from gradcheck._repair.edits_in_turn import line_before
from gradcheck._repair.forward import forward_statements
from gradcheck._repair.found import Found, Mended, add_mend
from gradcheck._repair.handed_on import exchanges_by_callers, without_clips
from gradcheck._repair.points import Point
from gradcheck._tape import MOVES, Node, Statement, TapedRun
from gradcheck._usercode.patching import RebindError
from gradcheck._usercode.source import Edit
from gradcheck.report.codes import FindingCode

#: how such edits are found
EVIDENCE = "judged by what statements give"
#: rounds, each in the code with the edits of those before
MOST_ROUNDS = 12
#: statements that are edited
MOST_STATEMENTS = 6
#: edits of one statement, which are told apart by what follows
MOST_EDITS = 6
#: characters by which an edit makes the text longer: beyond this a shorter one is looked for once all is mended
LONG = 12
#: minus the number of wrong gradients; that of values that are derivatives, and of those that are through all uses
Progress = tuple[int, int, int]
#: puts edits in place, and gives a run with them
Taped = Callable[[Found], AbstractContextManager[TapedRun]]
T = TypeVar("T")


def mend_by_values(found: Found, taped: Taped, others: Sequence[Point], first: Sequence[Mended]) -> bool:
    """Add such faults and their edits to what is found; whether there are any.

    Args:
        found: What is found so far.
        taped: Puts edits in place, and gives a run with them.
        others: Where else edits are tried.
        first: The first faults.
    """
    search = _Search(found.copy(), taped, others)
    try:
        search.run(first)
    finally:  # also where the time is up
        found.faults, found.edits = search.found.faults, search.found.edits
    return bool(search.added)


def faults_by_values(found: Found, taped: Taped, others: Sequence[Point]) -> Sequence[Mended]:
    """The first such faults, each with its best edit; nothing is added to what is found."""
    return _Search(found.copy(), taped, others).next_faults()


def shorten(found: Found, taped: Taped, others: Sequence[Point]) -> None:
    """Where all is right: shorter edits for those that were written out while what they could read was still wrong."""
    search = _Search(found, taped, others)
    for fault in [one for one in found.faults if one.is_by_value and _growth(one) > LONG]:
        with suppress(TargetError, SyntaxError, RebindError):
            search.look_again(fault)
    found.note_edits()


class _Search:
    def __init__(self, found: Found, taped: Taped, others: Sequence[Point]) -> None:
        self.found, self.taped, self.others = found, taped, others
        self.added: list[Mended] = []
        #: lines of which an edit misled
        self.barred: set[int] = set()

    def run(self, first: Sequence[Mended]) -> None:
        """Add faults round by round, until there are no more."""
        held = self._held(first, dict(self.found.edits))
        if not held:
            return
        for _ in range(MOST_ROUNDS):
            edits = dict(self.found.edits)
            try:
                misled, chosen = self._round(edits, held)
            except (TargetError, SyntaxError, RebindError):  # the last edits do not run together
                self._take_back(held)
                break
            if misled:
                self._take_back(misled)
                self.barred.update(one.statement.line for one in misled)
                held = []
                continue
            held = self._held(chosen, edits)
            if not held:
                break

    def _held(self, chosen: Sequence[Mended], edits: Mapping[str, list[Edit]]) -> list[Mended]:
        """Those of the chosen that can be added, and with which no more gradients are wrong than were."""
        before = self._number_wrong()
        held = [one for one in chosen if add_mend(self.found, one, edits)]
        self.added += held
        held = self._without_harmful(held) if len(held) > 1 else held
        if before is not None and (self._number_wrong() or 0) > before:
            self._take_back(held)
            return []
        return held

    def _number_wrong(self) -> int | None:
        """How many gradients are wrong with the edits so far; None if the code does not run with them."""
        with suppress(TargetError, SyntaxError, RebindError), self.taped(self.found) as run:
            return len(wrong_gradients(run))
        return None

    def _without_harmful(self, held: list[Mended]) -> list[Mended]:
        """Those without which no more gradients are right: one may have been edited because of what another gave."""
        with suppress(TargetError, SyntaxError, RebindError):
            with self.taped(self.found) as run:
                wrong = len(wrong_gradients(run))
            for one in held[1:]:
                trial = self.found.copy()
                trial.take_back(trial.faults[self.found.faults.index(one)])
                with self.taped(trial) as run:
                    is_harmful = len(wrong_gradients(run)) < wrong
                if is_harmful:
                    self._take_back([one])
                    return self._without_harmful([other for other in held if other is not one])
        return held

    def next_faults(self) -> Sequence[Mended]:
        """Those that come next, in the code with the edits so far."""
        try:
            return self._round(dict(self.found.edits), ())[1]
        except (TargetError, SyntaxError, RebindError):
            return ()

    def look_again(self, fault: Mended) -> None:
        """Take a shorter edit where there is one by now: what it reads may have been wrong when it was written out."""
        without = self.found.copy()
        without.take_back(without.faults[self.found.faults.index(fault)])
        before = dict(without.edits)
        with self.taped(without) as run:
            told = _faults(run, self.others, set())
        for one in told:
            at = line_before(one.statement.line, before.get(one.statement.file, []))
            if (one.statement.file, at) != (fault.statement.file, fault.line):
                continue
            options = [replace(one, mend=mend, others=(), edits=[]) for mend in (one.mend, *one.others)]
            for option in options:
                if _growth(option) < _growth(fault) and self._mends_all(without, option, before):
                    number = self.found.faults.index(fault)
                    self.found.take_back(fault)
                    add_mend(self.found, option, before)
                    self.found.faults.insert(number, self.found.faults.pop())
                    return

    def _mends_all(self, without: Found, option: Mended, before: Mapping[str, list[Edit]]) -> bool:
        """Whether all is right with this edit as well; others give the derivative of something else."""
        trial = without.copy()
        if not add_mend(trial, replace(option, edits=[]), before):
            return False
        with self.taped(trial) as run:
            return not wrong_gradients(run)

    def _take_back(self, faults: Sequence[Mended]) -> None:
        for one in faults:
            self.found.take_back(one)
            self.added.remove(one)

    def _round(self, edits: Mapping[str, list[Edit]], held: Sequence[Mended]) -> tuple[list[Mended], Sequence[Mended]]:
        """Those of the faults held last whose edits mislead, or else the next faults."""
        found, taped = self.found, self.taped
        with taped(found) as run:
            misled = [fault for fault in held if _misleads(run, fault)]
            if misled:
                return misled, []
            wrong, reached = wrong_gradients(run), progress_of(run)
            taken = {one.statement.line for one in self.added} | self.barred
            turned = [one for one in _forwards(run) if one.statement.line not in taken] if wrong else []
        for fault in turned:  # what is wrong inside such a loop is told where it goes the other way round
            better = best_of(found, fault, edits, taped, reached)
            if better is not None:
                return [], [better]
        with taped(found) as run:
            spoilers = _faults(run, self.others, found.fruitless) if wrong else []
            faults = [one for one in spoilers if one.statement.line not in taken]
        if faults or not wrong:
            return [], [one for fault in faults if (one := best_of(found, fault, edits, taped)) is not None]
        with taped(found) as run:
            begin, left = _multiples(run, self.others, found.fruitless), _left_behind(run)
        # what follows the first is a multiple because of it
        begun = (best_of(found, one, edits, taped, reached) for one in begin)
        first = next((one for one in begun if one is not None), None)
        if first is not None:
            return [], [first]
        return [], [one for fault in left if (one := best_of(found, fault, edits, taped, reached)) is not None]


def wrong_gradients(run: TapedRun) -> set[str]:
    """The names of the gradients that are not the true ones."""
    return set(wrong_names(run.gradients, run.true_gradients))


def asked_with(found: Found, fault: Mended, taped: Taped, ask: Callable[[TapedRun], T | None]) -> T | None:
    """What a run with the edits of a fault as well says; None if they cannot be told, or the code does not run."""
    trial = found.copy()
    if add_mend(trial, replace(fault, edits=[]), dict(found.edits)):
        with suppress(TargetError, SyntaxError, RebindError), taped(trial) as run:
            return ask(run)
    return None


def best_of(
    found: Found,
    fault: Mended,
    before: Mapping[str, list[Edit]],
    taped: Taped,
    least: Progress | None = None,
) -> Mended | None:
    """The fault with that of its edits after which most of what follows is right; of equal ones, the nearest.

    The first after which all who read what it gives make derivatives of it does, without asking the others. None if it
    is no more than it was, where that is asked.
    """
    assert fault.mend is not None
    mends = fault.mend, *fault.others
    options = [replace(fault, statement=mend.statement, mend=mend, others=()) for mend in mends]
    if len(options) == 1 and least is None:
        return options[0]
    nothing = -len(found.still_wrong) - 1, 0, 0
    #: by option: without what it calculates itself, and with it, which comes last: a long edit has much of that
    scores: list[tuple[Progress, Progress]] = []
    for option in options:
        trial, score = found.copy(), (nothing, nothing)
        if add_mend(trial, replace(option, edits=[]), before):
            with suppress(TargetError, SyntaxError, RebindError), taped(trial) as run:
                if least is None and is_read_well(run, option):
                    return option
                score = progress_of(run, beside=option), progress_of(run)
        scores.append(score)
    is_better = least is None or any(whole > least for _, whole in scores)
    return options[scores.index(max(scores))] if is_better else None


def _forwards(run: TapedRun) -> list[Mended]:
    """Loops that go through the steps in the order of the forward, with what turns them round."""
    found: list[Mended] = []
    for statement in run.once(out_of_order):
        code = Code.of(statement.source.text)
        loop = code.statement(statement.line, statement.kind)
        edits = list(other_direction(code, loop)) if isinstance(loop, ast.For) else []
        fault = _fault(run, statement, edits)
        if fault is not None:
            found.append(replace(fault, code=FindingCode.WRONG_ORDER))
    return found


def _multiples(run: TapedRun, others: Sequence[Point], fruitless: set[Tried]) -> list[Mended]:
    """Statements that give a multiple of a derivative where the backward begins, with what takes the factor out."""
    found, wrong = multiples(run), wrong_gradients(run)
    guilty = {id(one.statement) for one in spoil_only(run, [_as_spoiling(one) for one in found], wrong)}
    later = _taken_out_later(run, wrong)
    found = [one for one in found if id(one.statement) in guilty and not np.any(np.isclose(one.factor, later))]
    found, sizes = found[:MOST_STATEMENTS], []
    for one in found:
        suspect = Suspect(run, one.statement, run.once(Residual))
        sizes.append([edits for edits, size in scaled_afterwards(suspect) if abs(size - one.factor) < 1e-6 * size])
    again = [one.taped for one in others]
    edits = edits_to_derivatives(run, [_as_spoiling(one) for one in found], again, fruitless, _multiples_of)
    told = zip(found, edits, sizes, strict=True)
    return [fault for one, new, divided in told if (fault := _fault(run, one.statement, [*new, *divided]))]


def _taken_out_later(run: TapedRun, wrong: set[str]) -> list[float]:
    """The factors that the last operations of right gradients take out of what was calculated before."""
    found: list[float] = []
    for name, sink in run.sinks.items():
        node = None if name in wrong or sink is None else origin(sink)
        if node is None or node.op not in ("divide", "multiply") or not np.any(node.value):
            continue
        for source in node.inputs:
            factor = float(np.linalg.norm(source.value)) / float(np.linalg.norm(node.value))
            if source.shape == node.shape and np.allclose(source.value, factor * np.asarray(node.value)):
                found.append(factor)
    return found


def _multiples_of(run: TapedRun) -> list[Spoiling]:
    return [_as_spoiling(one) for one in multiples(run)]


def _as_spoiling(one: Multiple) -> Spoiling:
    return Spoiling(one.statement, one.executions, (), frozenset())


def _growth(fault: Mended) -> int:
    return growth_of(() if fault.mend is None else fault.mend.edits)


def growth_of(edits: Sequence[Edit]) -> int:
    """By how many characters edits make the text longer, within lines."""
    return sum(len(one.text) - (one.end[1] - one.start[1]) for one in edits if one.start[0] == one.end[0])


def _misleads(run: TapedRun, fault: Mended) -> bool:
    """Whether all who read what it gives with its edit spoil that: it is the derivative of something else."""
    readers = _readers(run, fault)
    return len(readers) > 1 and readers <= _spoiling_somewhere(run)


def is_read_well(run: TapedRun, fault: Mended) -> bool:
    """Whether several read the whole derivative that it gives with its edit, and none of them spoils it."""
    readers = _readers(run, fault, Standing.FULL)
    return len(readers) > 1 and not readers & _spoiling_somewhere(run)


def is_read_well_by_some(run: TapedRun, fault: Mended) -> bool:
    """Whether several read the whole derivative that it gives with its edit, and not all of them spoil it."""
    readers = _readers(run, fault, Standing.FULL)
    return len(readers) > 1 and not readers <= _spoiling_somewhere(run)


def _spoiling_somewhere(run: TapedRun) -> set[int]:
    """The identities of statements that spoil derivatives."""
    return {id(one.statement) for one in run.once(spoiling) if one.executions}


def _readers(run: TapedRun, fault: Mended, least: Standing = Standing.PARTIAL) -> set[int]:
    """The identities of other statements that calculate with the derivatives that a statement gives."""
    standings = run.once(Ground).standings
    own = [node for node in run.backward if _is_of(node, fault)]
    given = {node.index for node in own if standings.of(node) <= least}
    return readers_of(run, given) - {id(node.place.statement) for node in own if node.place is not None}


def _is_of(node: Node, fault: Mended) -> bool:
    at = None if node.place is None else node.place.statement
    return at is not None and (at.file, at.line) == (fault.statement.file, fault.statement.line)


def _left_behind(run: TapedRun) -> list[Mended]:
    """Statements that leave a derivative under a name that nobody reads, with the names that the loop reads."""
    forward = run.once(forward_statements)
    unread = (one for one in run.bindings if not one.reads and one.place.kind == "bind" and one.node is not None)
    statements = {id(one.place.statement): one.place.statement for one in unread}
    result = []
    for number, statement in statements.items():
        code = Code.of(statement.source.text)
        tree = None if number in forward else code.statement(statement.line, statement.kind)
        edits = [] if tree is None else list(left_by_another_name(code, tree))
        fault = _fault(run, statement, edits)
        if fault is not None:
            result.append(replace(fault, gradients=tuple(sorted(wrong_gradients(run)))))
    return result


def spoilers(run: TapedRun, wrong: set[str]) -> list[Spoiling]:
    """Statements that read right derivatives, give none, and spoil no gradient that is right."""
    return spoil_only(run, run.once(spoiling_or_misdirected), wrong)


def _faults(run: TapedRun, others: Sequence[Point], fruitless: set[Tried]) -> list[Mended]:
    """Statements that spoil derivatives, each with the edits after which it gives one, and the gradients behind it."""
    names, again = wrong_gradients(run), [one.taped for one in others]
    every = spoilers(run, names)
    # who only gives nothing where that can be right is asked where there is no other
    wrong = ([one for one in every if one.executions] or every)[:MOST_STATEMENTS]
    edits = edits_to_derivatives(run, wrong, again, fruitless)
    for others_wrong in (spoiling_further_on, given_twice) if not any(edits) else ():
        if not any(edits):
            wrong = spoil_only(run, run.once(others_wrong), names)[:MOST_STATEMENTS]
            edits = edits_to_derivatives(run, wrong, again, fruitless, others_wrong)
    told = [(one, found) for one, found in zip(wrong, edits, strict=True)]
    mended = frozenset[int]().union(*(one.shows_in for one, found in told if found))
    left = ((one.statement, found) for one, found in told if id(one.statement) not in mended)
    return [fault for statement, found in left if (fault := _spoiler(run, statement, found))]


def _spoiler(run: TapedRun, statement: Statement, edits: Sequence[tuple[Edit, ...]]) -> Mended | None:
    """A statement that spoils derivatives, with its edits, those of who calls its function, and those of its clips."""
    fault = _fault(run, statement, [*without_clips(statement), *edits])
    if fault is None:
        return None
    beside = exchanges_by_callers(run, statement, edits)
    calls = (Mend(caller.file, one, caller, (), (), EVIDENCE) for caller, one in beside)
    return replace(fault, others=(*fault.others, *calls))


def _fault(run: TapedRun, statement: Statement, edits: Sequence[tuple[Edit, ...]]) -> Mended | None:
    mends = [Mend(statement.file, one, statement, (), (), EVIDENCE) for one in edits[:MOST_EDITS]]
    if not mends:
        return None
    wrong = wrong_gradients(run)
    behind = gradients_behind(run, statement, wrong) or tuple(sorted(wrong))  # none where nobody reads it
    return Mended(statement, behind, None, mends[0], tuple(mends[1:]), is_by_value=True)


def progress_of(run: TapedRun, beside: Mended | None = None) -> Progress:
    """How many gradients are wrong, less is more; how many values of the backward are derivatives, and whole ones.

    The right edit makes more of what follows right; `beside`: without what its statement calculates, and those that it
    adds.
    """
    standings, own = run.once(Ground).standings, _lines_of(beside)
    nodes = (node for node in run.backward if node.place is None or (node.place.file, node.place.line) not in own)
    right = [one for node in nodes if node.op not in MOVES and (one := standings.of(node)) <= Standing.PARTIAL]
    return -len(wrong_gradients(run)), len(right), right.count(Standing.FULL)


def _lines_of(fault: Mended | None) -> set[tuple[str, int]]:
    """The lines of a fault's statement in the code with its edit, each with the file."""
    if fault is None:
        return set()
    edits = () if fault.mend is None else fault.mend.edits
    last = fault.statement.end_line + sum(one.text.count("\n") - (one.end[0] - one.start[0]) for one in edits)
    return {(fault.statement.file, line) for line in range(fault.statement.line, last + 1)}
