"""The law "independence": gradients are not made from the loss that they are compared with.

A `grads()` that takes differences of the loss is always right, and says nothing of the backward that was meant. It is
known by what it runs: the function that returns the loss, or the forward, as often as there are parameters.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from types import CodeType
from typing import Any

import numpy as np

from gradcheck._common.arrays import Values, as_complex
from gradcheck._numeric.evaluator import Evaluator
from gradcheck._usercode.profiling import count_calls, count_returns
from gradcheck.report.records import Law

#: a backward may run its forward once more for each step; with fewer parameters than this that is as often
MIN_CALLS = 16


class CallCounter:
    """Asks for a loss and for gradients as the evaluator does, and counts what runs in them where that is wanted."""

    def __init__(self, evaluator: Evaluator, counting: bool) -> None:
        self.evaluator, self.counting = evaluator, counting
        #: how often functions ran in a loss and its gradients
        self._times: Counter[CodeType] = Counter()

    def raw_loss_and_grads(self, values: Values | None = None) -> tuple[Any, Any]:
        """What the user's loss and grads return."""
        with closing(self.evaluator.raw_loss_then_grads(values)) as asked:
            if not self.counting:
                return next(asked), next(asked)
            found, self._times = count_calls(lambda: (next(asked), next(asked)))
        raw_loss, raw_grads = found
        return raw_loss, raw_grads

    def independence(self) -> Law:
        """Compare how often the functions that return the loss run in it, and in it and the gradients."""
        entries = sum(array.size for array in self.evaluator.base.values())
        often = [code for code, times in self._times.items() if times >= max(entries, MIN_CALLS)]
        of_loss = self._functions_returning_the_loss() if often else Counter()
        for code in often:
            if 0 < of_loss[code] * max(entries, MIN_CALLS) <= self._times[code]:
                return _broken(code, self._times[code], entries)
        return Law("independence", True, "the gradients are not made from the loss")

    def _functions_returning_the_loss(self) -> Counter[CodeType]:
        """How often functions return the loss in it."""
        raw_loss, seen = count_returns(self.evaluator.raw_loss, self._loss_like)
        wanted = True if self.evaluator.target.is_vjp else as_complex(raw_loss)
        return Counter({code: times for (code, told), times in seen.items() if told == wanted})

    def _loss_like(self, value: Any) -> Any:
        """What may be the loss: a number, or the outputs and the cache of a forward."""
        if self.evaluator.target.is_vjp:
            return isinstance(value, tuple)
        return as_complex(value) if isinstance(value, (float, np.generic, np.ndarray)) else None


def _broken(code: CodeType, times: int, entries: int) -> Law:
    found = f"grads() runs {code.co_name}() {times} times, for {entries} parameters"
    cause = "grads() itself differences the loss, so differences would be compared with differences"
    return Law("independence", False, f"{found}: {cause}; return the gradients of the backward", breach="vacuous")
