"""The order of a check; the one place where it is decided. What only a failure needs is imported when it is needed.

At the default sizes: laws, then blocks. A factor common to all blocks is taken out, so that other defects show. Then
the other sizes; then, where something failed, down to the smallest size that still fails.
"""

from __future__ import annotations

import ast
import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from gradcheck._checking.audit import Audit, AuditOptions, Watcher, audit
from gradcheck._checking.coarse_gradients import say_what_was_not_seen
from gradcheck._checking.findings import common_factor, findings, with_lines, with_places
from gradcheck._checking.pace import MainWatcher, Pace, TimeTable
from gradcheck._common import errors
from gradcheck._common.arrays import Sizes
from gradcheck._common.errors import TargetError
from gradcheck._common.libraries import compiled_anew
from gradcheck._common.turns import in_turn
from gradcheck._common.verdict import Verdict
from gradcheck._common.wording import format_sizes
from gradcheck._laws.choice import EVERY, chosen_laws, left_out
from gradcheck._symptoms.common_factor import CommonFactor, factor_for_sizes, reduction_law
from gradcheck._targets.factory import TargetFactory
from gradcheck._targets.opening import opened
from gradcheck._targets.target import Target
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import ActivationRatio, OnlyElsewhere, Symptom
from gradcheck.report.progress_phrases import Stage
from gradcheck.report.records import Block, Cut, CutStage, Finding, Law, Trial
from gradcheck.report.report import GradientError, Report

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from types import CodeType

    from gradcheck._checking.verifier import Outcome, Verifier
    from gradcheck._repair.explain import Content, Explanation, Question
    from gradcheck._usercode.patching import Patch

#: seconds for the search for lines, if nothing else is said
BUDGET = 30.0
#: seeds that are asked where a part of an input is not read
OTHER_SEEDS = 3
#: a trial far above the default sizes that may take longer than this is left out, and that is said
FAR_SECONDS = 5.0
#: progress(stage, evaluations so far)
Progress: TypeAlias = Callable[[str, int], None]
#: what is told of a run
Told = TypeVar("Told")
#: is handed the report before any line is looked for
OnVerdict: TypeAlias = Callable[[Report], None]


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
    run = _CheckRun(subject, int(seed), bool(full), explain, executor, progress or (lambda *_: None))
    run.by_tape, run.laws = full == "tape", asked
    run.time, run.on_verdict = TimeTable(budget), on_verdict or (lambda _: None)
    return replace(run.report(), seconds=time.perf_counter() - started)


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


