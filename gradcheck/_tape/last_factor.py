"""What the last operations of all gradients take out of what the backward has calculated before.

Code that climbs a likelihood calculates with -dL/d(value) and turns the sign of its gradients at the end; code of a
mean over B samples may calculate with B dL/d(value), and divide what it returns, or what it adds up for each sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from gradcheck._tape.nodes import MOVES, Node

_SCALES = frozenset({"negative", "multiply", "divide"})
#: terms of one gradient that are looked at
MOST_TERMS = 400
#: relative to the largest entry
EQUAL = 1e-9


def last_factor(sinks: Iterable[Node | None]) -> float:
    """How many times the derivatives the backward calculates with, by the gradients that it returns.

    1 where most of them do not say the same.
    """
    told = [sink for sink in sinks if sink is not None and sink.value is not None and np.any(sink.value)]
    factors = Counter(round(_taken_out(one), 12) for one in told)
    factor, count = factors.most_common(1)[0] if factors else (1.0, 0)
    return factor if 2 * count > len(told) else 1.0


def _taken_out(node: Node) -> float:
    """How many times it its last operand is, before operations that only scale all of it, or each term of a sum."""
    factors: set[float] = set()
    waiting = [(node, 1.0)]
    for _ in range(MOST_TERMS):
        node, factor = waiting.pop()
        node, times = _before_scaling(node)
        terms = (
            [one for one in node.inputs if one.shape == node.shape and np.any(one.value)] if node.op == "add" else []
        )
        if not terms:
            factors.add(round(factor * times, 12))
        waiting += [(one, factor * times) for one in terms]
        if not waiting or len(factors) > 1:
            break
    return factors.pop() if len(factors) == 1 and not waiting else 1.0


def _before_scaling(node: Node) -> tuple[Node, float]:
    """What was only handed on and scaled to make a value, and how many times that value it is."""
    factor = 1.0
    while True:
        if node.op in MOVES and len(node.inputs) == 1:
            node = node.inputs[0]
            continue
        before = scaled(node)
        if len(before) != 1:
            return node, factor
        node, times = before[0]
        factor *= times


def scaled(node: Node) -> list[tuple[Node, float]]:
    """What an operation has only scaled to make a value of it, and how many times that value it is."""
    before = node.inputs if node.op in _SCALES else ()
    return [(one, times) for one in before if (times := _multiple_of(one, node)) is not None]


def _multiple_of(before: Node, after: Node) -> float | None:
    """How many times a value another one is; None where it is no multiple."""
    if before.value is None or after.value is None or before.shape != after.shape:
        return None
    value, other = np.asarray(after.value, float), np.asarray(before.value, float)
    square = float(np.vdot(value, value))
    times = float(np.vdot(value, other)) / square if square else 0.0
    is_multiple = np.allclose(other, times * value, rtol=0, atol=EQUAL * float(np.max(np.abs(other), initial=0.0)))
    return times if times and is_multiple else None
