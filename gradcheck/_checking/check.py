"""The order of a check: what can be called, and that the verdict comes first, then the lines.

What only a failure needs is imported when it is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from gradcheck._checking.pace import Headway, Progress, TimeTable
from gradcheck._checking.without_lines import CheckRun, OnVerdict
from gradcheck._common.errors import TargetError
from gradcheck._common.turns import in_turn
from gradcheck._laws.choice import chosen_laws
from gradcheck._targets.factory import TargetFactory
from gradcheck._targets.target import Target
from gradcheck.report.records import Cut
from gradcheck.report.report import GradientError, Report

if TYPE_CHECKING:
    from concurrent.futures import Executor

#: seconds for the search for lines, if nothing else is said
BUDGET = 30.0


@in_turn
def check(
    target_or_factory: Target | TargetFactory | Callable[..., Target],
    *,
    full: bool | Literal["tape"] = False,
    laws: str | Iterable[str] | None = None,
    explain: bool = True,
    budget: float | None = BUDGET,
    seed: int = 0,
    executor: Executor | None = None,
    progress: Progress | None = None,
    on_verdict: OnVerdict | None = None,
) -> Report:
    """Compare hand-written gradients with the slope of their loss.

    Args:
        target_or_factory: A `Target`, checked where it stands; or a factory (``@gradcheck.target``), checked at its
            default sizes, at smaller and at larger ones.
        full: Difference every entry of every block, not only directions through them. "tape": take the entries from one
            reverse sweep over the loss, where the slopes that were measured confirm it; the others are differenced,
            and the report says which.
        laws: Which are asked of the laws that cost evaluations: names out of independence, dependence, linearity,
            scale, elsewhere and sizes; None: all. The report names those that were not asked.
        explain: Shrink a failure to the smallest size that fails, and look for its cause.
        budget: Seconds for the search for lines and fixes, which begins when the verdict is known. What only says
            more of gradients that are wrong (their entries, other sizes) may take as long before it. What was cut
            short is told in `Report.cuts`; so it is at Ctrl-C meanwhile, which keeps the verdict. None: no limit.
        seed: Seeds the factory's generator and every random direction. The same seed gives the same report, as long as
            nothing is cut short.
        executor: Any `concurrent.futures.Executor`; the entries of a full check are shared out to it. The factory
            must be importable by the workers.
        progress: Called as ``progress(stage, evaluations)`` while the check runs.
        on_verdict: Called with the report as it is before any line is looked for, if lines are looked for.

    Raises:
        TargetError: If the target cannot be run. Its arrays are put back first, as they are after Ctrl-C.

    Checks of several threads take turns: edits are tried in the functions themselves, which all threads share.
    """
    started = time.perf_counter()
    subject = as_subject(target_or_factory)
    if executor is not None and not isinstance(subject, TargetFactory):
        raise TargetError(
            "executor= needs a factory (@gradcheck.target) that workers can import; a Target lives in one process"
        )
    if not hasattr(seed, "__index__") or seed < 0:
        raise TargetError(f"seed {seed!r}: expected an integer of at least 0")
    if full not in (True, False, "tape"):
        raise TargetError(f'full {full!r}: expected True, False or "tape"')
    try:
        asked = chosen_laws(laws)
    except ValueError as error:
        raise TargetError(f"laws: {error}") from None
    if budget is not None and not budget >= 0:
        raise TargetError(f"budget {budget!r}: expected seconds, of at least 0, or None")
    if isinstance(subject, TargetFactory) and "sizes" not in asked:
        subject = subject.with_sizes(**subject.sizes)
    headway = Headway(progress, TimeTable(budget), has_limits=explain and not full)
    run = CheckRun(
        subject,
        int(seed),
        headway,
        full=bool(full),
        by_tape=full == "tape",
        explain=explain,
        executor=executor,
        laws=asked,
        on_verdict=on_verdict or (lambda _: None),
    )
    report = run.report()
    return replace(_explained(run, report) if explain else report, seconds=time.perf_counter() - started)


def assert_gradients(
    target_or_factory: Target | TargetFactory | Callable[..., Target],
    *,
    full: bool | Literal["tape"] = False,
    laws: str | Iterable[str] | None = None,
    explain: bool = True,
    budget: float | None = BUDGET,
    seed: int = 0,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Report:
    """`check`, and raise unless everything is right.

    Raises:
        GradientError: An AssertionError whose text is the report's, unless ``report.ok``.
        TargetError: As `check` does.
    """
    report = check(
        target_or_factory,
        full=full,
        laws=laws,
        explain=explain,
        budget=budget,
        seed=seed,
        executor=executor,
        progress=progress,
    )
    if not report.ok:
        raise GradientError(report)
    return report


def as_subject(value: Any) -> Target | TargetFactory:
    """A target or a factory; a plain function is taken for a factory."""
    if isinstance(value, (Target, TargetFactory)):
        return value
    if callable(value):
        return TargetFactory(value)
    raise TargetError(
        f"expected a gradcheck.Target or a factory made with @gradcheck.target, got {type(value).__name__}"
    )


def _explained(run: CheckRun, report: Report) -> Report:
    """The report with the lines that are at fault, and what else is told of wrong gradients, in the time for it."""
    cuts = run.headway.time.cuts
    if report.verdict == "right" and not cuts:  # what was cut short is told even of what is right in the end
        return report
    from gradcheck._checking.lines import with_activation_findings, with_line_findings

    if report.verdict != "right":
        run.headway.tell_of_lines(run.headway.time.budget)
    with run.headway.time.limits("lines", of_lines=True):
        report = with_line_findings(run, report)
    with run.headway.time.limits("lines", of_lines=True):
        report = with_activation_findings(run, report)
    return replace(report, cuts=_each_once(cuts))


def _each_once(cuts: Sequence[Cut]) -> tuple[Cut, ...]:
    """One cut for each stage; what was verified in vain needs no word that the search was cut short."""
    found = {cut.stage: cut for cut in reversed(cuts)}
    stages = [
        stage for stage in dict.fromkeys(cut.stage for cut in cuts) if stage != "lines" or "verifying" not in found
    ]
    return tuple(found[stage] for stage in stages)
