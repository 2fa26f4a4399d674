"""Numerical derivatives along a line, each with an error bar.

The checker reduces everything to functions of one variable, phi(t) = loss(x + t v), and asks for phi'(0).

- `complex_step`: Im phi(i h) / h, exact to rounding where the code is analytic (Squire & Trapp 1998).
- `richardson`: central differences at h, h/2, h/4, ... extrapolated to h = 0 (Richardson 1911; the error estimate of a
  tableau of neighbours is Ridders' 1982). It goes on to smaller h for as long as the estimate improves, so it passes
  kinks beside the point and edges of the domain; a kink at the point itself is recognised and said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

#: far below the point where h^2 terms matter, far above the smallest float
COMPLEX_STEP = 1e-30
#: levels of the tableau that are always computed (two evaluations each), and the most it may take
FIRST_LEVELS, MOST_LEVELS = 3, 16
#: estimates from neighbours in a tableau are themselves uncertain; the bar is this many times the estimate
SAFETY = 4.0
#: how well two estimates of a jump of the derivative must agree: kinks close to the point are none at it
CERTAIN = 1e-3
#: an estimate within this part of the value is not one from across a kink
CONVERGED = 1e-4


@dataclass(frozen=True)
class Derivative:
    """phi'(0) with the half-width of its error bar; `kink` is the jump of the derivative at 0 (0.0: none seen)."""

    value: float
    error: float
    kink: float = 0.0
    step: float = 0.0


def complex_step(phi: Callable[[complex], complex], epsilon: float) -> Derivative:
    """phi'(0) from one evaluation at an imaginary step. `epsilon` is the unit roundoff of the code's precision."""
    return of_complex_step(complex(phi(COMPLEX_STEP * 1j)), epsilon)


def of_complex_step(result: complex, epsilon: float) -> Derivative:
    """phi'(0) from phi(COMPLEX_STEP i)."""
    value = result.imag / COMPLEX_STEP
    return Derivative(value, complex_error(value, epsilon), step=COMPLEX_STEP)


def complex_error(value: Any, epsilon: float) -> Any:
    """The error bar of a derivative by complex step; of many, an array."""
    return 8 * epsilon * abs(value)


def richardson(
    phi: Callable[[float], float], at_zero: float, step: float, noise: float, epsilon: float = 0.0
) -> Derivative:
    """phi'(0) by an extrapolated tableau of central differences.

    Args:
        phi: The function; may return a number that is not finite outside its domain.
        at_zero: phi(0), known already.
        step: The first h.
        noise: The size of the rounding error in phi(0).
        epsilon: The unit roundoff of phi: where it is larger than at 0, so is its rounding error.
    """
    asked = tableau(at_zero, step, noise, epsilon)
    try:
        h = next(asked)
        while True:
            h = asked.send((phi(h), phi(-h)))
    except StopIteration as end:
        found: Derivative = end.value
        return found


def tableau(
    at_zero: float, step: float, noise: float, epsilon: float = 0.0
) -> Generator[float, tuple[float, float], Derivative]:
    """The same for whoever evaluates phi otherwise: yields h, is sent phi(h) and phi(-h), and returns phi'(0)."""
    rows: list[list[float]] = []
    second_differences: list[float] = []
    best = Derivative(math.nan, math.inf)
    later: list[Derivative] = []
    h = step
    for _ in range(MOST_LEVELS):
        plus, minus = yield h
        if not (math.isfinite(plus) and math.isfinite(minus)):
            rows, second_differences, h = [], [], h / 4
            continue
        second_differences.append((plus - 2 * at_zero + minus) / h)
        rows.append(_extrapolated((plus - minus) / (2 * h), rows[-1] if rows else []))
        candidate = _estimate(rows, max(noise, 2 * epsilon * max(abs(plus), abs(minus))) / h, h)
        if candidate.error < best.error:
            best, later = candidate, []
        else:
            later.append(candidate)
        settled = len(later) >= 2 and best.error <= CONVERGED * abs(best.value)  # else there may be a kink to get past
        if (
            len(rows) >= FIRST_LEVELS
            and (settled or best.error * best.step <= 16 * noise or _good_enough(best))
            and not _kinks_within_step(second_differences, 4 * noise / h, best.value)
        ):
            break
        h /= 2
    # An estimate may be small by luck: then the shorter steps after it disagree.
    error = max([best.error, *(abs(other.value - best.value) - other.error for other in later)])
    kink = _kink_at_zero(second_differences, 4 * noise / h)
    across = (
        _second_difference_at_zero(second_differences)
        if _kinks_within_step(second_differences, 4 * noise / h, best.value)
        else kink
    )
    return Derivative(best.value, error + abs(across) / 2, kink, best.step)


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


def _good_enough(best: Derivative) -> bool:
    return best.error <= 1e-11 * abs(best.value)


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
