"""The entries of gradients from one reverse sweep over the loss, where measured slopes confirm it.

The gradients that were judged have been compared along directions, each alone or several together. What the sweep says
of them has to agree with the slopes measured there; as far apart as they are, and as uncertain, each entry may be
wrong.
"""

from __future__ import annotations

import numpy as np

from gradcheck._common.arrays import Values, inner_product
from gradcheck._common.wording import comma_separated
from gradcheck._comparing.comparer import Comparer
from gradcheck._comparing.comparisons import Comparisons
from gradcheck._numeric.entries import Entries
from gradcheck._numeric.evaluator import DOUBLE

#: how far the sweep may be from a measured slope, relatively
CLOSE = 1e-7
#: and how far relative to the gradient, if entries of one that others were compared with are to be known by it
CLOSE_TO_EACH = 1e-9


class TapedEntries:
    """The entries of one target's gradients; the loss is taped when they are first asked for."""

    def __init__(self, comparer: Comparer) -> None:
        self._comparer = comparer
        self._gradients: Values | None = None
        #: the gradients whose entries were taken from the sweep, those whose were not, and why
        self._taken: list[str] = []
        self._refused: dict[str, str] = {}
        #: the slopes that have confirmed it
        self._slopes: set[int] = set()

    def of(self, name: str) -> Entries | None:
        """The derivative with respect to every entry of a parameter.

        None in single precision, where the loss cannot be taped, has a kink, or has another slope than the sweep says.
        """
        found = self._entries(name)
        if found is not None:
            self._taken.append(name)
        return found

    def told(self) -> tuple[str, ...]:
        """What of a full check was taken from the sweep and what was differenced, in words: a line for each."""
        lines = []
        if self._taken:
            confirmed = f"{len(self._slopes)} measured slopes"
            lines.append(
                f"the entries of {comma_separated(self._taken)} were taken from one reverse sweep over the loss, which "
                f"{confirmed} confirm; none of them was differenced alone"
            )
        for reason in dict.fromkeys(self._refused.values()):
            names = [name for name, why in self._refused.items() if why == reason]
            lines.append(f"the entries of {comma_separated(names)} were differenced one by one: {reason}")
        return tuple(lines)

    def _entries(self, name: str) -> Entries | None:
        if self._comparer.evaluator.epsilon > DOUBLE:
            self._refused[name] = "in single precision a reverse sweep has too few digits"
            return None
        if self._gradients is None:
            self._gradients = _taped_gradients(self._comparer)
        if name not in self._gradients:
            self._refused[name] = "the loss could not be followed to it"
            return None
        values, bar = self._gradients[name], self._bar_with_others(name)
        if bar is None:
            bar = self._bar_of(self._comparer.compare([name]), [name])
        if bar is None:
            self._refused[name] = "the reverse sweep was not confirmed: the loss has another slope, or a kink"
            return None
        return Entries(values, np.full(values.shape, bar), np.zeros(values.shape))

    def _bar_with_others(self, name: str) -> float | None:
        """How well the sweep is confirmed where this gradient was compared with others, if that tells enough of it."""
        assert self._gradients is not None
        for names, comparisons in self._comparer.compared_with(name):
            if set(names) <= set(self._gradients):
                bar = self._bar_of(comparisons, names)
                if bar is not None and bar <= CLOSE_TO_EACH * self._comparer.norms[name]:
                    return bar
        return None

    def _bar_of(self, comparisons: Comparisons, names: list[str]) -> float | None:
        """How far the sweep over these parameters may be from the slopes; None if it is farther than it should be."""
        assert self._gradients is not None
        bar = 0.0
        for one in comparisons:
            taped = inner_product({name: self._gradients[name] for name in names}, one.direction)
            apart = abs(taped - one.derivative.value)
            if one.derivative.kink or not apart <= CLOSE * abs(one.derivative.value) + one.derivative.error:
                return None
            bar = max(bar, apart + one.derivative.error)
        self._slopes |= {id(one) for one in comparisons}
        return bar


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
