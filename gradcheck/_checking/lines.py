"""Lines that are at fault, and what is told of them: what is asked of the search for them, and what becomes of it.

What is told without a line stands here as well: the mistakes in activations that the gradients of biases show.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from gradcheck._checking.findings import with_lines, with_places
from gradcheck._checking.without_lines import CheckRun, wrong_in
from gradcheck._common import errors
from gradcheck._common.arrays import Sizes
from gradcheck._common.errors import TargetError
from gradcheck._common.memory import memory_bounded
from gradcheck._targets.factory import TargetFactory
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import ActivationRatio, OnlyElsewhere
from gradcheck.report.records import Finding
from gradcheck.report.report import Report

if TYPE_CHECKING:
    from gradcheck._checking.verifier import Verifier
    from gradcheck._repair.explain import Explanation, Question

#: bytes that the search for lines may take beyond what the process has: a few tapes, each within a budget of its own
SEARCH_MEMORY = 4 << 30


def with_line_findings(run: CheckRun, report: Report) -> Report:
    """The report with the lines that are at fault, where source is at hand and they are found."""
    report, clips = _with_clips(run, report)
    wrong = _wrong_without_line(run, report) - clips
    broken = {FindingCode.of_law(name) for name in _broken(report)}
    # that is the clip that the gradients show
    clipped = frozenset(code for code in broken if code.is_broken_by_a_clip and not (wrong or clips))
    is_impure = FindingCode.LAW_PURITY in broken
    keeps_state = bool(broken & {FindingCode.LAW_STATELESSNESS, FindingCode.LAW_REPEATABILITY})
    if not (wrong or clipped or run.common or is_impure or keeps_state):
        return report
    from gradcheck._checking.outcomes import content_of, verifier_of
    from gradcheck._repair.explain import Question, explain

    try:
        verifier = verifier_of(run, report)
        question = Question(
            run.subject,
            run.seed,
            run.common,
            _failing(report),
            None if clipped else {*wrong, *_wrong_at_any_size(run, report)},
            content_of(run, verifier, frozenset(code.law for code in clipped)),
            undecided=frozenset(n for n, block in report.blocks.items() if block.verdict == "inconclusive"),
            keeps_state=keeps_state,
            is_impure=is_impure,
        )
        with memory_bounded(SEARCH_MEMORY):
            found = _explained_in_library(question) or explain(question)
    except Exception as error:  # a search that fails must not take the verdict with it
        if errors.SEARCH_ERRORS_RAISE:
            raise
        why = str(error) or type(error).__name__
        return replace(report, notes=(*report.notes, f"the backward could not be followed: {why}"))
    # what is carried over from call to call makes all that follows wrong, and only where it comes in is known
    if keeps_state and not found.patch:
        found = replace(found, findings=found.findings[:1])
    return _with_explanation(run, report, found, wrong, verifier)


def _explained_in_library(question: Question) -> Explanation | None:
    """What is found in code that calculates in torch or JAX; None where neither is imported, or the code is another."""
    if not sys.modules.keys() & {"torch", "jax"}:
        return None
    from gradcheck._autodiff.explain import explain_in_library

    return explain_in_library(question)


def _with_explanation(run: CheckRun, report: Report, found: Explanation, wrong: set[str], verifier: Verifier) -> Report:
    """The report with what is found of the wrong gradients."""
    phantoms = {name for one in report.findings if one.code is FindingCode.PHANTOM for name in one.blocks}
    lines = [one for one in found.findings if not _only_hides(one, phantoms)]
    lines = [_with_extent(one, verifier) for one in lines]
    # where sizes set how many parameters there are, others are known at another size
    lines = [replace(one, blocks=tuple(name for name in report.blocks if name in one.blocks)) for one in lines]
    if found.whole and len(lines) == 1:  # with its edit all is right, also what is right at the sizes looked at
        lines = [replace(lines[0], blocks=tuple(n for n in report.blocks if n in wrong or n in lines[0].blocks))]
    headway = run.headway
    headway.evaluations += found.evaluations
    clock = headway.time.clock_of_lines()
    headway.tell_of_lines(clock.left)
    if found.cut:
        headway.time.note(found.cut, clock)
    return replace(
        report,
        findings=with_lines(
            report.findings,
            with_places(lines, run.places, report.smallest),
            mended=wrong if found.whole and lines else frozenset(),
        ),
        notes=(*report.notes, *([found.note] if found.note else [])),
        evaluations=headway.evaluations,
        patch=found.patch.to_builtins() if found.patch else {},
        patch_lines=found.patch.lines() if found.patch else [],
    )


def _only_hides(finding: Finding, phantoms: set[str]) -> bool:
    """Whether an edit only makes gradients zero of what the loss does not depend on, as where it is a copy."""
    return finding.fix is not None and not finding.fix.verified and phantoms.issuperset(finding.blocks)


def _with_extent(finding: Finding, verifier: Verifier) -> Finding:
    """The finding with how widely its edit was verified."""
    fix = finding.fix
    if fix is None or not fix.verified:
        return finding
    return replace(finding, fix=replace(fix, sizes=verifier.sizes, seeds=verifier.seeds))


def _with_clips(run: CheckRun, report: Report) -> tuple[Report, set[str]]:
    """The report with the lines of clips that the numbers tell exactly; and the gradients wrong for them alone."""
    clipped = {name for one in report.findings if one.code is FindingCode.CLIPPED for name in one.blocks}
    if not clipped:
        return report, clipped
    from gradcheck._checking.clip_lines import with_clip_lines
    from gradcheck._checking.outcomes import of_gradients
    from gradcheck._repair.final_clips import statements_of_final_clips
    from gradcheck._usercode.profiling import functions_run, lines_run

    sizes = _failing(report)
    told = statements_of_final_clips(run.subject, run.seed, sizes)
    with contextlib.suppress(TargetError):
        ran, lines = of_gradients(run, functions_run, sizes), of_gradients(run, lines_run, sizes)
        report = replace(report, findings=with_clip_lines(report.findings, told, ran, lines))
    return report, clipped


# -- what is wrong -----------------------------------------------------------------------------------------------------


def _wrong_without_line(run: CheckRun, report: Report) -> set[str]:
    """The wrong gradients whose lines can be looked for, and are not those of a common factor alone."""
    wrong = wrong_in(report) - (set(run.common.blocks) if run.common and not run.divided else set())
    # the points at which lines are looked for do not show it
    return wrong - {name for one in report.findings if _is_elsewhere(one) for name in one.blocks}


def _is_elsewhere(finding: Finding) -> bool:
    return any(isinstance(one, OnlyElsewhere) for one in finding.evidence)


def _wrong_at_any_size(run: CheckRun, report: Report) -> set[str]:
    """The gradients that are wrong at some sizes."""
    common = set(run.common.blocks) if run.common else set()
    return common.union(*(trial.wrong for trial in report.trials))


def _failing(report: Report) -> Sizes:
    """The first sizes at which gradients are wrong."""
    return next((trial.sizes for trial in report.trials if trial.wrong), report.sizes)


def _broken(report: Report) -> set[str]:
    return {name for name, law in report.laws.items() if not law.holds}


# -- activations, where no line is known -------------------------------------------------------------------------------


def with_activation_findings(run: CheckRun, report: Report) -> Report:
    """The report with the mistakes in the derivatives of activations that biases show, where no line is known."""
    if any(FindingCode.of_law(law).is_about_state for law in _broken(report)):
        return report
    found = [_with_activations(run, one, report) for one in report.findings]
    return replace(report, findings=tuple(found), evaluations=run.headway.evaluations)


def _with_activations(run: CheckRun, finding: Finding, report: Report) -> Finding:
    if not finding.code.is_unnamed:
        return finding
    vectors = [name for name in finding.blocks if _is_vector(report.blocks[name].shape)]
    found = [ratio for name in vectors for ratio in _activations(run, name)]
    return replace(finding, code=FindingCode.ACTIVATION, evidence=(*finding.evidence, *found)) if found else finding


def _is_vector(shape: tuple[int, ...]) -> bool:
    return 0 < math.prod(shape) == max(shape, default=0)


def _activations(run: CheckRun, name: str) -> list[ActivationRatio]:
    """What the gradient of a bias shows where there is one time step and one example, as far as that is known."""

    def find(tick: Callable[[], None]) -> tuple[list[ActivationRatio], int]:
        subject, sizes, divisor = run.subject, None, 1.0
        if isinstance(subject, TargetFactory):
            sizes = subject.sizes_without_reuse_of(run.seed, name)
            subject = subject.build(run.seed, sizes)
            divisor = run.divisor_at(sizes)
        from gradcheck._symptoms.activations import find_mistakes

        found, evaluations = find_mistakes(subject, name, run.seed, divisor, tick)
        return [replace(one, sizes=sizes) for one in found], evaluations

    try:
        return run.headway.counted("looking closer", find)
    except TargetError:  # the code need not run at such sizes
        return []
