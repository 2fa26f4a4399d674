"""Why a discrepancy beyond its error bar may be no error of the code: the excuses, one function each.

An excuse is asked of a `Doubt` and answers None (it does not apply), a reason (the discrepancy is benign), or "" (it is
an error, whatever the excuses after it say). `GRADIENT_EXCUSES` and `ENTRY_EXCUSES` are the orders in which they are
asked: what costs few evaluations, or settles most cases, comes first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from gradcheck._common.arrays import Values, inner_product
from gradcheck._common.errors import UserCodeError
from gradcheck._common.verdict import BEYOND_DOUBT, judge, why_chaotic, why_in_steps, why_undecided
from gradcheck._comparing.comparer import STEADY, Comparer
from gradcheck._comparing.comparisons import Comparisons, root_mean_square
from gradcheck._comparing.wrong_entries import find_wrong
from gradcheck._numeric.difference import Derivative
from gradcheck._numeric.evaluator import Flatness
from gradcheck._numeric.gradients import parse_gradients
from gradcheck._numeric.scheme import Scheme
from gradcheck.report.records import Worst

#: a discrepancy below this part of the gradient is asked once more at a point nearby
SUSPICIOUS = 1e-3
#: one below this part may be the rounding of what is constant, in single precision: it is the same at every point
FLOAT32_ROUNDING = 2 * float(np.finfo(np.float32).eps)
#: noise is in many entries: of a gradient of so many, what one entry explains is none
LARGE_GRADIENT = 16
#: the part of a discrepancy that may be left unexplained by one entry
UNEXPLAINED_PART = 0.1
#: bars above this part of the gradient may be those of steps across kinks
ROUGH = 1e-4
#: then these steps are tried, so much shorter: across kinks each finds another slope
OTHER_STEPS = (3.0, 1 / 3)
#: points along a step at which gradients are asked for
QUADRATURE_POINTS = 32


@dataclass
class GradientDoubt:
    """A gradient that comparisons along directions call wrong; `scale` is its size."""

    comparer: Comparer
    name: str
    comparisons: Comparisons
    scale: float

    @property
    def discrepancies(self) -> list[tuple[Values, float]]:
        """The directions along which gradient and loss disagree beyond doubt, and by how much."""
        clear = (one for one in self.comparisons if abs(one.discrepancy) > BEYOND_DOUBT * one.bar)
        return [(one.direction, one.discrepancy) for one in clear]

    @property
    def directions(self) -> list[Values]:
        """The directions alone."""
        return [direction for direction, _ in self.discrepancies]

    @property
    def has_kink(self) -> bool:
        """Whether the loss has a kink at the point."""
        return self.comparisons.has_kink

    @property
    def is_flat(self) -> bool:
        """Whether the loss does not move at all along the directions."""
        return not any(one.derivative.value for one in self.comparisons)

    @property
    def is_partly_flat(self) -> bool:
        """Whether the loss does not move along one of the directions."""
        return not all(one.derivative.value for one in self.comparisons)

    @property
    def is_rough(self) -> bool:
        """Whether the error bar is so large that steps may have gone across kinks."""
        return self.comparisons.bar > ROUGH * self.scale

    @property
    def is_within_noise(self) -> bool:
        """Whether the discrepancy is no larger than what changes at random in the gradient."""
        return self.comparisons.error <= BEYOND_DOUBT * self.comparer.given.noise(self.name)

    @property
    def part(self) -> float:
        """The discrepancy, as a part of the gradient."""
        return self.comparisons.error / self.scale

    def is_below(self, part: float) -> bool:
        """Whether the discrepancy is below this part of the gradient."""
        return self.part < part

    def persists_nearby(self) -> bool:
        """Whether the discrepancy is still the same at a point nearby, as that of a wrong formula is."""
        nearby = self.comparer.nearby()
        if nearby is None:
            return True
        pairs = zip(self.comparisons, nearby.compare([self.name], count=len(self.comparisons)), strict=True)
        changes = [here.discrepancy - there.discrepancy for here, there in pairs]
        return root_mean_square(changes) <= STEADY * self.comparisons.error

    def is_one_clear_entry(self) -> bool:
        """Whether one entry of many explains the discrepancy, and is clearly wrong: no noise is so."""
        comparer, gradient = self.comparer, self.comparer.gradients[self.name]
        if gradient.size < LARGE_GRADIENT:
            return False
        worst = explaining_entry(comparer, self.name, self.comparisons)
        return worst is not None and is_entry_clearly_wrong(comparer, self.name, worst)


@dataclass
class EntryDoubt:
    """An entry that is wrong in a gradient that directions do not call wrong; `error` is that of the whole gradient."""

    comparer: Comparer
    name: str
    index: tuple[int, ...]
    error: float

    @cached_property
    def derivative(self) -> Derivative:
        """The numerical derivative; asked for when it is first needed."""
        return self.comparer.evaluator.entry_derivative(self.name, self.index)

    @property
    def directions(self) -> list[Values]:
        """The direction over the entry alone."""
        unit = np.zeros(self.comparer.gradients[self.name].shape)
        unit[self.index] = 1.0
        return [{self.name: unit}]

    @property
    def discrepancy(self) -> float:
        """Analytic minus numerical."""
        return float(self.comparer.gradients[self.name][self.index]) - self.derivative.value

    @property
    def discrepancies(self) -> list[tuple[Values, float]]:
        """The direction, and the discrepancy along it."""
        return [(self.directions[0], self.discrepancy)]

    @property
    def has_kink(self) -> bool:
        """Whether the loss has a kink at the point, along the entry."""
        return bool(self.derivative.kink)

    @property
    def is_flat(self) -> bool:
        """Whether the loss does not move at all along the entry."""
        return not self.derivative.value

    @property
    def is_partly_flat(self) -> bool:
        """The same: there is one direction."""
        return self.is_flat

    @property
    def is_rough(self) -> bool:
        """Whether the error bar is so large that steps may have gone across kinks."""
        return self.derivative.error > ROUGH * self.comparer.norms[self.name]

    @property
    def is_within_noise(self) -> bool:
        """Whether the discrepancy is no larger than what changes at random in the gradient."""
        return abs(self.discrepancy) <= BEYOND_DOUBT * self.comparer.given.noise(self.name)

    @property
    def part(self) -> float:
        """The error of the whole gradient, as a part of it."""
        return self.error

    def is_below(self, part: float) -> bool:
        """Whether the error of the whole gradient is below this part of it."""
        return self.error < part

    def persists_nearby(self) -> bool:
        """Whether the discrepancy is still the same at a point nearby, as that of a wrong formula is."""
        nearby = self.comparer.nearby()
        if nearby is None:
            return True
        here, there = (EntryDoubt(one, self.name, self.index, self.error) for one in (self.comparer, nearby))
        return abs(here.discrepancy - there.discrepancy) <= STEADY * abs(here.discrepancy)


Doubt: TypeAlias = GradientDoubt | EntryDoubt
Excuse: TypeAlias = Callable[[Doubt], str | None]


def benign_reason(doubt: Doubt, excuses: tuple[Excuse, ...]) -> str:
    """Why discrepancies beyond their bars are no error of the code; empty if they are one."""
    for excuse in excuses:
        reason = excuse(doubt)
        if reason is not None:
            return reason
    return ""


def explaining_entry(comparer: Comparer, name: str, comparisons: Comparisons) -> Worst | None:
    """The one entry whose error explains the discrepancies; None if it takes more."""
    worst = find_wrong(comparer.probe(name), comparer.gradients[name], comparer.given.rng(name)).worst
    apart = worst.analytic - worst.numerical
    rest = [one.discrepancy - apart * float(one.direction[name][worst.index]) for one in comparisons]
    explained = max(comparisons.bar, UNEXPLAINED_PART * comparisons.error)
    return worst if root_mean_square(rest) <= explained else None


def is_entry_clearly_wrong(comparer: Comparer, name: str, worst: Worst) -> bool:
    """Whether an entry is off by more than single precision rounds it, in real differences too, and nearby."""
    if not abs(worst.analytic - worst.numerical) > 2 * FLOAT32_ROUNDING * abs(worst.numerical):
        return False
    doubt = EntryDoubt(comparer, name, worst.index, math.nan)
    return is_seen_by_real(comparer, doubt.directions[0]) and doubt.persists_nearby()


def is_seen_by_real(comparer: Comparer, direction: Values) -> bool:
    """Whether real differences call the gradient wrong along a direction, too."""
    comparer.evaluator.measure_noise()
    real = comparer.evaluator.real_difference(direction)
    return judge([comparer.slope(direction) - real.value], [real.error]) == "wrong"


# -- the excuses -------------------------------------------------------------------------------------------------------


def flat_or_in_steps(doubt: Doubt) -> str | None:
    """Along no direction over all parameters does the loss have a slope: it is not the loss that was meant."""
    evaluator = doubt.comparer.evaluator
    if doubt.is_flat and evaluator.shape_beside() is Flatness.UNMOVED:
        return (
            "the loss moves with no parameter, however far they are moved: are params copies of the arrays that it "
            "reads? Hand over the arrays themselves, or a function that returns them"
        )
    may_jump = doubt.is_partly_flat or evaluator.scheme is Scheme.REAL  # what follows complex numbers moves smoothly
    return why_in_steps() if may_jump and evaluator.shape_beside() is Flatness.JUMPS else None


def kink_at_the_point(doubt: Doubt) -> str | None:
    """At a kink each subgradient is right; a wrong formula would be as wrong beside it."""
    return why_undecided(True, math.inf) if doubt.has_kink and not doubt.persists_nearby() else None


def one_clear_entry(doubt: Doubt) -> str | None:
    """No excuse but the end of them: an error as small as rounding, in one entry alone, is an error."""
    is_clear = isinstance(doubt, GradientDoubt) and doubt.is_below(FLOAT32_ROUNDING) and doubt.is_one_clear_entry()
    return "" if is_clear else None


def too_steep(doubt: Doubt) -> str | None:
    """The shortest steps side with the gradient."""
    if not all(
        doubt.comparer.is_confirmed_by_shortest_step(direction, apart) for direction, apart in doubt.discrepancies
    ):
        return None
    return (
        "the loss is too steep for differences: over the shortest step they agree with the gradient; "
        "check at a point where the loss is smoother"
    )


def chaotic(doubt: Doubt) -> str | None:
    """The loss changes by as much over any step: long ones tell nothing, and the shortest do not call it wrong."""
    evaluator = doubt.comparer.evaluator
    if not evaluator.is_chaotic:
        return None
    for direction, apart in doubt.discrepancies:
        slope = evaluator.slope_of_plateau(direction)
        if slope is not None and abs(slope - doubt.comparer.slope(direction)) > STEADY * abs(apart):
            return None
    return why_chaotic()


def only_in_single_precision(doubt: Doubt) -> str | None:
    """The same loss of float64 copies sides with the gradient."""
    for direction, apart in doubt.discrepancies:
        slope = doubt.comparer.evaluator.wide_slope(direction)
        if slope is None or abs(slope - doubt.comparer.slope(direction)) > STEADY * abs(apart):
            return None
    return (
        "in single precision the differences do not side with the gradient, in double precision they do: long steps go "
        "across kinks; check it in float64"
    )


def kinks_beside_the_point(doubt: Doubt) -> str | None:
    """Steps go across kinks: the slope changes with the step, or the gradients along the way add up to the change."""
    if not doubt.is_rough:
        return None
    if not all(_is_made_by_kinks(doubt.comparer, direction, apart) for direction, apart in doubt.discrepancies):
        return None
    return "the loss has kinks beside this point: its differences change with their step; check at another point"


def seen_by_complex_step_only(doubt: Doubt) -> str | None:
    """Real differences do not call the gradient wrong."""
    if doubt.comparer.evaluator.scheme is Scheme.REAL or any(
        is_seen_by_real(doubt.comparer, direction) for direction in doubt.directions
    ):
        return None
    return "the difference is too small for real differences to confirm; usually a saturated unit"


def single_precision(doubt: Doubt) -> str | None:
    """A constant that was rounded in single precision is wrong by the same amount everywhere; so is an epsilon."""
    if not doubt.is_below(FLOAT32_ROUNDING):
        return None
    if doubt.is_within_noise:
        return "the two differ by no more than the rounding of single precision: look for float32 in the backward"
    return (
        f"the two differ by {doubt.part:.0e} of the gradient, here and nearby: an epsilon that the loss adds and the "
        "backward leaves out, as in log(p + 1e-8), or a constant that is rounded to single precision"
    )


def random_noise(doubt: Doubt) -> str | None:
    """A small difference that is no larger than the gradient's own noise, or another one nearby."""
    if not doubt.is_below(SUSPICIOUS) or not (doubt.is_within_noise or not doubt.persists_nearby()):
        return None
    return (
        "the two differ by an amount that changes at random from point to point: this is noise, not a wrong formula; "
        "look for float32 in the backward"
    )