@dataclass
class _CheckRun:
    """One check under way."""

    subject: Target | TargetFactory
    seed: int
    full: bool
    explain: bool
    executor: Executor | None
    progress: Progress
    #: whether a full check takes entries from a reverse sweep where it can
    by_tape: bool = False
    #: the laws that are asked, of those that can be left out
    laws: frozenset[str] = EVERY
    #: whether the entries of wrong gradients are differenced one by one, to say which are wrong
    entries: bool = True
    evaluations: int = 0
    common: CommonFactor | None = None
    divided: bool = False
    right_at: dict[str, tuple[Sizes, Block]] = field(default_factory=dict)
    broken_at: dict[str, Law] = field(default_factory=dict)
    #: the verdicts at other sizes than the defaults
    verdicts_at: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    places: dict[str, Symptom] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    #: the time for what may be cut short
    time: TimeTable = field(default_factory=lambda: TimeTable(None))
    on_verdict: OnVerdict = lambda _: None
    #: gradients that are known to be wrong, so that little is asked to find them so at other sizes
    suspects: frozenset[str] = frozenset()
    #: what the check is at
    stage: str = "checking"
    #: sizes that the factory refused, and why
    refused: dict[str, str] = field(default_factory=dict)
    #: sizes far above the defaults that would have taken too long
    too_slow: list[str] = field(default_factory=list)
    #: what judges edits, once one is to be judged
    verifier: Verifier | None = None

    def report(self) -> Report:
        if isinstance(self.subject, Target):
            return self._of_target(self.subject)
        return self._of_factory(self.subject)

    # -- a target ------------------------------------------------------------------------------------------------------

    def _of_target(self, target: Target) -> Report:
        main = self._audit_target(target, self._options, "checking", self._watcher(0))
        self._tell_verdict(target.name, "", main, {}, [])
        return self._explained(self._build_report(target.name, "", main, {}, None, []))

    # -- a factory -----------------------------------------------------------------------------------------------------

    def _of_factory(self, factory: TargetFactory) -> Report:
        sizes, main, trials = self._first_that_runs(factory)
        main = self._without_common_factor(factory, sizes, main)
        self.suspects |= set(main.wrong)
        started, before = time.perf_counter(), len(trials)
        self._try_other_sizes(factory, main, trials)
        if all(trial.verdict != "wrong" for trial in trials):
            each = (time.perf_counter() - started) / max(len(trials) - before, 1)
            trials += self._try_far_sizes(factory, trials, each)
        self._merge_trials(main, trials)
        self._excuse_padding(factory, sizes, main)
        main.notes += self._refusals()
        start = self._failing_sizes(factory, sizes, main, trials)
        self._tell_verdict(factory.name, factory.doc, main, sizes, trials)
        smallest = self._smallest(factory, start, main) if start and self.explain else None
        return self._explained(self._build_report(factory.name, factory.doc, main, sizes, smallest, trials))

    def _try_other_sizes(self, factory: TargetFactory, main: Audit, trials: list[Trial]) -> None:
        """A trial at each of the other sizes; where something is wrong already, at as many as there is time for."""
        others = [other for other in factory.other_sizes() if all(trial.sizes != other for trial in trials)]
        for number, other in enumerate(others):
            cuts = len(self.time.cuts)
            with self._details("sizes") if main.wrong else contextlib.nullcontext():
                trials += self._try_sizes(factory, other)
            if len(self.time.cuts) > cuts:
                self.time.cuts[-1] = replace(self.time.cuts[-1], left=len(others) - number)
                return

    def _details(self, stage: CutStage) -> contextlib.AbstractContextManager[None]:
        """Around what only says more of what is wrong: as long as there is time, if there is a limit at all."""
        return self.time.limits(stage) if self._has_limits else contextlib.nullcontext()

    @property
    def _has_limits(self) -> bool:
        """Whether details may be cut short; whoever asks for every entry, or for no explanation, gets all of them."""
        return self.explain and not self.full

    def _watcher(self, others: int) -> Watcher:
        limits = self.time if self._has_limits else None
        return MainWatcher(self._tell, lambda: self.evaluations, self.pace, others, limits)

    def _tell(self, stage: str) -> None:
        self.stage = stage
        told = stage if isinstance(stage, Stage) else Stage(stage)
        self.progress(told.with_time_left(self.pace.left(self.evaluations)), self.evaluations)

    def _tell_verdict(self, name: str, doc: str, main: Audit, sizes: Sizes, trials: list[Trial]) -> None:
        """Hand on what is known, before the rest is looked for."""
        if self.explain and main.verdict != "right":
            self.on_verdict(self._build_report(name, doc, main, sizes, None, trials))

    def _first_that_runs(self, factory: TargetFactory) -> tuple[Sizes, Audit, list[Trial]]:
        """The default sizes; or, if the code raises there, the first others at which it does not."""
        trials: list[Trial] = []
        first: TargetError | None = None
        watcher = self._watcher(sum(1 for _ in factory.other_sizes()))
        for sizes in [factory.sizes, *factory.other_sizes()]:
            try:
                main = self._audit(factory, sizes, self._main_depth(factory, sizes), "checking", watcher)
            except TargetError as error:
                first = first or error
                trials.append(Trial(sizes, "wrong", message=str(error)))
            else:
                return sizes, main, [*trials, Trial(sizes, main.verdict, main.wrong_here)]
        assert first is not None
        raise first

    @property
    def _options(self) -> AuditOptions:
        """How far the audit at the main point goes."""
        return AuditOptions(
            asked=self.laws, full=self.full, by_tape=self.by_tape, entries=self.entries, suspects=self.suspects
        )

    def _main_depth(self, factory: TargetFactory, sizes: Sizes) -> AuditOptions:
        if self.executor is None or not self.full:
            return self._options
        from gradcheck._numeric.shared_entries import entries_by

        return replace(self._options, difference_entries=entries_by(self.executor, factory, self.seed, sizes))

    def _without_common_factor(self, factory: TargetFactory, sizes: Sizes, main: Audit) -> Audit:
        """The audit with a common factor taken out; as it is, where there is none or no time to be sure of it."""
        with self._details("sizes") if main.wrong else contextlib.nullcontext():
            return self._common_factor_out(factory, sizes, main)
        self.common, self.divided = None, False
        return main

    def _common_factor_out(self, factory: TargetFactory, sizes: Sizes, main: Audit) -> Audit:
        """Take a factor like T out of every block, if it is there at two sizes and not all that is wrong."""
        common = common_factor(main, sizes)
        if (
            common is None
            or not self._follows(factory, sizes, common)
            or self._is_of_some(factory, sizes, main, common)
        ):
            if main.gradients and not self.time.cuts:  # without all entries there is no telling
                main.laws["reduction"] = reduction_law(None)
            return main
        self.common = common
        judged = {name for name, block in main.blocks.items() if block.verdict != "vacuous"}
        if judged - set(common.blocks):
            self.divided = True
            main = self._audit(
                factory, sizes, replace(self._main_depth(factory, sizes), divisor=common.value), "checking again"
            )
            main.blocks = {name: replace(block, factor=common.value) for name, block in main.blocks.items()}
        main.laws["reduction"] = reduction_law(common)
        return main

    def _is_of_some(self, factory: TargetFactory, sizes: Sizes, main: Audit, common: CommonFactor) -> bool:
        """Whether the factor is no more than a fault of these gradients, beside those of others."""
        if set(main.wrong) <= set(common.blocks):
            return False
        from gradcheck._repair.local_factor import is_factor_of_some

        return is_factor_of_some(factory, self.seed, sizes)

    def _follows(self, factory: TargetFactory, sizes: Sizes, common: CommonFactor) -> bool:
        """Whether the factor changes with the sizes it is named by."""
        names = common.label.removeprefix("1/").split("*")
        if any(name in factory.pinned for name in names):
            return True
        for step in (1, 2, 3, -1):
            other = {name: value + step if name in names else value for name, value in sizes.items()}
            with contextlib.suppress(TargetError):  # code that raises at this size may run at the next
                found = common_factor(self._audit(factory, other, AuditOptions(laws=False), "comparing sizes"), other)
                return found is not None and math.isclose(
                    found.value, factor_for_sizes(common.label, other), rel_tol=1e-6
                )
        return False

    def _try_sizes(
        self, factory: TargetFactory, sizes: Sizes, *, stop: bool = False, lenient: bool = False
    ) -> list[Trial]:
        """The trial at these sizes; none if the factory refuses them with a ValueError, as it may.

        Where it is `lenient`, none either if there is nothing to compare: no finite loss, or other gradients.
        """
        try:
            target = factory.build(self.seed, sizes)
        except TargetError as error:
            return self._not_built(factory, sizes, error)
        try:
            options = replace(self._quick_options(sizes), stop=stop)
            found = self._audit_target(target, options, f"trying {format_sizes(sizes)}")
        except TargetError as error:
            return [Trial(sizes, "wrong", message=str(error))]
        if lenient and not all(law.holds for law in found.laws.values()):
            return []
        self.verdicts_at[format_sizes(sizes)] = {name: block.verdict for name, block in found.blocks.items()}
        for name, block in found.blocks.items():
            if block.verdict == "right":
                self.right_at.setdefault(name, (sizes, block))
        for law in found.laws.values():
            if not law.holds:
                self.broken_at.setdefault(law.name, replace(law, message=f"at {format_sizes(sizes)}: {law.message}"))
        return [Trial(sizes, found.verdict, found.wrong)]

    def _not_built(self, factory: TargetFactory, sizes: Sizes, error: TargetError) -> list[Trial]:
        """The trial at sizes at which there is no target, so that nothing is known of its gradients."""
        if not factory.refuses_sizes(error):
            return [Trial(sizes, "inconclusive", message=str(error))]
        self.refused.setdefault(format_sizes(sizes), str(getattr(error, "error", error)))
        return []

    def _try_far_sizes(self, factory: TargetFactory, trials: list[Trial], seconds: float) -> list[Trial]:
        """Trials far above the defaults, where truncation and clips begin; none where they would take too long.

        A trial at the usual sizes takes so many seconds.
        """
        far: list[Trial] = []
        tried = [trial.sizes for trial in trials]
        for size, value in factory.far_sizes(self.seed):
            sizes = {**factory.sizes, size: value}
            if self._would_take_long(factory, size, value, seconds):
                continue
            if sizes not in tried:
                far += self._try_sizes(factory, sizes)
        for size, value in factory.far_sizes_of_parameters(self.seed):
            sizes = {**factory.sizes, size: value}
            if sizes not in tried and not self._would_take_long(factory, size, value, seconds):
                # such a size may be a width, of a window perhaps, that the code is not made for
                far += [trial for trial in self._try_sizes(factory, sizes, lenient=True) if not trial.message]
        return far

    def _would_take_long(self, factory: TargetFactory, size: str, value: int, seconds: float) -> bool:
        """Whether a trial there is left out; that is noted."""
        takes_long = seconds * value / factory.sizes[size] > FAR_SECONDS
        if takes_long:
            self.too_slow.append(f"{size}={value}")
        return takes_long

    def _quick_options(self, sizes: Sizes) -> AuditOptions:
        divisor = factor_for_sizes(self.common.label, sizes) if self.common and self.divided else 1.0
        return AuditOptions(laws=False, entries=False, divisor=divisor, suspects=self.suspects)

    def _failing_sizes(self, factory: TargetFactory, sizes: Sizes, main: Audit, trials: list[Trial]) -> Sizes | None:
        """Sizes at which gradients are wrong, which are reported then; or else, at which code raises."""
        raised = [trial for trial in trials if _has_raised(trial)]
        wrong = [trial for trial in trials if trial.wrong]
        if not (main.wrong_here or wrong or raised):
            return None
        start = sizes if main.wrong_here else (wrong or raised)[0].sizes
        if wrong and not main.wrong_here:
            # Right at the default sizes: the blocks are reported as they are where they are wrong.
            self._take_wrong_blocks(factory, start, main)
        return start

    def _smallest(self, factory: TargetFactory, start: Sizes, main: Audit) -> Sizes | None:
        """The smallest sizes at which it fails; None if there was no time to find out."""

        def fails(smaller: Sizes) -> bool:
            return any(
                bool(trial.wrong) if main.wrong else _has_raised(trial)
                for trial in self._try_sizes(factory, smaller, stop=True)
            )

        with self._details("smallest"):
            return factory.shrink(start, fails)
        return None

    def _refusals(self) -> tuple[str, ...]:
        """The sizes that the factory refused, each reason once."""
        reasons = dict.fromkeys(self.refused.values())
        at = {reason: [sizes for sizes, told in self.refused.items() if told == reason] for reason in reasons}
        told = [f"not tried, since the factory refuses it: {'; '.join(at[one])} ({one})" for one in reasons]
        if self.too_slow:
            told.append(f"not tried, since it would take long: {', '.join(self.too_slow)}")
        return tuple(told)

    def _take_wrong_blocks(self, factory: TargetFactory, sizes: Sizes, main: Audit) -> None:
        options = replace(self._quick_options(sizes), entries=True)
        found = self._audit(factory, sizes, options, "looking closer", self._watcher(0))
        for name in found.wrong:
            main.elsewhere.pop(name, None)
            reason = found.blocks[name].message or "wrong"
            main.blocks[name] = replace(
                found.blocks[name], message=f"{reason} at {format_sizes(sizes)}; right at the default sizes"
            )
            main.gradients.pop(name, None)  # it may have none at these sizes: missing, or of another shape
        main.gradients |= found.gradients
        main.numerical |= found.numerical
        main.places |= found.places

    def _excuse_padding(self, factory: TargetFactory, sizes: Sizes, main: Audit) -> None:
        """A part of an input that is not read with this seed may be padding: with another it is read."""
        law = main.laws.get("dependence")
        if law is None or law.holds:
            return
        for seed in range(self.seed + 1, self.seed + 1 + OTHER_SEEDS):
            with contextlib.suppress(TargetError):
                depth = AuditOptions(entries=False)
                other = self._audit_target(factory.build(seed, sizes), depth, "asking another seed").laws
                if "dependence" in other and other["dependence"].holds:
                    main.laws["dependence"] = replace(other["dependence"], message=f"with seed {seed}; {law.message}")
                    return

    def _merge_trials(self, main: Audit, trials: list[Trial]) -> None:
        """What other sizes add: code that raises, laws broken there only, blocks that are vacuous here only."""
        raised = [trial for trial in trials if _has_raised(trial)]
        not_built = [trial for trial in trials if trial.message and not _has_raised(trial)]
        if raised:
            main.laws["sizes"] = Law("sizes", False, _told_of_sizes(raised))
        elif not_built:
            told = f"not tested {_told_of_sizes(not_built)}; where a size is not meant to work, raise a ValueError"
            main.laws["sizes"] = Law("sizes", False, told, breach="inconclusive")
        elif len(trials) > 1:
            main.laws["sizes"] = Law("sizes", True, f"tried at {len(trials)} sets of sizes")
        main.note(*self.broken_at.values())
        for name, block in main.blocks.items():
            if block.verdict == "vacuous" and name in self.right_at:
                sizes, right = self.right_at[name]
                main.blocks[name] = replace(
                    right, message=f"both gradients are zero here; judged at {format_sizes(sizes)}"
                )

    # -- both ----------------------------------------------------------------------------------------------------------

    def _audit(
        self, factory: TargetFactory, sizes: Sizes, depth: AuditOptions, stage: str, watcher: Watcher | None = None
    ) -> Audit:
        return self._audit_target(factory.build(self.seed, sizes), depth, stage, watcher)

    def _audit_target(self, target: Target, depth: AuditOptions, stage: str, watcher: Watcher | None = None) -> Audit:
        self.stage, before = stage, self.evaluations
        try:
            found = audit(target, self.seed, depth, self._tick, watcher)
        except TargetError:
            self.evaluations = before
            raise
        self.evaluations = before + found.evaluations
        return found

    def _tick(self) -> None:
        self.evaluations += 1
        self._tell(self.stage)

    def _explained(self, report: Report) -> Report:
        """The report with the lines that are at fault, and what else is told of wrong gradients, in the time for it."""
        if not self.explain:
            return report

        if report.verdict != "right":
            self._tell_of_lines(self.time.budget)
        with self.time.limits("lines", of_lines=True):
            report = self._with_line_findings(report)
        with self.time.limits("lines", of_lines=True):
            report = self._with_activation_findings(report)
        return replace(report, cuts=_each_once(self.time.cuts))

    def _tell_of_lines(self, left: float | None) -> None:
        self.progress(Stage("looking for the lines").with_time_left(left, at_most=True), self.evaluations)

    def _with_line_findings(self, report: Report) -> Report:
        """The report with the lines that are at fault, where source is at hand and they are found."""
        report, clips = self._with_clips(report)
        wrong = self._wrong_without_line(report) - clips
        broken = {FindingCode.of_law(name) for name in _broken(report)}
        # that is the clip that the gradients show
        clipped = frozenset(code for code in broken if code.is_broken_by_a_clip and not (wrong or clips))
        is_impure = FindingCode.LAW_PURITY in broken
        keeps_state = bool(broken & {FindingCode.LAW_STATELESSNESS, FindingCode.LAW_REPEATABILITY})
        if not self.explain or not (wrong or clipped or self.common or is_impure or keeps_state):
            return report
        from gradcheck._repair.explain import Question, explain

        try:
            question = Question(
                self.subject,
                self.seed,
                self.common,
                _failing(report),
                None if clipped else {*wrong, *self._wrong_at_any_size(report)},
                self._content(report, frozenset(code.law for code in clipped)),
                undecided=frozenset(n for n, block in report.blocks.items() if block.verdict == "inconclusive"),
                keeps_state=keeps_state,
                is_impure=is_impure,
            )
            found = _explained_in_library(question) or explain(question)
        except Exception as error:  # a search that fails must not take the verdict with it
            if errors.SEARCH_ERRORS_RAISE:
                raise
            return replace(report, notes=(*report.notes, f"the backward could not be followed: {error}"))
        return self._with_explanation(report, found, wrong, is_first_alone_sure=keeps_state and not found.patch)

    def _wrong_without_line(self, report: Report) -> set[str]:
        """The wrong gradients whose lines can be looked for, and are not those of a common factor alone."""
        wrong = _wrong(report) - (set(self.common.blocks) if self.common and not self.divided else set())
        # the points at which lines are looked for do not show it
        return wrong - {name for one in report.findings if _is_elsewhere(one) for name in one.blocks}

    def _with_explanation(
        self, report: Report, found: Explanation, wrong: set[str], *, is_first_alone_sure: bool
    ) -> Report:
        """The report with what is found of the wrong gradients.

        `is_first_alone_sure`: what is carried over from call to call makes all that follows wrong, and only where it
        comes in is known.
        """
        lines = found.findings[:1] if is_first_alone_sure else found.findings
        phantoms = {name for one in report.findings if one.code is FindingCode.PHANTOM for name in one.blocks}
        lines = [one for one in lines if not _only_hides(one, phantoms)]
        lines = [self._with_extent(one) for one in lines]
        # where sizes set how many parameters there are, others are known at another size
        lines = [replace(one, blocks=tuple(name for name in report.blocks if name in one.blocks)) for one in lines]
        if found.whole and len(lines) == 1:  # with its edit all is right, also what is right at the sizes looked at
            lines = [replace(lines[0], blocks=tuple(n for n in report.blocks if n in wrong or n in lines[0].blocks))]
        self.evaluations += found.evaluations
        self._tell_of_lines(self.time.clock_of_lines().left)
        if found.cut:
            self.time.note(found.cut, self.time.clock_of_lines())
        return replace(
            report,
            findings=with_lines(
                report.findings,
                with_places(lines, self.places, report.smallest),
                mended=wrong if found.whole and lines else frozenset(),
            ),
            notes=(*report.notes, *([found.note] if found.note else [])),
            evaluations=self.evaluations,
            patch=found.patch.to_builtins() if found.patch else {},
            patch_lines=found.patch.lines() if found.patch else [],
        )

    def _with_extent(self, finding: Finding) -> Finding:
        """The finding with how widely its edit was verified."""
        fix, verifier = finding.fix, self.verifier
        if fix is None or verifier is None or not fix.verified:
            return finding
        return replace(finding, fix=replace(fix, sizes=verifier.sizes, seeds=verifier.seeds))

    def _with_clips(self, report: Report) -> tuple[Report, set[str]]:
        """The report with the lines of clips that the numbers tell exactly; and the gradients wrong for them alone."""
        clipped = {name for one in report.findings if one.code is FindingCode.CLIPPED for name in one.blocks}
        if not clipped:
            return report, clipped
        from gradcheck._checking.clip_lines import with_clip_lines
        from gradcheck._repair.final_clips import statements_of_final_clips
        from gradcheck._usercode.profiling import functions_run, lines_run

        sizes = _failing(report)
        told = statements_of_final_clips(self.subject, self.seed, sizes)
        with contextlib.suppress(TargetError):
            ran, lines = self._of_gradients(functions_run, sizes), self._of_gradients(lines_run, sizes)
            report = replace(report, findings=with_clip_lines(report.findings, told, ran, lines))
        return report, clipped

    def _with_activation_findings(self, report: Report) -> Report:
        """The report with the mistakes in the derivatives of activations that biases show, where no line is known."""
        if not self.explain or any(FindingCode.of_law(law).is_about_state for law in _broken(report)):
            return report
        found = [self._with_activations(one, report) for one in report.findings]
        return replace(report, findings=tuple(found), evaluations=self.evaluations)

    def _with_activations(self, finding: Finding, report: Report) -> Finding:
        if not finding.code.is_unnamed:
            return finding
        vectors = [name for name in finding.blocks if _is_vector(report.blocks[name].shape)]
        found = [ratio for name in vectors for ratio in self._activations(name)]
        return replace(finding, code=FindingCode.ACTIVATION, evidence=(*finding.evidence, *found)) if found else finding

    def _activations(self, name: str) -> list[ActivationRatio]:
        """What the gradient of a bias shows where there is one time step and one example, as far as that is known."""
        subject, sizes = self.subject, None
        self.stage, before = "looking closer", self.evaluations
        try:
            if isinstance(subject, TargetFactory):
                sizes = subject.sizes_without_reuse_of(self.seed, name)
                subject = subject.build(self.seed, sizes)
                divisor = factor_for_sizes(self.common.label, sizes) if self.common and self.divided else 1.0
            else:
                divisor = 1.0
            from gradcheck._symptoms.activations import find_mistakes

            found, evaluations = find_mistakes(subject, name, self.seed, divisor, self._tick)
        except TargetError:  # the code need not run at such sizes
            self.evaluations = before
            return []
        self.evaluations = before + evaluations
        return [replace(one, sizes=sizes) for one in found]

    def _wrong_at_any_size(self, report: Report) -> set[str]:
        """The gradients that are wrong at some sizes."""
        common = set(self.common.blocks) if self.common else set()
        return common.union(*(trial.wrong for trial in report.trials))

    def _content(self, report: Report, laws: frozenset[str]) -> Content:
        """Whether an edit mends what it claims, and these laws, by the whole check of the edited code."""
        from gradcheck._checking.verifier import Claim, Verifier, behaviour
        from gradcheck._usercode.patching import EditedFunctions
        from gradcheck._usercode.profiling import functions_run

        subject = self.subject
        points = self._outcome_with_another_seed, self._outcome
        verifier = Verifier(points, (self._outcome_at_other_parameters,), self.suspects | _wrong(report))
        self.verifier = verifier
        verifier.know(1, self._outcome_in(report))  # that is what the check itself has found
        factor = self.common.label if self.common else ""
        before = cache(lambda: behaviour(self._run_once))
        # functions made by the factory are made anew for each size, from the code of what makes them
        of_factory = cache(lambda: functions_run(self._build_once))

        def content(patch: Patch, ran: Sequence[CodeType], rest: tuple[str, ...], mended: frozenset[str]) -> bool:
            verifier.learn()
            before()
            codes, anew = [*ran, *of_factory()], isinstance(subject, TargetFactory)
            edited = _lines_of(patch)
            is_whole = "reduction" in mended
            shared = self.common.blocks if self.common and is_whole else ()
            claim = Claim(verifier.wrong().union(shared) - set(rest), laws | mended, "" if is_whole else factor)
            with EditedFunctions(codes, patch.sources).edited(patch.edits(), anew=anew), compiled_anew():
                if edited is not None and before().objections(behaviour(self._run_once), edited):
                    return False
                return not verifier.objections(claim)

        return content

    def _run_once(self) -> None:
        subject = self.subject
        self._of_gradients(lambda run: run(), subject.sizes if isinstance(subject, TargetFactory) else {})

    def _of_gradients(self, tell: Callable[[Callable[[], object]], Told], sizes: Sizes) -> Told:
        """What is told of a run of the gradients alone, at these sizes."""
        subject = self.subject
        target = subject.build(self.seed, sizes) if isinstance(subject, TargetFactory) else subject
        with opened(target, self.seed):
            return tell(lambda: target.grads_at(target.values()))

    def _outcome(self, suspects: frozenset[str]) -> Outcome:
        return self._outcome_of(self.subject, self.seed, suspects)

    def _outcome_with_another_seed(self, suspects: frozenset[str]) -> Outcome:
        return self._outcome_of(self._one_size(), self.seed + 1, suspects)

    def _outcome_at_other_parameters(self, suspects: frozenset[str]) -> Outcome:
        """What is found at the default sizes where all parameters are others."""
        from gradcheck._checking.verifier import at_other_parameters

        subject, seed = self.subject, self.seed + 2
        target = subject.build(seed, subject.sizes) if isinstance(subject, TargetFactory) else subject
        with at_other_parameters(target, seed):
            return self._outcome_of(target, seed, suspects)

    def _outcome_of(self, subject: Target | TargetFactory, seed: int, suspects: frozenset[str]) -> Outcome:
        """What a check without lines finds; gradients that only have a common factor wrong count as right beside it."""
        # a common factor is told by the entries
        asks_entries = self.common is not None
        run = _CheckRun(
            subject,
            seed,
            False,
            False,
            None,
            lambda *_: None,
            laws=self.laws,
            entries=asks_entries,
            suspects=suspects,
        )
        report = run.report()
        self.evaluations += run.evaluations
        return run._outcome_in(report)

    def _outcome_in(self, report: Report) -> Outcome:
        """What this run, and its report, say of each gradient and law."""
        from gradcheck._checking.verifier import Outcome

        excused: dict[str, Verdict] = {}
        if self.common and not self.divided:
            excused = dict.fromkeys(self.common.blocks, "right")  # where the factor is all that is wrong
        verdicts: dict[str, Verdict] = {name: block.verdict for name, block in report.blocks.items()}
        elsewhere = {
            at: {name: excused.get(name, verdict) if verdict == "wrong" else verdict for name, verdict in found.items()}
            for at, found in self.verdicts_at.items()
        }
        return Outcome(
            verdicts | excused,
            elsewhere,
            {law.name: law.holds for law in report.laws.values()},
            self.common.label if self.common else "",
        )

    def _one_size(self) -> Target | TargetFactory:
        """What is checked with another seed: one size is enough then."""
        subject = self.subject
        return subject.with_sizes(**subject.sizes) if isinstance(subject, TargetFactory) else subject

    def _build_once(self) -> None:
        if isinstance(self.subject, TargetFactory):
            with contextlib.suppress(TargetError):  # code may need its backward to be made, and that may fail
                self.subject.build(self.seed, self.subject.sizes)

    def _build_report(
        self, name: str, doc: str, main: Audit, sizes: Sizes, smallest: Sizes | None, trials: list[Trial]
    ) -> Report:
        self.places = main.places
        return Report(
            name=name,
            verdict=main.verdict,
            blocks=main.blocks,
            laws=main.laws,
            findings=findings(main, smallest, self.common, trials) if self.explain else (),
            sizes=dict(sizes),
            smallest=smallest,
            trials=tuple(trials),
            scheme=main.scheme,
            seed=self.seed,
            full=self.full,
            evaluations=self.evaluations,
            doc=doc,
            notes=(*main.notes, *say_what_was_not_seen(main.blocks)),
            laws_not_asked=left_out(self.laws),
        )


