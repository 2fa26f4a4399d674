"""From a failed check to findings with a line: what is traced, at which sizes and points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck._common.arrays import Sizes, Values
from gradcheck._common.errors import TargetError
from gradcheck._repair.by_running import Search, rank_statements
from gradcheck._repair.by_value import repairs_by_value
from gradcheck._repair.line_findings import line_finding
from gradcheck._repair.strategies import FEW_RUNS, Case, Content, find_repair
from gradcheck._symptoms.common_factor import CommonFactor, factor_for_sizes
from gradcheck._targets.factory import TargetFactory, sizes_to_trace
from gradcheck._targets.opening import cotangent_rng, opened
from gradcheck._targets.problems import VjpProblem
from gradcheck._targets.target import Target
from gradcheck._tracing.adjoints import TooMuchError
from gradcheck._tracing.faults import faults
from gradcheck._tracing.trace import NoSourceError, Trace, count_backward_values
from gradcheck._usercode.patching import Patch
from gradcheck.report.records import Finding

#: how much larger weights and cotangents are made where a clip hides at the usual scale
LARGER = (64.0, 1024.0)
#: why no line is looked for
IN_FLOAT32 = "cannot locate a line in float32: its rounding hides which value is which derivative"
OTHERS_ARE_WRONG = (
    "cannot locate a line: the trace finds other gradients wrong than the check did, as happens where code "
    "calculates in less than double precision"
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

    @property
    def whole(self) -> bool:
        """Whether the patch mends all that is wrong."""
        return self.patch is not None and not self.rest


def explain(
    subject: Target | TargetFactory,
    seed: int,
    common: CommonFactor | None,
    failing: Sizes,
    known: set[str] | None,
    content: Content,
    *,
    briefly: bool = False,
) -> Explanation:
    """Trace the backward where it is wrong.

    Args:
        subject: What is checked.
        seed: The seed of the check.
        common: A factor that all gradients have in common.
        failing: Sizes at which it is known to fail.
        known: The gradients that are wrong at some sizes; None if they are only where weights or cotangents are large.
        content: Whether a whole check of patched code is content.
        briefly: Try few edits, since it is not a line of the backward that is known to be wrong.
    """
    with _nan_filled_np_empty():
        return _explained(subject, seed, common, failing, known, content, briefly)


@contextmanager
def _nan_filled_np_empty() -> Iterator[None]:
    """Let np.empty() give no numbers: with what lay in memory before, a wrong edit may seem to be right."""
    numpy: Any = np  # its functions are not meant to be put aside
    plain = np.empty, np.empty_like

    def cleared(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(*arguments: Any, **options: Any) -> Any:
            array = make(*arguments, **options)
            if array.dtype.kind in "fc":
                array.fill(np.nan)
            return array

        return made

    try:
        numpy.empty, numpy.empty_like = cleared(plain[0]), cleared(plain[1])
        yield
    finally:
        numpy.empty, numpy.empty_like = plain


def _explained(
    subject: Target | TargetFactory,
    seed: int,
    common: CommonFactor | None,
    failing: Sizes,
    known: set[str] | None,
    content: Content,
    briefly: bool,
) -> Explanation:
    if isinstance(subject, Target):
        return _at(subject, seed, 1.0 if common is None else common.value, known, content, None, briefly)
    tried: list[Sizes] = []
    result = Explanation()

    def at(sizes: Sizes) -> Explanation:
        def rebuild() -> Target:
            again = subject.build(seed, sizes)
            again.draw_cotangents(cotangent_rng(seed))
            return again

        tried.append(sizes)
        try:
            target = subject.build(seed, sizes)
            divisor = 1.0 if common is None else factor_for_sizes(common.label, sizes)
        except (TargetError, StopIteration):
            return Explanation()
        return _at(target, seed, divisor, known, content, rebuild, briefly)

    for sizes in [*sizes_to_trace(subject), failing]:
        if sizes not in tried:
            result = at(sizes)
            if result.findings:
                break
    if result.findings and not result.whole and not briefly:
        # in one step of time what is wrong in one place does not spread to all others
        short = _one_step(subject, seed, tried[-1])
        briefly = True
        closer = at(short) if short is not None else result
        closer.evaluations += result.evaluations
        result = closer if closer.whole else result
    return result


def _one_step(subject: TargetFactory, seed: int, sizes: Sizes) -> Sizes | None:
    """The sizes with that one at 1 which makes the backward compute least: the number of time steps."""
    counts: list[tuple[int, str]] = []
    for name in sizes:
        if name not in subject.pinned and sizes[name] > 1:
            try:
                counts.append((count_backward_values(subject.build(seed, {**sizes, name: 1})), name))
            except TargetError:
                continue
    return {**sizes, min(counts)[1]: 1} if counts else None


def _at(
    target: Target,
    seed: int,
    divisor: float,
    known: set[str] | None,
    content: Content,
    rebuild: Callable[[], Target] | None,
    briefly: bool,
) -> Explanation:
    with opened(target, seed):
        if not _is_double_precision(target):
            return Explanation(note=IN_FLOAT32)
        for base in _points(target, hidden=known is None):
            try:
                with Trace(target, divisor, base) as trace:
                    plain = trace.judgement({})
                    wrong = trace.wrong(plain.recording.gradients)
                    if not wrong and divisor == 1.0:
                        continue
                    if known is not None and not set(wrong) <= known:
                        return Explanation(note=OTHERS_ARE_WRONG)
                    trace.held = trace.forward_functions(plain)
                    traced = repairs_by_value(trace, faults(trace))
                    around = rank_statements(trace, plain)
            except NoSourceError as error:
                return Explanation(note=str(error))
            except TooMuchError:
                return Explanation(note=TOO_LARGE)
            search = Search(trace, around, rebuild)
            if briefly:
                search.limit = min(search.limit, FEW_RUNS)
            outcome = find_repair(Case(trace, search, content, wrong, traced), divisor)
            if outcome.repairs:
                findings = [line_finding(repair, trace, outcome.patch) for repair in outcome.repairs]
                return Explanation(findings, outcome.patch, trace.evaluations, rest=outcome.still_wrong)
    return Explanation(note=_no_source_note(trace))


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
    return f"no line can be named in {', '.join(trace.program.without_source)}: the source is not at hand"
