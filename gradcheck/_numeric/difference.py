"""Numerical derivatives along a line, each with an error bar.

The checker reduces everything to functions of one variable, phi(t) = loss(x + t v), and asks for phi'(0).

- `complex_step`: Im phi(i h) / h, exact to rounding where the code is analytic (Squire & Trapp 1998).
- `richardson`: central differences at h, h/2, h/4, ... extrapolated to h = 0 (Richardson 1911; the error estimate of a
  tableau of neighbours is Ridders' 1982). It goes on to smaller h for as long as the estimate improves, so it passes
  kinks beside the point and edges of the domain; a kink at the point itself is recognised and said.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: far below the point where h^2 terms matter, far above the smallest float
COMPLEX_STEP = 1e-30
#: how many roundoffs of its value the bar of a complex step is
COMPLEX_ROUNDOFFS = 8
#: how many roundings of a loss, over the step, count for the rounding of four; and how much more for that of three
CONFIRMING_ROUNDINGS, SKEW = 8.0, 4 / 3
#: three losses are enough where they leave no more unexplained than this part of that
PLAIN = 0.25
#: levels of the tableau that are always computed (two evaluations each): fewer give no estimate of the error
FIRST_LEVELS = 3
#: the most levels it may take: the last step is 2**16 times as short as the first, or shorter
MOST_LEVELS = 16
#: estimates from neighbours in a tableau are themselves uncertain; the bar is this many times the estimate
SAFETY = 4.0
#: how well two estimates of a jump of the derivative must agree: kinks close to the point are none at it
CERTAIN = 1e-3
#: an estimate within this part of the value is not one from across a kink
CONVERGED = 1e-4
#: an estimate within this part of the value needs no further levels
GOOD_ENOUGH = 1e-11


@dataclass(frozen=True)
class Derivative:
    """phi'(0) with the half-width of its error bar; `kink` is the jump of the derivative at 0 (0.0: none seen).

    `confirmed` is how well real losses confirm a derivative by complex step: a part of the loss that does not follow
    complex numbers may be wrong by so much. Zero: not asked; infinite: they are too noisy to tell.
    """

    value: float
    error: float
    kink: float = 0.0
    step: float = 0.0
    confirmed: float = 0.0

    @property
    def is_complex_step(self) -> bool:
        """Whether it comes from a complex step, and not from real losses."""
        return self.step == COMPLEX_STEP


def complex_step(phi: Callable[[complex], complex], epsilon: float) -> Derivative:
    """phi'(0) from one evaluation at an imaginary step. `epsilon` is the unit roundoff of the code's precision."""
    value = complex(phi(COMPLEX_STEP * 1j)).imag / COMPLEX_STEP
    return Derivative(value, complex_error(value, epsilon), step=COMPLEX_STEP)


def confirmation(phi: Callable[[float], float], at_zero: float, step: float, noise: float, slope: float) -> float:
    """How well real losses confirm a slope that is phi'(0): what they leave unexplained may be there twice.

    Three losses, which are right to step**3, where these show nothing but rounding; else a fourth, to step**4. `noise`
    is the rounding error of a loss.
    """
    ahead, half_ahead, half_behind = phi(step), phi(step / 2), phi(-step / 2)
    apart = abs((6 * half_ahead - 3 * at_zero - 2 * half_behind - ahead) / (3 * step) - slope)
    rounding = CONFIRMING_ROUNDINGS * noise / step
    if apart <= PLAIN * rounding:
        return 2 * apart + SKEW * rounding
    central = [(ahead - phi(-step)) / (2 * step)]
    return 2 * abs(_extrapolated((half_ahead - half_behind) / step, central)[-1] - slope) + rounding


def complex_error(value: Any, epsilon: float) -> Any:
    """The error bar of a derivative by complex step; of many, an array."""
    return COMPLEX_ROUNDOFFS * epsilon * abs(value)


def richardson(
    phi: Callable[[float], float],
    at_zero: float,
    step: float,
    noise: float,
    epsilon: float = 0.0,
    good_enough: float = GOOD_ENOUGH,
) -> Derivative:
    """phi'(0) by an extrapolated tableau of central differences.

    Args:
        phi: The function; may return a number that is not finite outside its domain.
        at_zero: phi(0), known already.
        step: The first h.
        noise: The size of the rounding error in phi(0).
        epsilon: The unit roundoff of phi: where it is larger than at 0, so is its rounding error.
        good_enough: An error bar of this part of the value ends it.
    """
    tableau = Tableau(at_zero, step, noise, epsilon, good_enough)
    while not tableau.finished:
        tableau.add(phi(tableau.step), phi(-tableau.step))
    return tableau.derivative()


class Tableau:
    """Central differences at smaller and smaller steps, for whoever evaluates phi: `add` values until `finished`.

    The arguments are those of `richardson`.
    """

    def __init__(
        self, at_zero: float, step: float, noise: float, epsilon: float = 0.0, good_enough: float = GOOD_ENOUGH
    ) -> None:
        self.step = step
        self._good_enough = good_enough
        self.finished = False
        self._at_zero, self._noise, self._epsilon = at_zero, noise, epsilon
        self._levels = 0
        self._rows: list[list[float]] = []
        self._second_differences: list[float] = []
        self._best = Derivative(math.nan, math.inf)
        self._after_best: list[Derivative] = []

    def add(self, plus: float, minus: float) -> None:
        """Take phi(step) and phi(-step); the next step is shorter."""
        self._levels += 1
        if not (math.isfinite(plus) and math.isfinite(minus)):
            self._rows, self._second_differences = [], []
            self.step /= 4
        else:
            self._add_level(plus, minus)
            if self._is_settled():
                self.finished = True
                return
            self.step /= 2
        self.finished = self._levels == MOST_LEVELS

    def derivative(self) -> Derivative:
        """phi'(0), of a finished tableau."""
        best, rounding = self._best, 4 * self._noise / self.step
        # An estimate may be small by luck: then the shorter steps after it disagree.
        error = max([best.error, *(abs(other.value - best.value) - other.error for other in self._after_best)])
        kink = _kink_at_zero(self._second_differences, rounding)
        across = kink
        if _kinks_within_step(self._second_differences, rounding, best.value):
            across = _second_difference_at_zero(self._second_differences)
        return Derivative(best.value, error + abs(across) / 2, kink, best.step)

    def _add_level(self, plus: float, minus: float) -> None:
        h = self.step
        self._second_differences.append((plus - 2 * self._at_zero + minus) / h)
        self._rows.append(_extrapolated((plus - minus) / (2 * h), self._rows[-1] if self._rows else []))
        noise = max(self._noise, 2 * self._epsilon * max(abs(plus), abs(minus)))
        candidate = _estimate(self._rows, noise / h, h)
        if candidate.error < self._best.error:
            self._best, self._after_best = candidate, []
        else:
            self._after_best.append(candidate)

    def _is_settled(self) -> bool:
        if len(self._rows) < FIRST_LEVELS:
            return False
        best, noise = self._best, self._noise
        # an error that is larger may be that of a kink, which shorter steps get past
        stays = len(self._after_best) >= 2 and best.error <= CONVERGED * abs(best.value)
        if not (stays or best.error * best.step <= 16 * noise or best.error <= self._good_enough * abs(best.value)):
            return False
        return not _kinks_within_step(self._second_differences, 4 * noise / self.step, best.value)


