"""The adjoint trace: the derivatives of all that a forward computes, and what its backward computes beside them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self

import numpy as np

from gradcheck._adjoints import adjoints
from gradcheck._errors import TargetError
from gradcheck._evaluate import number
from gradcheck._flow import Judgement, judge
from gradcheck._instrument import Program, instrumented, observed, rewrite
from gradcheck._match import RELATIVE, Library
from gradcheck._record import Overrides, record
from gradcheck._target import Array, Target, Values


class NoSourceError(TargetError):
    """None of the functions that ran has its source on disk."""


class Trace:
    """One target at one point, with the derivatives of everything that its forward computes.

    Use it as a context manager, inside ``target.preserved()`` and after ``target.begin()``. `divisor` is a factor
    that all gradients are too large by, which is another matter.
    """

    def __init__(self, target: Target, divisor: float = 1.0, base: Values | None = None) -> None:
        self.target = target
        self.base: Values = target.values() if base is None else base
        codes = observed(lambda: target.grads_at(self.base))
        self.program: Program = rewrite(codes)
        if not self.program.codes:
            raise NoSourceError("no line can be named: the source of the functions that ran is not at hand")
        self._live = ExitStack()
        self.loss = 0.0
        self.divisor = divisor
        #: how many values the backward computes
        self.passed = 0

    def __enter__(self) -> Self:
        self._live.enter_context(instrumented(self.program))
        try:
            self._prepare()
        except BaseException:
            self._live.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._live.close()

    def _prepare(self) -> None:
        target, divisor = self.target, self.divisor
        self.loss = number(target.loss_at(self.base)).real
        loss = abs(self.loss)
        found, self.evaluations = adjoints(target, self.base, self.program)
        for adjoint in found:
            adjoint.value = adjoint.value * divisor
        self.adjoints = found
        self.forward = {adjoint.site.number for adjoint in found}
        self.numerical = {name: slope * divisor for name, slope in self._slopes().items()}
        self.library = Library(found, loss * divisor)

    def judgement(self, overrides: Overrides) -> Judgement:
        """Run the backward with these overrides, and judge it."""
        recording = record(self.target, self.base, self.program, overrides)
        self.passed = max(self.passed, len(recording.events))
        return judge(recording, self.library, self.program.sites)

    def wrong(self, gradients: Values) -> tuple[str, ...]:
        """The gradients that are not the slope of the loss."""
        return tuple(
            name
            for name, slope in self.numerical.items()
            if name not in gradients or gradients[name].size != slope.size or not self.equal(gradients[name], slope)
        )

    def _slopes(self) -> Values:
        """The gradient of the loss, by central differences."""
        slopes: Values = {}
        for name, array in self.base.items():
            slopes[name] = np.zeros(array.shape)
            for index in np.ndindex(array.shape):
                step = 6e-6 * max(1.0, abs(float(array[index])))
                ends = []
                for sign in (1, -1):
                    moved = array.copy()
                    moved[index] += sign * step
                    ends.append((number(self.target.loss_at({**self.base, name: moved})).real, float(moved[index])))
                slopes[name][index] = (ends[0][0] - ends[1][0]) / (ends[0][1] - ends[1][1])
                self.evaluations += 2
        return slopes

    def equal(self, gradient: Array, slope: Array) -> bool:
        """Whether a gradient is the slope, to within what central differences can tell."""
        if not np.all(np.isfinite(gradient)):
            return False
        size = max(float(np.max(np.abs(slope), initial=0.0)), float(np.max(np.abs(gradient), initial=0.0)))
        apart = float(np.max(np.abs(gradient.ravel() - slope.ravel()), initial=0.0))
        return apart <= 10 * self.library.absolute + RELATIVE * size
