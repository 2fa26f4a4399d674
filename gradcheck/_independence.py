"""The law "independence": gradients are not made from the loss that they are compared with.

A `grads()` that takes differences of the loss is always right, and says nothing of the backward that was meant. It is
known by what it runs: the function that returns the loss, or the forward, as often as there are parameters.
"""

from __future__ import annotations

from types import CodeType
from typing import Any

import numpy as np

from gradcheck._evaluate import Evaluator, number
from gradcheck._instrument import counted
from gradcheck._report import Law

#: a backward may run its forward once more for each step; with fewer parameters than this that is as often
LEAST = 16


def independence(evaluator: Evaluator) -> Law:
    """Compare how often the functions that return the loss run in it, and in the gradients."""
    entries = sum(array.size for array in evaluator.base.values())

    def returned(value: Any) -> bool:
        if evaluator.target.has_cotangent:
            return isinstance(value, tuple)
        return isinstance(value, (float, np.generic, np.ndarray)) and number(value) == evaluator.loss_value

    of_loss = counted(evaluator.raw_loss, returned)
    of_grads = counted(evaluator.raw_grads, lambda _: True)
    for code, calls in of_loss.items():
        if of_grads[code] >= calls * max(entries, LEAST):
            return _broken(code, of_grads[code], entries)
    return Law("independence", True, "the gradients are not made from the loss")


def _broken(code: CodeType, calls: int, entries: int) -> Law:
    found = f"grads() runs {code.co_name}() {calls} times, for {entries} parameters: it takes differences of the loss"
    return Law(
        "independence",
        False,
        f"{found}, and these are compared with others; hand in the backward's gradients",
        breach="vacuous",
    )
