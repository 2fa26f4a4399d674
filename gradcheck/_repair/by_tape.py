"""Lines and edits by the tape: who could be at fault alone, and edits judged by their values, then by running.

A statement can be at fault alone only if other values of it could make every wrong gradient right; the tape says for
each whether they could. The edit that makes them right, and changes the text least, decides between those that are
left. After an edit that mends a part the backward is taped again, edited, until nothing is wrong or nothing mends.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from types import CodeType

import numpy as np

from gradcheck._common.arrays import Sizes, Values, as_complex, moved
from gradcheck._common.clock import Clock, current_clock, limited
from gradcheck._common.errors import TargetError
from gradcheck._localising import Localisation, Suspect, localise
from gradcheck._localising.blame import Role
from gradcheck._mending import Budget, Mend, mends
from gradcheck._mending.residual import agree
from gradcheck._repair.around_suspects import statements_around
from gradcheck._repair.edits_in_turn import moved_back
from gradcheck._symptoms.common_factor import CommonFactor, factor_for_sizes
from gradcheck._tape import Statement as TapedStatement
from gradcheck._tape import TapedRun, tape_target
from gradcheck._targets.factory import TargetFactory, sizes_to_trace
from gradcheck._targets.opening import opened
from gradcheck._targets.target import Target
from gradcheck._usercode.patching import EditedFunctions, Patch, RebindError
from gradcheck._usercode.profiling import functions_run
from gradcheck._usercode.rewriting import Statement
from gradcheck._usercode.source import Edit, Source, split_lines
from gradcheck.report.codes import FindingCode

#: the part of the time that the search has here; the rest is for verifying, and for the trace
SHARE_OF_TIME = 0.6
#: suspects whose statement is looked at for an edit
MOST_SUSPECTS = 4
#: gradients that are mended one by one where nothing mends all; of more, faults share what they spoil
MOST_ALONE = 4
#: suspects that are looked at of each of these
MOST_SUSPECTS_ALONE = 2
#: what is tried of a suspect
FULL_BUDGET = Budget(candidates=4000, runs=60)
#: what is tried for a smaller edit, once there is one, or of one gradient alone
SMALL_BUDGET = Budget(candidates=1500, runs=20)
#: values without effect that are looked at, whatever the suspects
MOST_SIGNS = 3
#: faults that are mended one after the other
MOST_ROUNDS = 6
#: tokens that the smallest edits add and take away, a name for another: no other suspect can have a smaller one
SMALLEST_EDIT = 2
#: how far the parameters of a single target are moved, where its edits are confirmed
NOISE = 0.3
#: directions along which the tape has to agree with the measured slope
DIRECTIONS = 2
#: the step of those differences
STEP = 1e-6
#: how far tape and slope may be apart, relative to the gradient: differences of one step are no better
BELIEVED = 1e-5


_TOKEN = re.compile(r"\w+|\S")


@dataclass(frozen=True)
class Point:
    """Where the backward is taped: a target, and values of its parameters."""

    open: Callable[[], Target]
    seed: int
    move: int = 0
    #: a factor that all gradients have in common here
    factor: float = 1.0

    @contextmanager
    def opened(self) -> Iterator[tuple[Target, Values]]:
        """The target and the values; everything is put back at the end."""
        target = self.open()
        with opened(target, self.seed):
            yield target, _moved(target.values(), self.move)

    def run(self) -> TapedRun:
        """The loss and the gradients, on the tape."""
        with self.opened() as (target, values):
            return tape_target(target, values, multiple=self.factor)


def _moved(values: Values, seed: int) -> Values:
    """Other values near these; the same where `seed` is zero."""
    if not seed:
        return values
    return moved(values, np.random.default_rng([seed, 4]), noise=NOISE)


@dataclass
class Mended:
    """One fault: the statement, and the edits that mend it, if any do."""

    statement: TapedStatement
    gradients: tuple[str, ...]
    suspect: Suspect | None = None
    mend: Mend | None = None
    others: tuple[Mend, ...] = ()
    #: the edits of the mend, in the text as it is
    edits: list[Edit] = field(default_factory=list)
    #: what is wrong, where that is known before any edit, and the name that it is about
    code: FindingCode | None = None
    name: str = ""


@dataclass(frozen=True)
class Stage:
    """What there was after a mend."""

    #: how many faults are mended
    faults: int
    edits: dict[str, list[Edit]]
    still_wrong: tuple[str, ...]
    #: the factor that all gradients have still
    factor: float


@dataclass
class Found:
    """What the tape tells of a wrong backward."""

    faults: list[Mended] = field(default_factory=list)
    localisation: Localisation | None = None
    #: the same after the edits so far
    last: Localisation | None = None
    #: the gradients that are wrong still
    still_wrong: tuple[str, ...] = ()
    #: the edits so far, of the source as it is, by file
    edits: dict[str, list[Edit]] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    codes: list[CodeType] = field(default_factory=list)
    evaluations: int = 0
    stages: list[Stage] = field(default_factory=list)
    #: whether the time was up before the search was through
    is_cut: bool = False

    def after(self, stage: Stage) -> Found:
        """What was found by the end of a stage; the faults that only later edits mend have no edit."""
        faults = [one if number < stage.faults else replace(one, mend=None) for number, one in enumerate(self.faults)]
        return replace(self, faults=faults, edits=stage.edits, still_wrong=stage.still_wrong)

    @property
    def patch(self) -> Patch:
        """All edits, each with the statement that it is of."""
        return Patch(
            [(_statement_at(self.sources[file], edit), edit) for file, edits in self.edits.items() for edit in edits],
            self.sources,
        )


def points_of(
    subject: Target | TargetFactory, seed: int, failing: Sizes, common: CommonFactor | None = None
) -> Iterator[tuple[Point, ...]]:
    """Points to tape at, each time one with others beside it to confirm at."""
    if isinstance(subject, Target):
        factor = 1.0 if common is None else common.value
        yield tuple(Point(lambda: subject, seed, move, factor) for move in (0, 1, 2))
        return

    def at(sizes: Sizes, seed: int) -> Point:
        factor = 1.0 if common is None else factor_for_sizes(common.label, sizes)
        return Point(lambda: subject.build(seed, sizes), seed, factor=factor)

    tried: list[Sizes] = []
    for sizes in [*sizes_to_trace(subject), failing]:
        if sizes not in tried:
            tried.append(sizes)
            yield at(sizes, seed), at(subject.sizes, seed + 1), at(sizes, seed + 2)


def find_by_tape(
    subject: Target | TargetFactory,
    seed: int,
    failing: Sizes,
    expected: set[str],
    common: CommonFactor | None = None,
    *,
    is_impure: bool = False,
) -> Found | None:
    """What the tape tells at the first point at which it can be believed and something is wrong; None if at none.

    Where the time is up, what was found by then.

    Args:
        subject: What is checked.
        seed: The seed of the check.
        failing: Sizes at which it is known to fail.
        expected: The gradients that are wrong at some sizes.
        common: A factor that gradients have in common: what else is wrong is looked for first, then what makes it.
        is_impure: Whether the code changes arrays that are the caller's: where no gradient is wrong, that is mended.
    """
    outer = current_clock()
    clock = Clock(SHARE_OF_TIME * outer.left, outer)
    for points in points_of(subject, seed, failing, common):
        found = Found()
        try:
            with limited(clock):
                if _find_at(points, subject, expected, found, is_impure=is_impure) is not None:
                    return found
                continue
        except (TargetError, RebindError, SyntaxError):
            continue
        return _as_far_as_it_went(found)
    return None


def _as_far_as_it_went(found: Found) -> Found:
    """What is told of a search whose time was up: a statement is accused only if it is the only one to suspect."""
    found.is_cut = True
    if not found.faults and found.last is not None and len(found.last.alone) == 1:
        found.faults.append(_unmended(found.last.alone[0], set(found.still_wrong)))
    return found


def _find_at(
    points: Sequence[Point], subject: Target | TargetFactory, expected: set[str], found: Found, *, is_impure: bool
) -> Found | None:
    while len(found.faults) < MOST_ROUNDS:
        with ExitStack() as stack:
            if found.edits:
                stack.enter_context(_edited(found, is_factory=isinstance(subject, TargetFactory)))
            target, values = stack.enter_context(points[0].opened())
            run = tape_target(target, values, multiple=points[0].factor)
            wrong = _wrong(run)
            if not found.codes:
                found.evaluations += 2 * DIRECTIONS
                if not wrong <= expected or not _is_believed(run):
                    return None
                _add_sources(found, run, points[0] if isinstance(subject, TargetFactory) else None)
            found.still_wrong = tuple(sorted(wrong))
            if found.edits and (not found.stages or len(found.faults) > found.stages[-1].faults):
                edits = {file: list(of_file) for file, of_file in found.edits.items()}
                found.stages.append(Stage(len(found.faults), edits, found.still_wrong, points[0].factor))
            if not wrong and points[0].factor != 1.0:
                points = [replace(point, factor=1.0) for point in points]  # what is left is the factor itself
                continue
            if wrong:
                fault = _next_fault(found, run, wrong, points[1:])
            else:
                is_left = is_impure and not any(not one.gradients for one in found.faults)
                fault = _write_into_callers(run, points[1:]) if is_left else None
                if fault is None:
                    return found if found.faults else None
        if fault is None or fault.mend is None:
            assert found.last is not None
            found.faults += [
                *_unused_cotangents(found.last, wrong),
                *(_unmended(one, wrong) for one in _region(found.last)),
            ]
            return found
        found.faults.append(fault)
        if not _add(found, fault, fault.mend):
            return found
    return found


def _add_sources(found: Found, run: TapedRun, built: Point | None) -> None:
    """Note what runs, also to make the target, and where it stands."""
    found.codes = list(run.program.codes)
    if built is not None:
        found.codes += functions_run(built.open)
    files = {code.co_filename for code in found.codes}
    found.sources = {file: one for file in files if (one := Source.of_running(file)) is not None}


def _next_fault(found: Found, run: TapedRun, wrong: set[str], others: Sequence[Point]) -> Mended | None:
    """The likeliest fault that an edit mends."""
    second = _run_or_none(others[-1])
    localisation = _without_forward(run, localise(run, sorted(wrong), second=second))
    found.last = localisation
    found.localisation = found.localisation or localisation
    again = [one.run for one in others]
    fault = _sign_that_mends(run, localisation, again)
    if fault is None and localisation.alone:
        fault = _likeliest_mend(run, localisation, again)
    elif fault is None:  # none alone: few edits of one statement make a gradient right
        fault = _likeliest_mend(run, localisation, again, MOST_SUSPECTS_ALONE, SMALL_BUDGET)
    if fault is None:
        around = statements_around(run, localisation.suspects)
        fault = _first_mend(run, ((one, None) for one in around), again, SMALL_BUDGET)
    if fault is None and 1 < len(wrong) <= MOST_ALONE:
        fault = _mend_of_one_gradient(run, wrong, second, again)
    return fault


def _sign_that_mends(run: TapedRun, found: Localisation, again: Sequence[Callable[[], TapedRun]]) -> Mended | None:
    """A loop in the wrong order, or a value that does not matter, where an edit of it makes gradients right."""
    codes = {
        "order of executions": FindingCode.WRONG_ORDER,
        "repeated index": FindingCode.INDEX_REPEATS,
        "no effect": None,
        "never read": None,
    }
    told = [(one.statement, codes[one.kind]) for one in found.signs if one.statement is not None and one.kind in codes]
    return _first_mend(run, told[:MOST_SIGNS], again, SMALL_BUDGET)


def _first_mend(
    run: TapedRun,
    statements: Iterable[tuple[TapedStatement, FindingCode | None]],
    again: Sequence[Callable[[], TapedRun]],
    budget: Budget,
) -> Mended | None:
    """The first of these statements that an edit mends."""
    for statement, code in statements:
        edits = mends(run, statement, again, budget)
        if edits:
            return Mended(statement, edits[0].gradients, None, edits[0], tuple(edits[1:]), code=code)
    return None


def _write_into_callers(run: TapedRun, others: Sequence[Point]) -> Mended | None:
    """A write into an array that was handed over, and the copy after which it is left as it was."""
    writing = dict.fromkeys(one.place.statement for one in run.writes if one.label and one.place is not None)
    told = ((statement, FindingCode.WRITES_INTO_CALLERS) for statement in writing)
    return _first_mend(run, told, [one.run for one in others], SMALL_BUDGET)


def _unused_cotangents(found: Localisation, wrong: set[str]) -> list[Mended]:
    """What was handed over and left aside."""
    return [
        Mended(sign.statement, tuple(sorted(wrong)), code=FindingCode.COTANGENT_UNUSED, name=sign.name)
        for sign in found.signs
        if sign.kind == "cotangent unused" and sign.statement is not None
    ]


def _unmended(suspect: Suspect, wrong: set[str]) -> Mended:
    return Mended(suspect.statement, suspect.blamed_for or tuple(sorted(wrong)), suspect)


def _run_or_none(point: Point) -> TapedRun | None:
    try:
        return point.run()
    except TargetError:
        return None


def _region(localisation: Localisation) -> list[Suspect]:
    """The suspects that are told where no edit mends any."""
    return list(localisation.together) or list(localisation.alone[:1])


def _likeliest_mend(
    run: TapedRun,
    found: Localisation,
    again: Sequence[Callable[[], TapedRun]],
    most: int = MOST_SUSPECTS,
    budget: Budget = FULL_BUDGET,
) -> Mended | None:
    """The suspect whose edit mends most and changes least; of equal ones, the likelier."""
    best: tuple[tuple[int, int], Mended] | None = None
    for suspect in found.suspects[:most]:
        is_mended = best is not None and not best[0][0]
        if is_mended and suspect.role in (Role.CONSUMES, Role.RIGHT):
            continue  # only a smaller edit of a statement that spoils something could be the better one
        edits = mends(run, suspect.statement, again, SMALL_BUDGET if is_mended else budget)
        if not edits:
            continue
        text = suspect.statement.source.text
        edits.sort(key=lambda one: (len(one.remaining), _change(one, text)))
        fault = Mended(suspect.statement, edits[0].gradients, suspect, edits[0], tuple(edits[1:]))
        key = len(edits[0].remaining), _change(edits[0], text)
        if best is None or key < best[0]:
            best = key, fault
        if best[0] <= (0, SMALLEST_EDIT):
            break
    return best[1] if best is not None else None


def _mend_of_one_gradient(
    run: TapedRun, wrong: set[str], second: TapedRun | None, again: Sequence[Callable[[], TapedRun]]
) -> Mended | None:
    """Of several faults: a mend of the first gradient that can be mended while the others may become what they like."""
    for name in sorted(wrong, key=lambda one: run.true_gradients[one].size):
        found = _without_forward(run, localise(run, sorted(wrong), second=second, only=[name]))
        fault = _likeliest_mend(run, found, again, MOST_SUSPECTS_ALONE, SMALL_BUDGET)
        if fault is not None:
            return fault
    return None


def _without_forward(run: TapedRun, found: Localisation) -> Localisation:
    """Without statements that run in the loss as well: the forward is the specification, whatever it keeps.

    All of them stay where one function returns loss and gradients, and nothing tells the two apart.
    """
    forward = {
        id(node.place.statement) for node in run.nodes[: run.boundary] if node.place is not None
    }  # by identity: statements have no other
    alone = [one for one in found.alone if id(one.statement) not in forward]
    together = [one for one in found.together if id(one.statement) not in forward]
    return replace(found, alone=alone, together=together) if alone or together else found


def _change(mend: Mend, text: str) -> int:
    """How many tokens of the source a mend takes away and adds; what makes the code longer counts more."""
    old, new = (_TOKEN.findall(lines) for lines in Source(mend.file, text).change(*mend.edits)[1:])
    same = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    changed = len(old) + len(new) - 2 * sum(block.size for block in same)
    return changed + 2 * max(0, len(new) - len(old))


def _wrong(run: TapedRun) -> set[str]:
    given = run.gradients
    return {name for name, true in run.true_gradients.items() if name not in given or not agree(given[name], true)}


def _is_believed(run: TapedRun) -> bool:
    """Whether the tape's gradients are the slope of the loss, along a few directions through all parameters."""
    rng = np.random.default_rng(5)
    with run.target.problem.preserved():
        for _ in range(DIRECTIONS):
            direction = {name: rng.standard_normal(array.shape) for name, array in run.base.items()}
            ends = [
                as_complex(
                    run.target.loss_at(
                        {name: array + sign * STEP * direction[name] for name, array in run.base.items()}
                    )
                ).real
                for sign in (1, -1)
            ]
            slope = run.multiple * (ends[0] - ends[1]) / (2 * STEP)
            taped = sum(float(np.sum(run.true_gradients[name] * direction[name])) for name in run.base)
            size = float(np.sqrt(sum(np.sum(array**2) for array in run.true_gradients.values())))
            rounding = 1e-15 * abs(run.multiple * ends[0]) / STEP
            if not abs(slope - taped) <= BELIEVED * max(size, abs(taped)) + 10 * rounding:
                return False
    return True


