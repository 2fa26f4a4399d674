"""A check as far as it goes without lines: laws, gradients, a factor that all have in common, the other sizes.

At the default sizes: laws, then blocks. A factor common to all blocks is taken out, so that other defects show. Then
the other sizes; then, where something failed, down to the smallest size that still fails.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from gradcheck._checking.audit import Audit, AuditOptions
from gradcheck._checking.coarse_gradients import say_what_was_not_seen
from gradcheck._checking.findings import common_factor, findings
from gradcheck._checking.other_sizes import OtherSizes
from gradcheck._checking.pace import Headway
from gradcheck._common.arrays import Sizes
from gradcheck._common.errors import TargetError
from gradcheck._common.verdict import Verdict
from gradcheck._laws.choice import EVERY, left_out
from gradcheck._symptoms.common_factor import CommonFactor, factor_for_sizes, reduction_law
from gradcheck._targets.factory import TargetFactory
from gradcheck._targets.target import Target
from gradcheck.report.evidence import Symptom
from gradcheck.report.records import Trial
from gradcheck.report.report import Report

if TYPE_CHECKING:
    from concurrent.futures import Executor

#: seeds that are asked where a part of an input is not read
OTHER_SEEDS = 3
#: is handed the report before any line is looked for
OnVerdict: TypeAlias = Callable[[Report], None]


@dataclass
class CheckRun:
    """One check under way: what is asked, and what is known so far.

    Args:
        subject: What is checked.
        seed: The seed of the check.
        headway: Runs and counts the audits.
        full: Whether every entry is differenced.
        by_tape: Whether a full check takes entries from a reverse sweep where it can.
        explain: Whether it is said what is wrong, and not only that something is.
        executor: What the entries of a full check are shared out to.
        laws: The laws that are asked, of those that can be left out.
        entries: Whether the entries of wrong gradients are differenced one by one, to say which are wrong.
        suspects: Gradients that are known to be wrong, so that little is asked to find them so at other sizes.
        on_verdict: Is handed what is known before the rest is looked for.
    """

    subject: Target | TargetFactory
    seed: int
    headway: Headway
    full: bool = False
    by_tape: bool = False
    explain: bool = False
    executor: Executor | None = None
    laws: frozenset[str] = EVERY
    entries: bool = True
    suspects: frozenset[str] = frozenset()
    on_verdict: OnVerdict = lambda _: None
    common: CommonFactor | None = None
    #: whether the common factor is not all that is wrong: it was divided by before the rest was judged
    divided: bool = False
    #: the verdicts at other sizes than the defaults
    verdicts_at: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    #: which entries are wrong of gradients that are right elsewhere
    places: dict[str, Symptom] = field(default_factory=dict)

    def report(self) -> Report:
        """What is found; to be asked for once."""
        return self._of_target(self.subject) if isinstance(self.subject, Target) else self._of_factory(self.subject)

    def divisor_at(self, sizes: Sizes) -> float:
        """What the gradients are divided by at these sizes before they are judged."""
        return factor_for_sizes(self.common.label, sizes) if self.common and self.divided else 1.0

    def _of_target(self, target: Target) -> Report:
        main = self.headway.audit(target, self.seed, self._options, "checking", self.headway.watcher(0))
        self._tell_verdict(target.name, "", main, {}, [])
        return self._build_report(target.name, "", main, {}, None, [])

    def _of_factory(self, factory: TargetFactory) -> Report:
        sizes, main, trials = self._first_that_runs(factory)
        main = self._without_common_factor(factory, sizes, main)
        self.suspects |= set(main.wrong)
        others = OtherSizes(factory, self.seed, self.headway, self.divisor_at, self.suspects, trials)
        self.verdicts_at = others.verdicts_at
        others.try_all(main)
        others.merge_into(main)
        self._excuse_padding(factory, sizes, main)
        main.notes += others.refusals()
        start = others.failing(sizes, main)
        self._tell_verdict(factory.name, factory.doc, main, sizes, trials)
        smallest = others.smallest(start, main) if start and self.explain else None
        return self._build_report(factory.name, factory.doc, main, sizes, smallest, trials)

    def _tell_verdict(self, name: str, doc: str, main: Audit, sizes: Sizes, trials: Sequence[Trial]) -> None:
        """Hand on what is known, before the rest is looked for."""
        if self.explain and main.verdict != "right":
            self.on_verdict(self._build_report(name, doc, main, sizes, None, trials))

    def _build_report(
        self, name: str, doc: str, main: Audit, sizes: Sizes, smallest: Sizes | None, trials: Sequence[Trial]
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
            evaluations=self.headway.evaluations,
            doc=doc,
            notes=(*main.notes, *say_what_was_not_seen(main.blocks)),
            laws_not_asked=left_out(self.laws),
        )

    # -- the default sizes ---------------------------------------------------------------------------------------------

    def _first_that_runs(self, factory: TargetFactory) -> tuple[Sizes, Audit, list[Trial]]:
        """The default sizes; or, if the code raises there, the first others at which it does not."""
        trials: list[Trial] = []
        first: TargetError | None = None
        watcher = self.headway.watcher(sum(1 for _ in factory.other_sizes()))
        for sizes in [factory.sizes, *factory.other_sizes()]:
            try:
                depth = self._main_depth(factory, sizes)
                target = factory.build(self.seed, sizes)
                main = self.headway.audit(target, self.seed, depth, "checking", watcher)
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

    def _excuse_padding(self, factory: TargetFactory, sizes: Sizes, main: Audit) -> None:
        """A part of an input that is not read with this seed may be padding: with another it is read."""
        law = main.laws.get("dependence")
        if law is None or law.holds:
            return
        for seed in range(self.seed + 1, self.seed + 1 + OTHER_SEEDS):
            with contextlib.suppress(TargetError):
                target, depth = factory.build(seed, sizes), AuditOptions(entries=False)
                other = self.headway.audit(target, self.seed, depth, "asking another seed").laws
                if "dependence" in other and other["dependence"].holds:
                    main.laws["dependence"] = replace(other["dependence"], message=f"with seed {seed}; {law.message}")
                    return

    # -- a factor that all gradients have in common --------------------------------------------------------------------

    def _without_common_factor(self, factory: TargetFactory, sizes: Sizes, main: Audit) -> Audit:
        """The audit with a common factor taken out; as it is, where there is none or no time to be sure of it."""
        with self.headway.details("sizes") if main.wrong else contextlib.nullcontext():
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
            if main.gradients and not self.headway.time.cuts:  # without all entries there is no telling
                main.laws["reduction"] = reduction_law(None)
            return main
        self.common = common
        judged = {name for name, block in main.blocks.items() if block.verdict != "vacuous"}
        if judged - set(common.blocks):
            self.divided = True
            depth = replace(self._main_depth(factory, sizes), divisor=common.value)
            main = self.headway.audit(factory.build(self.seed, sizes), self.seed, depth, "checking again")
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
                target, depth = factory.build(self.seed, other), AuditOptions(laws=False)
                found = common_factor(self.headway.audit(target, self.seed, depth, "comparing sizes"), other)
                return found is not None and math.isclose(
                    found.value, factor_for_sizes(common.label, other), rel_tol=1e-6
                )
        return False


def wrong_in(report: Report) -> set[str]:
    """The gradients that a report calls wrong."""
    return {name for name, block in report.blocks.items() if block.verdict == "wrong"}
