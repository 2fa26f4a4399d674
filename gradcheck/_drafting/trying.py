"""A draft is tried: its target is built, and its gradients are compared with the slope of its loss."""

from __future__ import annotations

import itertools
import linecache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from gradcheck._checking.check import check
from gradcheck._drafting.guesses import SIZES
from gradcheck._targets.factory import TargetFactory
from gradcheck._targets.opening import opened
from gradcheck._targets.target import Target

_numbers = itertools.count()


class Fit(NamedTuple):
    """How well a draft fits: whether it runs, the part of its gradients that are right, less the broken laws."""

    runs: bool
    right: float
    broken: int
    nearness: float

    @property
    def is_full(self) -> bool:
        """Whether all is right, so that no other draft is tried."""
        return self.runs and self.right == 1.0 and not self.broken


NO_FIT = Fit(False, 0.0, 0, 0.0)


def tried(text: str, output: Path) -> Fit:
    """How well the target in the text of a target file fits."""
    try:
        report = check(_target(text, output), explain=False)
    except (Exception, SystemExit):
        return NO_FIT
    laws = {name: law.holds for name, law in report.laws.items()}
    if not all(laws.get(name, True) for name in ("names", "shapes", "finite")):
        return NO_FIT
    verdicts = [block.verdict for block in report.blocks.values()]
    if all(one == "vacuous" for one in verdicts):
        return NO_FIT
    near = -sum(2.0 if block.error is None else min(block.error, 2.0) for block in report.blocks.values())
    return Fit(True, verdicts.count("right") / len(verdicts), -list(laws.values()).count(False), near)


def runs_once(text: str, output: Path) -> bool:
    """Whether the target in the text of a target file gives a loss and gradients."""
    try:
        target = _target(text, output)
        with opened(target, 0):
            target.grads_at(target.values())
    except (Exception, SystemExit):
        return False
    return True


def _target(text: str, output: Path) -> Target:
    module = ModuleType(f"_gradcheck_draft_{next(_numbers)}")
    module.__file__ = str(output)
    linecache.cache[str(output)] = (len(text), None, text.splitlines(keepends=True), str(output))
    exec(compile(text, str(output), "exec"), vars(module))
    (factory,) = [one for one in vars(module).values() if isinstance(one, TargetFactory)]
    return factory.build(0, {name: SIZES[name] for name in factory.sizes})