# -- edits, one after the other ----------------------------------------------------------------------------------------


@contextmanager
def _edited(found: Found, *, is_factory: bool) -> Iterator[None]:
    """The functions, and their source as it is looked up, as if the files had been edited."""
    cached = {file: linecache.cache.get(file) for file in found.edits}
    functions = EditedFunctions(found.codes, found.sources)
    with functions.edited(found.edits, anew=is_factory):
        try:
            for file, edits in found.edits.items():
                text = found.sources[file].edited(edits)
                # without a time of change it is never compared with the disk
                linecache.cache[file] = len(text), None, split_lines(text), file
            yield
        finally:
            for file, before in cached.items():
                if before is None:
                    linecache.cache.pop(file, None)
                else:
                    linecache.cache[file] = before


def _add(found: Found, fault: Mended, mend: Mend) -> bool:
    """Add a mend, which is of the text with the edits so far; whether it can be told as edits of the text as it is."""
    before = found.edits.get(mend.file, [])
    moved = [moved_back(edit, before) for edit in mend.edits]
    fault.edits = [edit for edit in moved if edit is not None]
    if len(fault.edits) < len(moved):
        return False
    found.edits[mend.file] = [*before, *fault.edits]
    return True


def _statement_at(source: Source, edit: Edit) -> Statement:
    """The innermost statement that an edit lies in."""
    inside = [
        node
        for node in source.statements.values()
        if (node.lineno, node.col_offset) <= edit.start and edit.start[0] <= (node.end_lineno or node.lineno)
    ]
    node = max(inside, key=lambda one: (one.lineno, one.col_offset))
    return Statement(source.file, node, source.segment_of(node), "")
