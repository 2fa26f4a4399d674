"""The adjoint trace: the derivatives of all that a forward computes, and what its backward computes beside them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import NamedTuple, Self

import numpy as np

from gradcheck._common.arrays import Array, Values, as_complex
from gradcheck._common.errors import TargetError
from gradcheck._common.wording import shown_path
from gradcheck._targets.opening import opened
from gradcheck._targets.target import Target
from gradcheck._tracing.adjoints import REAL, adjoints
from gradcheck._tracing.dataflow import Judgement, judge
from gradcheck._tracing.matching import RELATIVE, Library
from gradcheck._tracing.recording import Overrides, record
from gradcheck._usercode.instrument import Program, instrumented, rewrite
from gradcheck._usercode.profiling import functions_run

#: directions along which each gradient is compared, while edits are tried
DIRECTIONS = 4


class NoSourceError(TargetError):
    """None of the functions that ran has its source on disk."""


def count_backward_values(target: Target) -> int:
    """How many values the backward of a target computes."""
    with opened(target, 0):
        base = target.values()
        program = rewrite(functions_run(lambda: target.grads_at(base)))
        with instrumented(program):
            return len(record(target, base, program, {}).events)


class Slopes(NamedTuple):
    """The slopes of the loss along directions (K, n) of a parameter of n entries."""

    directions: Array
    values: Array


def why_no_source(program: Program, source: str = "the source") -> str:
    """Why functions that ran have no source."""
    if not program.changed:
        return f"{source} is not at hand"
    verb = "has" if len(program.changed) == 1 else "have"
    return f"{', '.join(map(shown_path, program.changed))} {verb} changed since it was imported: run the check again"


class Trace:
    """One target at one point, with the derivatives of everything that its forward computes.

    Use it as a context manager, while the target is `opened`. `divisor` is a factor
    that all gradients are too large by, which is another matter.
    """

    def __init__(self, target: Target, divisor: float = 1.0, base: Values | None = None) -> None:
        self.target = target
        self.base: Values = target.values() if base is None else base
        codes = functions_run(lambda: target.grads_at(self.base))
        self._of_loss = {
            (code.co_filename, code.co_qualname) for code in functions_run(lambda: target.loss_at(self.base))
        }
        self.program: Program = rewrite(codes)
        if not self.program.codes:
            raise NoSourceError(
                f"no line can be named: {why_no_source(self.program, 'the source of the functions that ran')}"
            )
        self._live = ExitStack()
        self.loss = 0.0
        self.divisor = divisor
        #: how many values the backward computes
        self.passed = 0
        #: the functions that are the forward alone, which is held: by file and name
        self.held: set[tuple[str, str]] = set()

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
        self.loss = as_complex(target.loss_at(self.base)).real
        loss = abs(self.loss)
        found, self.evaluations = adjoints(target, self.base, self.program)
        for adjoint in found:
            adjoint.value = adjoint.value * divisor
        self.adjoints = found
        self.forward = {adjoint.site.number for adjoint in found}
        self.slopes = {name: self._slopes(name) for name in self.base}
        self.library = Library(found, loss * divisor)

    def stop_dividing(self) -> None:
        """From now on gradients are compared with what the factor that they have in common is part of."""
        self.slopes = {
            name: slopes._replace(values=slopes.values / self.divisor) for name, slopes in self.slopes.items()
        }
        self.divisor = 1.0

    def judgement(self, overrides: Overrides) -> Judgement:
        """Run the backward with these overrides, and judge it."""
        recording = record(self.target, self.base, self.program, overrides)
        self.passed = max(self.passed, len(recording.events))
        return judge(recording, self.library, self.program.sites)

    def forward_functions(self, judgement: Judgement) -> set[tuple[str, str]]:
        """The functions, by file and name, that run in the loss and hold no derivative: what they keep is held, too."""
        sites = self.program.sites
        statements = [sites[event.site].statement for event in judgement.recording.events]
        back = {(one.file, one.function) for one, tainted in zip(statements, judgement.tainted, strict=True) if tainted}
        return self._of_loss - back

    def wrong(self, gradients: Values) -> tuple[str, ...]:
        """The gradients that are not the slope of the loss."""
        return tuple(
            name
            for name, slopes in self.slopes.items()
            if name not in gradients or not self._agree(gradients[name], slopes)
        )

    def _slopes(self, name: str) -> Slopes:
        """The slopes of the loss along a few directions of one parameter, by central differences."""
        array = self.base[name]
        rng = np.random.default_rng(2)
        few = array.size <= DIRECTIONS
        directions = np.eye(array.size) if few else rng.standard_normal((DIRECTIONS, array.size))
        slopes = np.zeros(len(directions))
        step = REAL * max(1.0, float(np.max(np.abs(array), initial=0.0)))
        for k, direction in enumerate(directions):
            ends = [
                as_complex(
                    self.target.loss_at({**self.base, name: array + (sign * step * direction).reshape(array.shape)})
                )
                for sign in (1, -1)
            ]
            slopes[k] = (ends[0] - ends[1]).real / (2 * step)
            self.evaluations += 2
        return Slopes(directions, slopes * self.divisor)

    def _agree(self, gradient: Array, slopes: Slopes) -> bool:
        """Whether a gradient has these slopes, to within what central differences can tell."""
        if gradient.size != slopes.directions.shape[1] or not np.all(np.isfinite(gradient)):
            return False
        apart = np.abs(slopes.directions @ gradient.ravel() - slopes.values)
        lengths = np.linalg.norm(slopes.directions, axis=1)
        size = max(float(np.linalg.norm(gradient)), float(np.max(np.abs(slopes.values) / lengths, initial=0.0)))
        return bool(np.all(apart <= (10 * self.library.absolute + RELATIVE * size) * lengths))
