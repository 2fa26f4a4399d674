"""Trials at other sizes than the defaults, and the smallest sizes at which it fails.

A factory may refuse sizes. Code that raises at others fails there; what is zero at the defaults alone is judged there.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from gradcheck._checking.audit import Audit, AuditOptions
from gradcheck._checking.pace import Headway
from gradcheck._common.arrays import Sizes
from gradcheck._common.errors import TargetError
from gradcheck._common.verdict import Verdict
from gradcheck._common.wording import format_sizes
from gradcheck._targets.factory import TargetFactory
from gradcheck.report.records import Block, Law, Trial

#: a trial far above the default sizes that may take longer than this is left out, and that is said
FAR_SECONDS = 5.0


@dataclass
class OtherSizes:
    """The trials of one factory, and what is found at them.

    Args:
        factory: What is checked.
        seed: The seed of the check.
        headway: Runs and counts the audits.
        divisor_at: What all gradients are divided by at some sizes: a factor that they have in common there.
        suspects: Gradients that are known to be wrong, so that little is asked to find them so.
        trials: Those that there are, the one at the default sizes among them.
    """

    factory: TargetFactory
    seed: int
    headway: Headway
    divisor_at: Callable[[Sizes], float]
    suspects: frozenset[str]
    trials: list[Trial]
    #: the verdicts at sizes that were tried
    verdicts_at: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    #: by gradient, the first sizes at which it was right
    right_at: dict[str, tuple[Sizes, Block]] = field(default_factory=dict)
    broken_at: dict[str, Law] = field(default_factory=dict)
    #: sizes that the factory refused, and why
    refused: dict[str, str] = field(default_factory=dict)
    #: sizes far above the defaults that would have taken too long
    too_slow: list[str] = field(default_factory=list)

    def try_all(self, main: Audit) -> None:
        """A trial at each of the other sizes; where nothing is wrong at any, also far above the defaults."""
        started, before = time.perf_counter(), len(self.trials)
        self._try_usual(main)
        if all(trial.verdict != "wrong" for trial in self.trials):
            each = (time.perf_counter() - started) / max(len(self.trials) - before, 1)
            self.trials += self._try_far(each)

    def _try_usual(self, main: Audit) -> None:
        """A trial at each of the other sizes; where something is wrong already, at as many as there is time for."""
        others = [other for other in self.factory.other_sizes() if all(trial.sizes != other for trial in self.trials)]
        cuts = self.headway.time.cuts
        for number, other in enumerate(others):
            before = len(cuts)
            with self.headway.details("sizes") if main.wrong else contextlib.nullcontext():
                self.trials += self._try(other)
            if len(cuts) > before:
                cuts[-1] = replace(cuts[-1], left=len(others) - number)
                return

    def _try(self, sizes: Sizes, *, stop: bool = False, lenient: bool = False) -> list[Trial]:
        """The trial at these sizes; none if the factory refuses them with a ValueError, as it may.

        Where it is `lenient`, none either if there is nothing to compare: no finite loss, or other gradients.
        """
        try:
            target = self.factory.build(self.seed, sizes)
        except TargetError as error:
            return self._not_built(sizes, error)
        try:
            options = replace(self._quick_options(sizes), stop=stop)
            found = self.headway.audit(target, self.seed, options, f"trying {format_sizes(sizes)}")
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

    def _not_built(self, sizes: Sizes, error: TargetError) -> list[Trial]:
        """The trial at sizes at which there is no target, so that nothing is known of its gradients."""
        if not self.factory.refuses_sizes(error):
            return [Trial(sizes, "inconclusive", message=str(error))]
        self.refused.setdefault(format_sizes(sizes), str(getattr(error, "error", error)))
        return []

    def _try_far(self, seconds: float) -> list[Trial]:
        """Trials far above the defaults, where truncation and clips begin; none where they would take too long.

        A trial at the usual sizes takes so many seconds.
        """
        far: list[Trial] = []
        tried = [trial.sizes for trial in self.trials]
        for size, value in self.factory.far_sizes(self.seed):
            sizes = {**self.factory.sizes, size: value}
            if self._would_take_long(size, value, seconds):
                continue
            if sizes not in tried:
                far += self._try(sizes)
        for size, value in self.factory.far_sizes_of_parameters(self.seed):
            sizes = {**self.factory.sizes, size: value}
            if sizes not in tried and not self._would_take_long(size, value, seconds):
                # such a size may be a width, of a window perhaps, that the code is not made for
                far += [trial for trial in self._try(sizes, lenient=True) if not trial.message]
        return far

    def _would_take_long(self, size: str, value: int, seconds: float) -> bool:
        """Whether a trial there is left out; that is noted."""
        takes_long = seconds * value / self.factory.sizes[size] > FAR_SECONDS
        if takes_long:
            self.too_slow.append(f"{size}={value}")
        return takes_long

    def _quick_options(self, sizes: Sizes) -> AuditOptions:
        return AuditOptions(laws=False, entries=False, divisor=self.divisor_at(sizes), suspects=self.suspects)

    def failing(self, sizes: Sizes, main: Audit) -> Sizes | None:
        """Sizes at which gradients are wrong, which are reported then; or else, at which code raises."""
        raised = [trial for trial in self.trials if _has_raised(trial)]
        wrong = [trial for trial in self.trials if trial.wrong]
        if not (main.wrong_here or wrong or raised):
            return None
        start = sizes if main.wrong_here else (wrong or raised)[0].sizes
        if wrong and not main.wrong_here:
            # Right at the default sizes: the blocks are reported as they are where they are wrong.
            self._take_wrong_blocks(start, main)
        return start

    def _take_wrong_blocks(self, sizes: Sizes, main: Audit) -> None:
        """Report the gradients that are wrong at these sizes as they are there."""
        options = replace(self._quick_options(sizes), entries=True)
        target = self.factory.build(self.seed, sizes)
        found = self.headway.audit(target, self.seed, options, "looking closer", self.headway.watcher(0))
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

    def smallest(self, start: Sizes, main: Audit) -> Sizes | None:
        """The smallest sizes at which it fails; None if there was no time to find out."""

        def fails(smaller: Sizes) -> bool:
            return any(
                bool(trial.wrong) if main.wrong else _has_raised(trial) for trial in self._try(smaller, stop=True)
            )

        with self.headway.details("smallest"):
            return self.factory.shrink(start, fails)
        return None

    def merge_into(self, main: Audit) -> None:
        """What other sizes add: code that raises, laws broken there only, blocks that are vacuous here only."""
        raised = [trial for trial in self.trials if _has_raised(trial)]
        not_built = [trial for trial in self.trials if trial.message and not _has_raised(trial)]
        if raised:
            main.laws["sizes"] = Law("sizes", False, _told_of_sizes(raised))
        elif not_built:
            told = f"not tested {_told_of_sizes(not_built)}; where a size is not meant to work, raise a ValueError"
            main.laws["sizes"] = Law("sizes", False, told, breach="inconclusive")
        elif len(self.trials) > 1:
            main.laws["sizes"] = Law("sizes", True, f"tried at {len(self.trials)} sets of sizes")
        main.note(*self.broken_at.values())
        for name, block in main.blocks.items():
            if block.verdict == "vacuous" and name in self.right_at:
                sizes, right = self.right_at[name]
                main.blocks[name] = replace(
                    right, message=f"both gradients are zero here; judged at {format_sizes(sizes)}"
                )

    def refusals(self) -> tuple[str, ...]:
        """The sizes that the factory refused, each reason once."""
        reasons = dict.fromkeys(self.refused.values())
        at = {reason: [sizes for sizes, told in self.refused.items() if told == reason] for reason in reasons}
        told = [f"not tried, since the factory refuses it: {'; '.join(at[one])} ({one})" for one in reasons]
        if self.too_slow:
            told.append(f"not tried, since it would take long: {', '.join(self.too_slow)}")
        return tuple(told)


def _has_raised(trial: Trial) -> bool:
    """Whether there was a target, and its code raised."""
    return bool(trial.message) and trial.verdict == "wrong"


def _told_of_sizes(trials: Sequence[Trial]) -> str:
    """What was raised at the first of these trials, and at how many others something was."""
    more = f" (and at {len(trials) - 1} other sets of sizes)" if len(trials) > 1 else ""
    return f"at {format_sizes(trials[0].sizes)}{more}: {trials[0].message}"
