"""The entries of wrong gradients from one reverse sweep over the loss, where measured slopes confirm it.

A gradient that was judged alone has been compared along directions. What the sweep says of it has to agree with the
slopes measured there; as far apart as they are, and as uncertain, each entry may be wrong.
"""

from __future__ import annotations

import numpy as np

from gradcheck._common.arrays import Values, inner_product
from gradcheck._comparing.comparer import Comparer
from gradcheck._numeric.entries import Entries
from gradcheck._numeric.evaluator import DOUBLE

#: how far the sweep may be from a measured slope, relatively
CLOSE = 1e-7


class TapedEntries:
    """The entries of one target's gradients; the loss is taped when they are first asked for."""

    def __init__(self, comparer: Comparer) -> None:
        self._comparer = comparer
        self._gradients: Values | None = None

    def of(self, name: str) -> Entries | None:
        """The derivative with respect to every entry of a parameter.

        None in single precision, where the loss cannot be taped, has a kink, or has another slope than the sweep says.
        """
        if self._comparer.evaluator.epsilon > DOUBLE:
            return None
        if self._gradients is None:
            self._gradients = _taped_gradients(self._comparer)
        values = self._gradients.get(name)
        if values is None:
            return None
        bar = 0.0
        for one in self._comparer.compare([name]):
            apart = abs(inner_product({name: values}, one.direction) - one.derivative.value)
            if one.derivative.kink or not apart <= CLOSE * abs(one.derivative.value) + one.derivative.error:
                return None
            bar = max(bar, apart + one.derivative.error)
        return Entries(values, np.full(values.shape, bar), np.zeros(values.shape))


def _taped_gradients(comparer: Comparer) -> Values:
    """What the sweep says of all parameters; nothing where it fails."""
    from gradcheck._tape import tape_forward

    evaluator = comparer.evaluator
    evaluator.count(1)
    try:
        found = tape_forward(evaluator.target, evaluator.base).true_gradients
    except Exception:  # whatever code does that cannot be followed, differences answer as well
        return {}
    return {name: np.asarray(values, np.float64) for name, values in found.items()}
