"""The gradients of one point against differences of the loss, along directions; and those of points nearby.

The bar of a comparison holds the error of the difference and the rounding error of the gradient itself, so that correct
code is not accused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, Self

import numpy as np

from gradcheck._common.arrays import Array, Values, inner_product, norm
from gradcheck._common.drawing import LARGE
from gradcheck._common.errors import UserCodeError
from gradcheck._comparing.comparisons import Comparison, Comparisons
from gradcheck._comparing.directions import Directions
from gradcheck._comparing.rounding import ROUNDING_OWN, GivenGradients
from gradcheck._comparing.wrong_entries import Probe
from gradcheck._numeric.difference import Derivative
from gradcheck._numeric.entries import Entries
from gradcheck._numeric.evaluator import Evaluator
from gradcheck._numeric.gradients import parse_gradients
from gradcheck._numeric.scheme import Scheme

#: Gaussian directions for each group of gradients
MAX_DIRECTIONS = 4
#: fewer are enough where they show errors of a small enough part
MIN_DIRECTIONS = 2
#: more are asked where those show too little, or to tell how small an error is
MANY_DIRECTIONS = 8
#: how well a slope has to be known where a gradient may be far from it
ROUGHLY = 1e-5
#: the part of the smallest gradient that is small enough: no formula is wrong by so little
SENSITIVE_ENOUGH = 1e-9
#: the part that is, where what confirms the complex steps is known no better
AS_SENSITIVE = 1e-7
#: along a Gaussian direction a rounding error shows as N(0, its norm): this many deviations are allowed for
DEVIATIONS = 3.0
#: how far away "nearby" is, relative to the parameters: far above roundoff, far below where a formula's error changes
NEARBY = 1e-5
#: how much of a discrepancy may change between points nearby, or steps
STEADY = 0.3


class Look(NamedTuple):
    """What gradients claim at another point along one direction. Large ones are not kept: most are right."""

    evaluator: Evaluator
    direction: Values
    slope: float
    norms: dict[str, float]
    #: of the slope: the usual rounding error, which is not measured
    rounding: float
    #: the comparer there, if the gradients were kept
    comparer: Comparer | None

    def fits(self) -> bool:
        """Whether the loss has this slope; not known where there is no direction to ask along."""
        if not self.direction:
            return False
        derivative = self.evaluator.derivative(self.direction)
        return abs(self.slope - derivative.value) <= derivative.error + self.rounding


class Comparer:
    """Compares given gradients with differences of the loss, at the evaluator's base point."""

    def __init__(self, evaluator: Evaluator, gradients: Values, seed: int, divisor: float = 1.0) -> None:
        self.evaluator = evaluator
        self.given = GivenGradients(evaluator, gradients, seed, divisor)
        self._known: dict[tuple[object, ...], Comparisons] = {}
        self._directions = Directions(self.given.rng)
        #: whether complex steps are checked against real ones, once for every group of gradients
        self.probing = True
        #: told once, of the first direction along which the gradients are wrong: what they claim, and the slope
        self.when_apart: Callable[[float, float], None] | None = None
        #: whether that is done to their own precision
        self.probing_sharply = False

    @property
    def gradients(self) -> Values:
        """The given gradients as they are compared."""
        return self.given.values

    @property
    def norms(self) -> dict[str, float]:
        """The norm of each gradient, of the entries that are compared."""
        return self.given.norms

    def undo_norm_clip(self) -> None:
        """Bring gradients back that are declared to be scaled down to a norm: the slope along them tells the factor."""
        clip, given = self.evaluator.target.clip, self.given
        if clip is None or not clip.is_at_norm({name: one * given.divisor for name, one in given.values.items()}):
            return
        square = sum(size**2 for size in given.norms.values())
        length = math.sqrt(sum(one.size for one in given.values.values()) / square)
        found = self.evaluator.derivative({name: length * one for name, one in given.values.items()}, confirm=True)
        factor = length * square / found.value if found.value else 1.0
        if 0 < factor < 1:
            given.undo_norm_clip(factor, found.error / abs(found.value))

    def compare(self, names: list[str], count: int | None = None, shorter: float = 1.0) -> Comparisons:
        """Comparisons along Gaussian directions over these parameters; the same names have the same directions.

        Without a count, as many as it takes.
        """
        asked = (*names, count, shorter, self.evaluator.scheme)
        if asked not in self._known:  # a group may be one gradient
            self._known[asked] = self._compare(names, count, shorter)
            # the same directions, differenced by the scheme that they have settled on
            self._known[(*asked[:-1], self.evaluator.scheme)] = self._known[asked]
        return self._known[asked]

    def _compare(self, names: list[str], count: int | None, shorter: float) -> Comparisons:
        before = self.evaluator.scheme
        found = self._compare_along(names, count, shorter)
        if self.evaluator.scheme is Scheme.REAL and before is not Scheme.REAL:  # found out on the way
            found = self._compare_along(names, count, shorter)
        return found

    def _compare_along(self, names: list[str], count: int | None, shorter: float) -> Comparisons:
        found: list[Comparison] = []
        # whoever asks for more of them wants to see more: of what does not follow complex numbers as well
        sharp = count if count and self.evaluator.scheme is Scheme.COMPLEX else MIN_DIRECTIONS
        for k in range(count or MAX_DIRECTIONS):
            if k == MIN_DIRECTIONS and count is None and self._is_enough(names, Comparisons(found)):
                break
            direction = self.direction(names, k)
            derivative = self.evaluator.derivative(
                direction,
                confirm=k == 0 and self.probing,
                sharply=k < sharp and self.probing and self.probing_sharply,
                shorter=shorter,
            )
            found.append(self._comparison(names, k, self.slope(direction), derivative))
            del direction  # a large one is not to be there twice
            if self.when_apart is not None and Comparisons(found[-1:]).verdict == "wrong":
                told, self.when_apart = self.when_apart, None
                told(found[-1].discrepancy + derivative.value, derivative.value)
        return Comparisons(found)

    def compared_with(self, name: str) -> Iterator[tuple[list[str], Comparisons]]:
        """The comparisons so far of this gradient, alone or with others, each with the names that it is of."""
        for (*asked, count, shorter, _), comparisons in self._known.items():
            if name in asked and shorter == 1.0 and count in (None, MANY_DIRECTIONS):
                yield [str(one) for one in asked], comparisons

    def unconfirmed(self, name: str) -> float:
        """The norm of an error that complex steps would miss, where a part of the loss does not follow them.

        Real losses along the directions so far tell; zero where complex steps are not taken.
        """
        if self.evaluator.scheme is not Scheme.COMPLEX:
            return 0.0
        return min((found.sensitivity_of_real_losses for _, found in self.compared_with(name)), default=0.0)

    def compare_roughly(self, name: str) -> Comparisons:
        """A comparison along one direction, of as few losses as tell a gradient that is far from the slope."""
        asked = None, name, 1, 1.0, self.evaluator.scheme
        if asked not in self._known:
            direction = self.direction([name])
            derivative = self.evaluator.derivative(direction, good_enough=ROUGHLY)
            self._known[asked] = Comparisons([self._comparison([name], 0, self.slope(direction), derivative)])
        return self._known[asked]

    def _comparison(self, names: list[str], number: int, claimed: float, derivative: Derivative) -> Comparison:
        rounding = DEVIATIONS * math.hypot(*(self.given.rounding(name) for name in names))
        draw = partial(self.direction, names, number)
        return Comparison(draw, claimed - derivative.value, derivative.error + rounding, derivative)

    def direction(self, names: list[str], number: int = 0) -> Values:
        """One of the Gaussian directions over these parameters; no entries move that are not compared."""
        drawn, free = self._directions.draw(names, number, self.gradients), self.given.free
        return {name: one * free[name] if name in free else one for name, one in drawn.items()} if free else drawn

    def slope(self, direction: Values) -> float:
        """The slope along a direction that the given gradients claim."""
        return inner_product(self.gradients, direction)

    def probe(self, name: str) -> Probe:
        """Compares along directions over parts of a parameter; a part has its share of the rounding error."""
        gradient = self.gradients[name]
        rounding = DEVIATIONS * self.given.rounding(name) / math.sqrt(gradient.size)

        def along(direction: Array) -> tuple[float, float]:
            direction = direction * self.given.free.get(name, True)
            derivative = self.evaluator.derivative({name: direction})
            part = direction != 0
            own = ROUNDING_OWN * self.given.epsilons[name] * norm(gradient[part])
            bar = derivative.error + rounding * math.sqrt(np.count_nonzero(part)) + own
            return self.slope({name: direction}) - derivative.value, bar

        return along

    def entry_bars(self, name: str, entries: Entries) -> Array:
        """A bar for each entry. An error estimate may be small by luck: none counts for less than the usual one."""
        errors = np.maximum(entries.errors, np.median(entries.errors))
        spread = DEVIATIONS * self.given.rounding(name) / math.sqrt(entries.values.size)
        return np.asarray(errors + spread + ROUNDING_OWN * self.given.epsilons[name] * np.abs(entries.values))

    # -- other points --------------------------------------------------------------------------------------------------

    def look_at(self, values: Values, names: list[str] | None = None) -> Look | None:
        """What the gradients claim at another point, over these parameters, or all that have a gradient there.

        None where the target has no finite gradients there.
        """
        is_small = sum(array.size for array in values.values()) <= LARGE
        there = self.at_point(values, copied=is_small or self.evaluator.target.clip is not None)
        if there is None:
            return None
        asked = [name for name, size in there.norms.items() if size] if names is None else names
        direction = there.direction(asked) if asked else {}
        rounding = DEVIATIONS * math.hypot(*(there.given.usual_rounding(name) for name in asked))
        kept = there if is_small else None
        return Look(there.evaluator, direction, there.slope(direction), there.norms, rounding, kept)

    def at_point(self, values: Values, *, copied: bool = True) -> Self | None:
        """A comparer of the same target at another point; None where the target has no finite gradients there.

        Gradients that are not `copied` are good until the user's code is called again.
        """
        try:
            evaluator = self.evaluator.at_point(values)
            _, gradients, faults = parse_gradients(evaluator.raw_grads_here(), evaluator.base, copied=copied)
        except UserCodeError:
            return None  # the code need not run anywhere but where the user put it
        if faults:
            return None
        other = type(self)(evaluator, gradients, self.given.seed, self.given.divisor)
        other.probing = False
        other._directions = self._directions
        other.undo_norm_clip()
        return other

    def nearby(self) -> Self | None:
        """A comparer at a point so near that a formula's error is the same there, and noise is not."""
        other = self.at_point(self.given.jittered(NEARBY))
        if other is None:
            return None
        other.evaluator.step_stretch = self.evaluator.step_stretch
        return other if math.isfinite(other.evaluator.loss_value) else None

    def is_confirmed_by_shortest_step(self, direction: Values, discrepancy: float) -> bool:
        """Whether the shortest steps side with the gradient: a loss too steep for longer ones is nobody's mistake."""
        slope = self.evaluator.slope_at_shortest_step(direction, discrepancy)
        return abs(slope - self.slope(direction)) <= STEADY * abs(discrepancy)

    def _is_enough(self, names: list[str], comparisons: Comparisons) -> bool:
        """Whether these comparisons promise as much as anyone needs, of the smallest of the gradients as well.

        Of gradients that are far from the slope, more of them would tell nothing new.
        """
        if self.evaluator.scheme is not Scheme.COMPLEX:
            return comparisons.are_far_apart
        smallest = min(self.norms[name] for name in names)
        promised = comparisons.sensitivity_of_steps
        # of what does not follow complex numbers the first ones tell all that is told
        is_told = promised <= comparisons.sensitivity_of_confirmation and promised <= AS_SENSITIVE * smallest
        return is_told or promised <= SENSITIVE_ENOUGH * smallest