def _extrapolated(first: float, above: list[float]) -> list[float]:
    row = [first]
    for j, older in enumerate(above):
        row.append(row[j] + (row[j] - older) / (4.0 ** (j + 1) - 1))
    return row


def _estimate(rows: list[list[float]], rounding: float, h: float) -> Derivative:
    if len(rows) < 2:
        return Derivative(rows[-1][0], math.inf, step=h)
    row, above = rows[-1], rows[-2]
    errors = [max(abs(row[j] - row[j - 1]), abs(row[j] - above[j - 1])) for j in range(1, len(row))]
    j = min(range(len(errors)), key=errors.__getitem__)
    return Derivative(row[j + 1], SAFETY * errors[j] + 2 * rounding, step=h)


def _kinks_within_step(second_differences: list[float], rounding: float, value: float) -> bool:
    """Whether the one-sided slopes differ, and by another amount at each step: there are kinks within the step."""
    if len(second_differences) < FIRST_LEVELS or _kink_at_zero(second_differences, rounding):
        return False
    return abs(_second_difference_at_zero(second_differences)) > CONVERGED * abs(value) + 4 * rounding


def _second_difference_at_zero(second_differences: list[float]) -> float:
    """The second difference over h as h vanishes: it is odd in h, but for a jump of the derivative."""
    first, middle, last = second_differences[-3:]
    return (8 * (2 * last - middle) - (2 * middle - first)) / 7


def _kink_at_zero(second_differences: list[float], rounding: float) -> float:
    """phi'(0+) - phi'(0-), if the second difference over h does not vanish with h."""
    if len(second_differences) < FIRST_LEVELS:
        return 0.0
    _, middle, last = second_differences[-3:]
    limit, before = _second_difference_at_zero(second_differences), 2 * last - middle
    certain = abs(limit - before) <= CERTAIN * abs(limit) and abs(limit) > 16 * rounding
    return limit if certain and abs(limit) > abs(last) / 2 else 0.0
