"""The law "independence": gradients are not made from the loss that they are compared with.

A `grads()` that takes differences of the loss is always right, and says nothing of the backward that was meant. It is
known by what it runs: the function that returns the loss, or the forward, as often as there are parameters, or another
one that returns as many values beside the loss. Where no such call can be seen, it is known by what it gives: gradients
that carry the rounding of the loss (`loss_rounding.py`). Where neither can be told, the law was not tested.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from types import CodeType
from typing import Any

import numpy as np

from gradcheck._common.arrays import Values, as_complex
from gradcheck._common.wording import comma_separated
from gradcheck._comparing.comparer import Comparer
from gradcheck._laws.loss_rounding import LossRounding, find_loss_rounding
from gradcheck._numeric.evaluator import Evaluator
from gradcheck._usercode.profiling import Calls, count_calls, count_returns
from gradcheck.report.records import Law

#: a backward may run its forward once more for each step; with fewer parameters than this that is as often
MIN_CALLS = 16
#: values of another function that are so near to the loss, relatively, and differ from it are losses beside the point
BESIDE = 1e-3


class CallCounter:
    """Asks for a loss and for gradients as the evaluator does, and counts what runs in them where that is wanted."""

    def __init__(self, evaluator: Evaluator, counting: bool) -> None:
        self.evaluator, self.counting = evaluator, counting
        #: what ran in a loss and its gradients
        self._calls = Calls(Counter())

    def raw_loss_and_grads(self, values: Values | None = None) -> tuple[Any, Any]:
        """What the user's loss and grads return."""
        with closing(self.evaluator.raw_loss_then_grads(values)) as asked:
            if not self.counting:
                return next(asked), next(asked)
            found, self._calls = count_calls(lambda: (next(asked), next(asked)))
        raw_loss, raw_grads = found
        return raw_loss, raw_grads

    def independence(self, comparer: Comparer) -> Law:
        """Whether the gradients are made from the loss, by what runs in them and by their rounding."""
        entries = sum(array.size for array in self.evaluator.base.values())
        differenced = self._often_run(entries) or self._run_beside_the_loss(entries)
        if differenced is not None:
            return _broken(*differenced, entries)
        rounding = find_loss_rounding(comparer)
        if rounding.whole:
            return _told_by_rounding(rounding)
        if rounding.noise:
            return Law.untested(
                "independence",
                f"gradients change at random by {rounding.noise:.0e} of the largest, as differences of the loss do, "
                "and as those of code do that is chaotic, or float32 inside",
            )
        if self._calls.handed_on:
            return Law.untested(
                "independence",
                f"work is handed to other threads or processes ({self._calls.handed_on}), where calls of the loss are "
                "not counted",
            )
        return Law("independence", True, "the gradients are not made from the loss")

    def _often_run(self, entries: int) -> tuple[CodeType, int] | None:
        """A function that returns the loss in it, if that runs in the gradients as often as there are parameters.

        What a loss calls many times, as a constructor of tensors, runs as often as there are losses in the gradients
        times that.
        """
        least = max(entries, MIN_CALLS)
        often = [code for code, times in self._calls.times.items() if times >= least]
        in_loss = self._functions_returning_the_loss() if often else Counter()
        for code in often:
            if 0 < in_loss[code] * least <= self._calls.times[code]:
                return code, self._calls.times[code]
        return None

    def _run_beside_the_loss(self, entries: int) -> tuple[CodeType, int] | None:
        """A function that returns as many values beside the loss as there are parameters."""
        least = max(entries, 2)
        if self.evaluator.target.is_vjp or all(times < least for times in self._calls.times.values()):
            return None
        loss = self.evaluator.loss_value

        def beside(value: Any) -> complex | None:
            if not isinstance(value, (float, complex, np.generic, np.ndarray)) or np.size(value) != 1:
                return None
            apart = abs((told := as_complex(value)) - loss)
            return told if 0 < apart <= BESIDE * abs(loss) else None

        with closing(self.evaluator.raw_loss_then_grads()) as asked:
            next(asked)
            _, seen = count_returns(lambda: next(asked), beside)
        different = Counter(code for code, value in seen if value is not None)
        return next(((code, times) for code, times in different.most_common(1) if times >= least), None)

    def _functions_returning_the_loss(self) -> Counter[CodeType]:
        """How often functions run in the loss that return it there."""
        raw_loss, seen = count_returns(self.evaluator.raw_loss, self._loss_like)
        wanted = True if self.evaluator.target.is_vjp else as_complex(raw_loss)
        returning = {code for code, told in seen if told == wanted}
        times: Counter[CodeType] = Counter()
        for (code, _), count in seen.items():
            times[code] += count if code in returning else 0
        return times

    def _loss_like(self, value: Any) -> Any:
        """What may be the loss: a number, or the outputs and the cache of a forward."""
        if self.evaluator.target.is_vjp:
            return isinstance(value, tuple)
        return as_complex(value) if isinstance(value, (float, np.generic, np.ndarray)) else None


def _broken(code: CodeType, times: int, entries: int) -> Law:
    found = f"grads() runs {code.co_name}() {times} times, for {entries} parameters"
    cause = "grads() itself differences the loss, so differences would be compared with differences"
    return Law("independence", False, f"{found}: {cause}; return the gradients of the backward", breach="vacuous")


def _told_by_rounding(rounding: LossRounding) -> Law:
    names = comma_separated([*rounding.whole])
    found = f"each entry of the gradients of {names} is a whole number of the last digits of the loss over one step"
    cause = "they are differences of the loss, so differences would be compared with differences"
    return Law("independence", False, f"{found}: {cause}; return the gradients of the backward", breach="vacuous")
