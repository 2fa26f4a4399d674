"""From a failed check to findings with a line: what is traced, at which sizes and points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from gradcheck._common.arrays import Sizes, Values
from gradcheck._common.cells import format_place
from gradcheck._common.clock import current_clock, limited
from gradcheck._common.errors import TargetError
from gradcheck._repair.by_running import Search, rank_statements
from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.by_value import repairs_by_value
from gradcheck._repair.cleared_memory import nan_filled_np_empty
from gradcheck._repair.found import Found
from gradcheck._repair.line_findings import line_finding
from gradcheck._repair.strategies import FEW_RUNS, MOST_UNMENDED, Case, Content, Outcome, find_repair
from gradcheck._repair.tape_findings import tape_findings
from gradcheck._symptoms.common_factor import CommonFactor, factor_for_sizes
from gradcheck._targets.factory import TargetFactory, sizes_of_one_step, sizes_to_trace
from gradcheck._targets.opening import cotangent_rng, opened
from gradcheck._targets.pure_problems import VjpProblem
from gradcheck._targets.target import Target
from gradcheck._tracing.adjoints import TooMuchError
from gradcheck._tracing.faults import faults
from gradcheck._tracing.trace import NoSourceError, Trace, count_backward_values, why_no_source
from gradcheck._usercode.foreign import ForeignCall, foreign_calls
from gradcheck._usercode.patching import Patch, RebindError
from gradcheck.report.records import CutStage, Finding

#: how much larger weights and cotangents are made where a clip hides at the usual scale
LARGER = (64.0, 1024.0)
#: why no line is looked for
IN_FLOAT32 = "cannot locate a line in float32: its rounding hides which value is which derivative"
OTHERS_ARE_WRONG = (
    "cannot locate a line: the trace finds other gradients wrong than the check did, as happens where code "
    "calculates in less than double precision"
)
FOREIGN = (
    "no line is looked for: {where} is called, whose code cannot be seen, and an edit or a perturbation before such a "
    "call could end the process; compare what it returns with the same in NumPy"
)
TOO_LARGE = (
    "cannot locate a line: the backward computes too much at these sizes to be traced; "
    "a factory (@gradcheck.target) lets the check choose smaller ones"
)


@dataclass
class Explanation:
    """What the trace found; `patch` is the verified chain of edits that mends what was found, if there is one."""

    findings: list[Finding] = field(default_factory=list)
    patch: Patch | None = None
    evaluations: int = 0
    note: str = ""
    #: gradients that are still wrong with the patch
    rest: tuple[str, ...] = ()
    #: by file, the lines that could be at fault
    suspects: frozenset[tuple[str, int]] = frozenset()
    #: what was under way when the time was up; None if all was looked for
    cut: CutStage | None = None

    @property
    def whole(self) -> bool:
        """Whether the patch mends all that is wrong."""
        return self.patch is not None and not self.rest


@dataclass(frozen=True)
class Question:
    """What is asked: where the backward of a subject is wrong.

    Args:
        subject: What is checked.
        seed: The seed of the check.
        common: A factor that all gradients have in common.
        failing: Sizes at which it is known to fail.
        expected_wrong: The gradients that are wrong at some sizes; None if they are only where weights or cotangents
            are large.
        content: Whether a whole check of patched code is content.
        few_edits: Try few edits, since it is not a line of the backward that is known to be wrong.
        undecided: The gradients that could not be judged.
        keeps_state: Whether the code gives something else the next time: no two runs of it can be compared.
        is_impure: Whether the code changes arrays that are the caller's.
    """

    subject: Target | TargetFactory
    seed: int
    common: CommonFactor | None
    failing: Sizes
    expected_wrong: set[str] | None
    content: Content
    few_edits: bool = False
    undecided: frozenset[str] = frozenset()
    keeps_state: bool = False
    is_impure: bool = False


def explain(question: Question) -> Explanation:
    """Trace the backward where it is wrong, and mend it; where the time is up, as far as that went."""
    foreign = foreign_calls(lambda: _run_once(question))
    if foreign:
        return Explanation(note=FOREIGN.format(where=_in_words(foreign)))
    clock = current_clock()
    with nan_filled_np_empty():
        taped, traced = Explanation(cut="lines"), Explanation(cut="lines")
        if question.common is not None:
            # with the factor and one fault the tape is through sooner, with the factor and many the trace
            for way in (partial(_explain_by_tape, is_brief=True), _explain_by_trace):
                with limited(clock):
                    traced = way(question)
                if traced.whole or clock.is_up:
                    return traced
        with limited(clock):
            taped = _explain_by_tape(question)
        if taped.whole or clock.is_up or (question.is_impure and not question.expected_wrong):
            return taped
        if question.common is None:
            with limited(clock):
                traced = _explain_by_trace(question)
        return _with_certificate(taped, traced)


def _run_once(question: Question) -> None:
    """The loss and the gradients, where it is known to fail."""
    subject = question.subject
    try:
        target = subject.build(question.seed, question.failing) if isinstance(subject, TargetFactory) else subject
        with opened(target, question.seed):
            target.grads_at(target.values())
    except TargetError:
        return  # what it has called by then is known


def _in_words(calls: Sequence[ForeignCall]) -> str:
    """The first of each name, with its place."""
    first = {call.name: call for call in reversed(calls)}.values()
    return ", ".join(f"{call.name} ({format_place(call.file, call.line)})" for call in reversed(list(first)))


def _explain_by_trace(question: Question) -> Explanation:
    if isinstance(question.subject, Target):
        divisor = 1.0 if question.common is None else question.common.value
        return _explain_target(question, question.subject, divisor)
    return _explain_factory(question, question.subject)


def _explain_by_tape(question: Question, *, is_brief: bool = False) -> Explanation:
    """What the tape finds, its edits verified; nothing where it is not asked or not believed.

    Where it is to be brief, only faults that could each be to blame alone are looked for.
    """
    if question.keeps_state:
        return Explanation()
    try:
        found = find_by_tape(
            question.subject,
            question.seed,
            question.failing,
            question.expected_wrong,
            question.common,
            undecided=question.undecided,
            is_impure=question.is_impure,
            is_brief=is_brief,
        )
    except Exception as error:  # what the tape cannot follow, the trace may
        return Explanation(note=f"the tape could not follow the backward: {error}")
    if found is None:
        return Explanation()
    cut: CutStage | None = "lines" if found.is_cut else None
    is_judged = False
    with limited(current_clock()):
        for stage in reversed(found.stages):  # all edits together, or as many of the first as the check is content with
            part = found.after(stage)
            # what was judged with a factor divided out holds only with the edit that takes the factor out of the code
            is_complete = question.common is None or stage.factor == 1.0
            # that a clip is taken out mends nothing by itself
            if is_complete and not part.is_clip_alone and _accepts(question, part, _mended_laws(question, part)):
                findings = tape_findings(part, verified=True)
                return Explanation(findings, part.kept_patch, found.evaluations, rest=part.still_wrong, cut=cut)
        is_judged = True
    findings = tape_findings(found, verified=False)
    return Explanation(
        findings,
        None,
        found.evaluations,
        rest=found.still_wrong,
        suspects=_suspected_lines(found),
        cut=cut if is_judged else "verifying",
    )


def _mended_laws(question: Question, found: Found) -> frozenset[str]:
    """The laws that were broken by what is mended."""
    laws = {"reduction"} if question.common is not None else set()
    if any(not fault.gradients for fault in found.faults):
        laws.add("purity")
    return frozenset(laws)


def _accepts(question: Question, found: Found, mended: frozenset[str]) -> bool:
    try:
        return question.content(found.patch, found.codes, found.still_wrong, mended)
    except (TargetError, SyntaxError, RebindError):
        return False


def _suspected_lines(found: Found) -> frozenset[tuple[str, int]]:
    """The lines that could be at fault, alone or together with others."""
    if found.localisation is None:
        return frozenset()
    return frozenset(
        (statement.file, line)
        for statement in found.localisation.statements
        for line in range(statement.line, statement.end_line + 1)
    )


def _with_certificate(taped: Explanation, traced: Explanation) -> Explanation:
    """What the trace finds where the tape does not mend all: its accusations without a verified edit must be solvable.

    A line that no values of its own could put right is innocent, whatever else speaks against it.
    """
    traced.evaluations += taped.evaluations
    if traced.whole:
        return traced
    traced.cut = taped.cut or traced.cut
    if traced.patch is None and taped.cut and not taped.suspects:
        return replace(traced, findings=[])  # nobody has asked whether they could be at fault
    if not taped.findings:
        return replace(traced, note=traced.note or ("" if traced.findings else taped.note))
    if taped.patch is not None and (traced.patch is None or len(taped.rest) <= len(traced.rest)):
        return replace(taped, evaluations=traced.evaluations, cut=traced.cut)
    if traced.patch is not None:
        return traced
    kept = [one for one in traced.findings if (one.file, one.line) in taped.suspects]
    return replace(traced, findings=kept or taped.findings, note="" if kept or taped.findings else traced.note)


def _explain_factory(question: Question, factory: TargetFactory) -> Explanation:
    """At small sizes, at the defaults, where it is known to fail: at the first of them that tells something."""
    tried: list[Sizes] = []
    result = Explanation()
    for sizes in [*sizes_to_trace(factory), question.failing]:
        if sizes not in tried:
            tried.append(sizes)
            result = _explain_at_sizes(question, factory, sizes)
            if result.findings:
                break
    if not result.findings or result.whole or result.cut or question.few_edits:
        return result
    # in one step of time what is wrong in one place does not spread to all others
    short = sizes_of_one_step(
        factory, tried[-1], lambda sizes: count_backward_values(factory.build(question.seed, sizes))
    )
    if short is None:
        return result
    closer = _explain_at_sizes(replace(question, few_edits=True), factory, short)
    closer.evaluations += result.evaluations
    return closer if closer.whole else result


def _explain_at_sizes(question: Question, factory: TargetFactory, sizes: Sizes) -> Explanation:
    def rebuild() -> Target:
        again = factory.build(question.seed, sizes)
        again.draw_cotangents(cotangent_rng(question.seed))
        return again

    try:
        target = factory.build(question.seed, sizes)
    except TargetError:
        return Explanation()
    divisor = 1.0 if question.common is None else factor_for_sizes(question.common.label, sizes)
    return _explain_target(question, target, divisor, rebuild)


def _explain_target(
    question: Question, target: Target, divisor: float, rebuild: Callable[[], Target] | None = None
) -> Explanation:
    note = ""
    with opened(target, question.seed):
        if not _is_double_precision(target):
            return Explanation(note=IN_FLOAT32)
        for base in _points(target, hidden=question.expected_wrong is None):
            try:
                trace = Trace(target, divisor, base)
                found = _explain_at_point(question, trace, rebuild)
            except NoSourceError as error:
                return Explanation(note=str(error))
            except TooMuchError:
                return Explanation(note=TOO_LARGE)
            if found is not None:
                return found
            note = _no_source_note(trace)
    return Explanation(note=note)


def _explain_at_point(question: Question, trace: Trace, rebuild: Callable[[], Target] | None) -> Explanation | None:
    """What the trace finds at one point; None if that is nothing."""
    divisor = trace.divisor
    with trace:
        plain = trace.judgement({})
        wrong = trace.wrong(plain.recording.gradients)
        if not wrong and divisor == 1.0:
            return None
        if question.expected_wrong is not None and not set(wrong) <= question.expected_wrong:
            return Explanation(note=OTHERS_ARE_WRONG)
        trace.held = trace.forward_functions(plain)
        traced = repairs_by_value(trace, faults(trace))
        around = rank_statements(trace, plain)
    search = Search(trace, around, rebuild)
    if question.few_edits:
        search.limit = min(search.limit, FEW_RUNS)
    outcome: Outcome | None = None
    with limited(current_clock()):
        outcome = find_repair(Case(trace, search, question.content, wrong, traced), divisor)
    cut: CutStage | None = "lines" if outcome is None else None
    outcome = outcome or Outcome(traced[:MOST_UNMENDED])
    if not outcome.repairs:
        return None if cut is None else Explanation(cut=cut)
    findings = [line_finding(repair, trace, outcome.patch) for repair in outcome.repairs]
    if question.common is not None and not any(repair.kind == "reduction" for repair in outcome.repairs):
        # these edits were judged with the factor divided out, which no edit takes out of the code
        return Explanation([_unverified(one) for one in findings], None, trace.evaluations, rest=wrong, cut=cut)
    return Explanation(findings, outcome.patch, trace.evaluations, rest=outcome.still_wrong, cut=cut)


def _unverified(finding: Finding) -> Finding:
    return finding if finding.fix is None else replace(finding, fix=replace(finding.fix, verified=False))


def _is_double_precision(target: Target) -> bool:
    """Whether values can be told apart: parameters in double precision, or such as can be replaced by wider ones."""
    return target.takes_complex or all(array.dtype.itemsize >= 8 for array in target.values().values())


def _points(target: Target, *, hidden: bool) -> Iterator[Values]:
    """Where to trace: at the parameters as they are, or at larger ones."""
    base = {name: array.astype(np.result_type(array, np.float64)) for name, array in target.values().items()}
    if not hidden:
        yield base
        return
    problem = target.problem
    if isinstance(problem, VjpProblem):
        cotangents = problem.cotangents
        try:
            for factor in LARGER:
                problem.cotangents = [factor * cotangent for cotangent in cotangents]
                yield base
        finally:
            problem.cotangents = cotangents
        return
    for name, array in base.items():
        if array.ndim >= 2:
            for factor in LARGER:
                yield {**base, name: array * factor}


def _no_source_note(trace: Trace) -> str:
    if not trace.program.without_source:
        return ""
    return f"no line can be named in {', '.join(trace.program.without_source)}: {why_no_source(trace.program)}"