def _failing(report: Report) -> Sizes:
    """The first sizes at which gradients are wrong."""
    return next((trial.sizes for trial in report.trials if trial.wrong), report.sizes)


def _has_raised(trial: Trial) -> bool:
    """Whether there was a target, and its code raised."""
    return bool(trial.message) and trial.verdict == "wrong"


def _told_of_sizes(trials: Sequence[Trial]) -> str:
    """What was raised at the first of these trials, and at how many others something was."""
    more = f" (and at {len(trials) - 1} other sets of sizes)" if len(trials) > 1 else ""
    return f"at {format_sizes(trials[0].sizes)}{more}: {trials[0].message}"


def _explained_in_library(question: Question) -> Explanation | None:
    """What is found in code that calculates in torch or JAX; None where neither is imported, or the code is another."""
    if not sys.modules.keys() & {"torch", "jax"}:
        return None
    from gradcheck._autodiff.explain import explain_in_library

    return explain_in_library(question)


def _each_once(cuts: Sequence[Cut]) -> tuple[Cut, ...]:
    """One cut for each stage; what was verified in vain needs no word that the search was cut short."""
    found = {cut.stage: cut for cut in reversed(cuts)}
    stages = [
        stage for stage in dict.fromkeys(cut.stage for cut in cuts) if stage != "lines" or "verifying" not in found
    ]
    return tuple(found[stage] for stage in stages)


def _only_hides(finding: Finding, phantoms: set[str]) -> bool:
    """Whether an edit only makes gradients zero of what the loss does not depend on, as where it is a copy."""
    if finding.fix is None or finding.fix.verified or not phantoms.issuperset(finding.blocks):
        return False
    return finding.fix.after.count("zeros_like(") > finding.fix.before.count("zeros_like(")


def _is_elsewhere(finding: Finding) -> bool:
    return any(isinstance(one, OnlyElsewhere) for one in finding.evidence)


def _wrong(report: Report) -> set[str]:
    return {name for name, block in report.blocks.items() if block.verdict == "wrong"}


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


def _is_vector(shape: tuple[int, ...]) -> bool:
    return 0 < math.prod(shape) == max(shape, default=0)


def _broken(report: Report) -> set[str]:
    return {name for name, law in report.laws.items() if not law.holds}
