"""The law "independence": gradients are not made from the loss that they are compared with.

A `grads()` that takes differences of the loss is always right, and says nothing of the backward that was meant. It is
known by what it runs: the function that returns the loss, or the forward, as often as there are parameters.
"""

from __future__ import annotations

from collections import Counter
from types import CodeType
from typing import Any

import numpy as np

from gradcheck._evaluate import Evaluator, number
from gradcheck._report import Law
from gradcheck._running import counted

#: a backward may run its forward once more for each step; with fewer parameters than this that is as often
LEAST = 16


class Runs:
    """Asks for a loss and for gradients as the evaluator does, and counts what runs in them where that is wanted."""

    def __init__(self, evaluator: Evaluator, counting: bool) -> None:
        self.evaluator, self.counting = evaluator, counting
        self._of_loss: Counter[CodeType] = Counter()
        self._of_grads: Counter[CodeType] = Counter()

    def raw_loss(self) -> Any:
        """What the user's loss returns; its value must be known already."""
        if not self.counting:
            return self.evaluator.raw_loss()
        raw, self._of_loss = counted(self.evaluator.raw_loss, self._is_the_loss)
        return raw

    def raw_grads(self) -> Any:
        """What the user's grads returns."""
        if not self.counting:
            return self.evaluator.raw_grads()
        raw, self._of_grads = counted(self.evaluator.raw_grads, lambda _: True)
        return raw

    def independence(self) -> Law:
        """Compare how often the functions that return the loss ran in it, and in the gradients."""
        entries = sum(array.size for array in self.evaluator.base.values())
        for code, calls in self._of_loss.items():
            if self._of_grads[code] >= calls * max(entries, LEAST):
                return _broken(code, self._of_grads[code], entries)
        return Law("independence", True, "the gradients are not made from the loss")

    def _is_the_loss(self, value: Any) -> bool:
        if self.evaluator.target.has_cotangent:
            return isinstance(value, tuple)
        return isinstance(value, (float, np.generic, np.ndarray)) and number(value) == self.evaluator.loss_value


def _broken(code: CodeType, calls: int, entries: int) -> Law:
    found = f"grads() runs {code.co_name}() {calls} times, for {entries} parameters: it takes differences of the loss"
    return Law(
        "independence",
        False,
        f"{found}, and these are compared with others; hand in the backward's gradients",
        breach="vacuous",
    )
