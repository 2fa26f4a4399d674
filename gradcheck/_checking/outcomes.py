"""What the verifier goes by: outcomes of whole checks, of the edited code and of the code as it is, at each point."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, TypeVar

from gradcheck._checking.pace import Headway, TimeTable
from gradcheck._checking.verifier import Claim, Outcome, Verifier, at_other_parameters, behaviour
from gradcheck._checking.without_lines import CheckRun, wrong_in
from gradcheck._common.arrays import Sizes
from gradcheck._common.errors import TargetError
from gradcheck._common.libraries import compiled_anew
from gradcheck._common.verdict import Verdict
from gradcheck._targets.factory import TargetFactory, target_of
from gradcheck._targets.opening import opened
from gradcheck._targets.target import Target
from gradcheck._usercode.patching import EditedFunctions
from gradcheck._usercode.profiling import functions_run
from gradcheck.report.report import Report

if TYPE_CHECKING:
    from types import CodeType

    from gradcheck._repair.explain import Content
    from gradcheck._usercode.patching import Patch

#: what is told of a run
Told = TypeVar("Told")


def verifier_of(run: CheckRun, report: Report) -> Verifier:
    """What judges edits of the code that a check found wrong, as its report says."""
    points = partial(_with_another_seed, run), partial(_as_checked, run)
    verifier = Verifier(points, (partial(_at_other_parameters, run),), run.suspects | wrong_in(report))
    verifier.know(1, outcome_in(run, report))  # that is what the check itself has found
    return verifier


def content_of(run: CheckRun, verifier: Verifier, laws: frozenset[str]) -> Content:
    """Whether an edit mends what it claims, and these laws, by the whole check of the edited code."""
    factor = run.common.label if run.common else ""
    before = cache(lambda: behaviour(partial(_run_once, run)))
    # functions made by the factory are made anew for each size, from the code of what makes them
    of_factory = cache(lambda: functions_run(partial(_build_once, run)))

    def content(patch: Patch, ran: Sequence[CodeType], rest: tuple[str, ...], mended: frozenset[str]) -> bool:
        verifier.learn()
        before()
        codes, anew = [*ran, *of_factory()], isinstance(run.subject, TargetFactory)
        edited = _lines_of(patch)
        is_whole = "reduction" in mended
        shared = run.common.blocks if run.common and is_whole else ()
        claim = Claim(verifier.wrong().union(shared) - set(rest), laws | mended, "" if is_whole else factor)
        with EditedFunctions(codes, patch.sources).edited(patch.edits(), anew=anew), compiled_anew():
            if edited is not None and before().objections(behaviour(partial(_run_once, run)), edited):
                return False
            return not verifier.objections(claim)

    return content


def _lines_of(patch: Patch) -> frozenset[tuple[str, int]] | None:
    """The lines that a patch edits; None if it edits what decides which lines run, or how many lines there are."""
    lines: set[tuple[str, int]] = set()
    for statement, edit in patch.chosen:
        if (
            isinstance(statement.node, (ast.For, ast.While, ast.If))
            or "\n" in edit.text
            or edit.start[0] != edit.end[0]
        ):
            return None
        lines.update((statement.file, line) for line in range(statement.line, (statement.node.end_lineno or 0) + 1))
    return frozenset(lines)


# -- runs of the gradients ---------------------------------------------------------------------------------------------


def of_gradients(run: CheckRun, tell: Callable[[Callable[[], object]], Told], sizes: Sizes | None = None) -> Told:
    """What is told of a run of the gradients alone, at these sizes, or the defaults."""
    target = target_of(run.subject, run.seed, sizes)
    with opened(target, run.seed):
        return tell(lambda: target.grads_at(target.values()))


def _run_once(run: CheckRun) -> None:
    of_gradients(run, lambda gradients: gradients())


def _build_once(run: CheckRun) -> None:
    if isinstance(run.subject, TargetFactory):
        with contextlib.suppress(TargetError):  # code may need its backward to be made, and that may fail
            run.subject.build(run.seed, run.subject.sizes)


# -- the points --------------------------------------------------------------------------------------------------------


def _as_checked(run: CheckRun, suspects: frozenset[str]) -> Outcome:
    return _outcome_of(run, run.subject, run.seed, suspects)


def _with_another_seed(run: CheckRun, suspects: frozenset[str]) -> Outcome:
    """What is found with another seed: one size is enough then."""
    subject = run.subject
    one_size = subject.with_sizes(**subject.sizes) if isinstance(subject, TargetFactory) else subject
    return _outcome_of(run, one_size, run.seed + 1, suspects)


def _at_other_parameters(run: CheckRun, suspects: frozenset[str]) -> Outcome:
    """What is found at the default sizes where all parameters are others."""
    seed = run.seed + 2
    target = target_of(run.subject, seed)
    with at_other_parameters(target, seed):
        return _outcome_of(run, target, seed, suspects)


def _outcome_of(run: CheckRun, subject: Target | TargetFactory, seed: int, suspects: frozenset[str]) -> Outcome:
    """What a check without lines finds; gradients that only have a common factor wrong count as right beside it."""
    headway = Headway(None, TimeTable(None), has_limits=False)
    # a common factor is told by the entries
    asks_entries = run.common is not None
    again = CheckRun(subject, seed, headway, laws=run.laws, entries=asks_entries, suspects=suspects)
    report = again.report()
    run.headway.evaluations += headway.evaluations
    return outcome_in(again, report)


def outcome_in(run: CheckRun, report: Report) -> Outcome:
    """What a run, and its report, say of each gradient and law."""
    excused: dict[str, Verdict] = {}
    if run.common and not run.divided:
        excused = dict.fromkeys(run.common.blocks, "right")  # where the factor is all that is wrong
    verdicts: dict[str, Verdict] = {name: block.verdict for name, block in report.blocks.items()}
    elsewhere = {
        at: {name: excused.get(name, verdict) if verdict == "wrong" else verdict for name, verdict in found.items()}
        for at, found in run.verdicts_at.items()
    }
    return Outcome(
        verdicts | excused,
        elsewhere,
        {law.name: law.holds for law in report.laws.values()},
        run.common.label if run.common else "",
    )