#: what may excuse a gradient that directions call wrong
GRADIENT_EXCUSES: tuple[Excuse, ...] = (
    flat_or_in_steps,
    kink_at_the_point,
    one_clear_entry,
    chaotic,
    too_steep,
    only_in_single_precision,
    kinks_beside_the_point,
    seen_by_complex_step_only,
    single_precision,
    random_noise,
)
#: what may excuse an entry of a gradient that directions do not call wrong
ENTRY_EXCUSES: tuple[Excuse, ...] = (
    flat_or_in_steps,
    single_precision,
    seen_by_complex_step_only,
    kink_at_the_point,
    only_in_single_precision,
    kinks_beside_the_point,
    random_noise,
    chaotic,
    too_steep,
)


def _is_made_by_kinks(comparer: Comparer, direction: Values, discrepancy: float) -> bool:
    """Whether kinks beside the point make a discrepancy: it changes with the step, or is gone along the way."""
    found = [comparer.evaluator.real_difference(direction, shorter) for shorter in OTHER_STEPS]
    changes = [abs(comparer.slope(direction) - one.value - discrepancy) for one in found]
    if not max(changes) <= STEADY * abs(discrepancy):
        return True
    # the shorter one has fewer other kinks on its way
    steps = comparer.evaluator.usual_step(direction), min(one.step for one in found)
    return any(_gradients_add_up_to_change(comparer, direction, discrepancy, step) for step in steps if step)


def _gradients_add_up_to_change(comparer: Comparer, direction: Values, discrepancy: float, step: float) -> bool:
    """Whether the gradients along a step add up to what the loss changes by, as wrong ones do not.

    A kink may be so close that no step in single precision is shorter: then each of them goes across it.
    """
    if not comparer.given.stateless:
        return False
    evaluator = comparer.evaluator
    change = evaluator.change_over(direction, step)
    slopes = []
    for k in range(QUADRATURE_POINTS):
        there = evaluator.moved(direction, step * ((2 * k + 1) / QUADRATURE_POINTS - 1))
        try:
            gradients = parse_gradients(evaluator.raw_grads(there), evaluator.base)[1]
        except UserCodeError:
            return False
        if any(name not in gradients for name in direction):
            return False
        slopes.append(inner_product(gradients, direction) / comparer.given.divisor)
    return abs(sum(slopes) / QUADRATURE_POINTS - change / (2 * step)) <= STEADY * abs(discrepancy)
